"""Server-Sent Events (WHATWG HTML section 9.2): a transaction, now and after each change.

`event: state` carries the transaction as JSON under its version as id, so that a client that reconnects with
Last-Event-ID misses nothing that still holds. `event: end` says that nothing more will come, `event: drain` that this
node is going away and the client should come back soon.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from quart import request
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import ENCODER, plain
from protocols.rest.problems import Problem
from statecharts.ports import AppDoor, Principal, TransactionView
from statecharts.transaction_source import CHART

LAST_EVENT_ID_DIGITS_MAX = 15
KEEP_ALIVE = b": keep-alive\n\n"
END = b"event: end\ndata: {}\n\n"
DRAIN = b"event: drain\nretry: 500\ndata: {}\n\n"


async def event_stream(apps: AppDoor, principal: Principal, transaction_id: str, draining: trio.Event) -> Response:
    """The stream of a transaction's changes after the client's Last-Event-ID.

    204 tells a client that has seen the final state not to reconnect. Raises `Refused` 404 for an unknown transaction,
    `Problem` 400 for a Last-Event-ID that is none of ours.
    """
    seen = _last_event_id()
    now = await apps.transaction(principal, transaction_id)
    if CHART.by_name[now.state].final and now.version <= seen:
        return Response(b"", 204)
    if request.method == "HEAD":
        return _streaming(b"")
    return _streaming(_events(apps.changes(principal, transaction_id, seen), draining))


def _last_event_id() -> int:
    given = request.headers.get("Last-Event-ID", "0")
    if not (given.isascii() and given.isdigit() and len(given) <= LAST_EVENT_ID_DIGITS_MAX):
        raise Problem(400, "invalid-last-event-id", "Last-Event-ID is the id of an event of this stream: a number.")
    return int(given)


def _streaming(content: Any) -> Response:
    response = Response(content, headers={"Cache-Control": "no-store"}, content_type="text/event-stream")
    response.timeout = None  # Quart's RESPONSE_TIMEOUT would end the stream
    return response


async def _events(changes: AsyncIterator[TransactionView | None], draining: trio.Event) -> AsyncIterator[bytes]:
    async with _closed_after(changes):
        async for change in changes:
            yield KEEP_ALIVE if change is None else _state_event(change)
        yield DRAIN if draining.is_set() else END


def _state_event(transaction: TransactionView) -> bytes:
    return b"event: state\nid: %d\ndata: %b\n\n" % (transaction.version, ENCODER.encode(plain(transaction)))


@asynccontextmanager
async def _closed_after(iterator: AsyncIterator[Any]) -> AsyncIterator[None]:
    """Ends an asynchronous generator together with its user, a client that hung up included."""
    try:
        yield
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
