"""Server-Sent Events (WHATWG HTML section 9.2): transactions, as they are now and after each change; names of the rest.

`event: state` carries a transaction as JSON; its id is the position in the journal since which it is so, and a client
that reconnects with it as Last-Event-ID misses nothing that still holds. `event: end` says that nothing more will
come, `event: reset` that the Last-Event-ID is of another journal, `event: drain` that this node is going away and the
client should come back soon.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import msgspec
import trio
from msgspec import Meta
from quart import request
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import principal
from protocols.rest.bodies import ENCODER, plain
from protocols.rest.limits import StreamLimiter
from protocols.rest.problems import Problem
from statecharts.bounds import Watermarks
from statecharts.doors import AppDoor, Notice
from statecharts.limits import LAST_EVENT_ID
from statecharts.ports import Change, Principal
from statecharts.transaction_source import CHART
from statecharts.vocabulary import Refused

EVENT_STREAM = "text/event-stream"

KEEP_ALIVE = b": keep-alive\n\n"
END = b"event: end\ndata: {}\n\n"
RESET = b"event: reset\ndata: {}\n\n"
DRAIN = b"event: drain\nretry: 500\ndata: {}\n\n"
STORE_AWAY = b"retry: 5000\n\n"
"""The stream ends, and the client comes back when the store may be there again."""


class StateEvent(msgspec.Struct, tag_field="event", tag="state"):
    """A transaction as it is since the position `id`; what stands in its fields as one sends it."""

    id: str
    data: Annotated[
        str,
        Meta(
            extra_json_schema={
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": "#/components/schemas/TransactionView"},
            }
        ),
    ]


class EndEvent(msgspec.Struct, tag_field="event", tag="end"):
    data: Literal["{}"]


class ResetEvent(msgspec.Struct, tag_field="event", tag="reset"):
    data: Literal["{}"]


class DrainEvent(msgspec.Struct, tag_field="event", tag="drain"):
    data: Literal["{}"]


class ChangedEvent(msgspec.Struct, tag_field="event", tag="changed"):
    """Something is to be read again; what stands in its fields as one sends it."""

    data: Annotated[
        str,
        Meta(
            extra_json_schema={
                "contentMediaType": "application/json",
                "contentSchema": msgspec.json.schema(Notice)["$defs"]["Notice"],
            }
        ),
    ]


OF_TRANSACTION = StateEvent | EndEvent | DrainEvent
OF_ALL = StateEvent | ResetEvent | DrainEvent
OF_NOTICES = ChangedEvent | DrainEvent
"""What each event of a stream is, for its description."""

ChangesIterator = AsyncIterator[Change | None]


class EventStreams:
    """Makes event streams; `draining` ends them all."""

    def __init__(self, draining: trio.Event, streams_max: int, watermarks: Watermarks) -> None:
        self._draining = draining
        self._limiter = StreamLimiter(streams_max, watermarks)

    async def of_transaction(self, apps: AppDoor, who: Principal, transaction_id: str) -> Response:
        """The stream of a transaction's changes after the client's Last-Event-ID.

        204 tells a client that has seen the final state not to reconnect. Raises `Refused` 404 for an unknown
        transaction, `Problem` 400 for a Last-Event-ID that cannot be ours, 429 for too many streams.
        """
        seen = _last_event_id()
        now = await apps.newest(who, transaction_id)
        if CHART.by_name[now.transaction.state].final and now.position == seen:
            return Response(b"", 204)
        return self._stream(b"", apps.changes(who, transaction_id, -1 if seen is None else seen), last=END)

    async def of_all(self, position: Callable[[], Awaitable[int]], feed: Callable[[int], ChangesIterator]) -> Response:
        """The stream of all that changes after the client's Last-Event-ID; without one, from now on.

        The first block gives the id to resume from, also if nothing changes before the line breaks. Raises `Problem`
        400 for a Last-Event-ID that cannot be ours, 429 for too many streams.
        """
        seen, newest = _last_event_id(), await position()
        after = newest if seen is None or seen > newest else seen
        reset = RESET if seen is not None and seen > newest else b""
        return self._stream(b"id: %d\nretry: 2000\n\n%b" % (after, reset), feed(after), last=b"")

    def of_notices(self, notices: AsyncIterator[tuple[Notice, ...]]) -> Response:
        """The stream of what is to be read again. It has no ids: who comes back reads all again.

        Raises `Problem` 429 for too many streams.
        """
        return self._stream(b"retry: 2000\n\n", _notices_told(notices), last=b"")

    def _stream(self, first: bytes, changes: AsyncIterator[Change | bytes | None], last: bytes) -> Response:
        name = principal().name
        self._limiter.check(name)
        content: Any = b"" if request.method == "HEAD" else self._events(name, first, changes, last)
        response = Response(content, headers={"Cache-Control": "no-store"}, content_type=EVENT_STREAM)
        response.timeout = None  # Quart's RESPONSE_TIMEOUT would end the stream
        return response

    async def _events(
        self, name: str, first: bytes, changes: AsyncIterator[Change | bytes | None], last: bytes
    ) -> AsyncIterator[bytes]:
        async with _closed_after(changes):
            with self._limiter.counted(name):
                if first:
                    yield first
                try:
                    async for change in changes:
                        yield KEEP_ALIVE if change is None else _told(change)
                except Refused:
                    yield STORE_AWAY
                else:
                    yield DRAIN if self._draining.is_set() else last


def _last_event_id() -> int | None:
    given = request.headers.get("Last-Event-ID")
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= LAST_EVENT_ID.limit):
        raise Problem(400, "invalid-last-event-id", "Last-Event-ID is the id of an event of this stream: a number.")
    return int(given)


async def _notices_told(notices: AsyncIterator[tuple[Notice, ...]]) -> AsyncIterator[bytes | None]:
    async with _closed_after(notices):
        async for some in notices:
            yield b"".join(b"event: changed\ndata: %b\n\n" % ENCODER.encode(plain(each)) for each in some) or None


def _told(change: Change | bytes) -> bytes:
    if isinstance(change, bytes):
        return change
    return b"event: state\nid: %d\ndata: %b\n\n" % (change.position, ENCODER.encode(plain(change.transaction)))


@asynccontextmanager
async def _closed_after(iterator: AsyncIterator[Any]) -> AsyncIterator[None]:
    """Ends an asynchronous generator together with its user, a client that hung up included."""
    try:
        yield
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
