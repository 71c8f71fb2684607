"""Transactions of every role, for operators: searched for, looked into, stopped and closed."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import principal
from protocols.rest.bodies import Cursor, Identifier, Instant, Limit, answer, moment, page_answer
from protocols.rest.routes import Routes
from protocols.rest.v1.apps import State
from statecharts.doors import OperatorDoor
from statecharts.ports import Page, TransactionView
from statecharts.searches import TransactionSearch
from statecharts.timeline import Timeline

PREFIX = "/api/v1/operator"
ROLE = "<any(source, destination, local):role>"

Role = Literal["source", "destination", "local"]
Flag = Annotated[str, Meta(min_length=1, max_length=50, pattern=r"\A[A-Za-z-]+\Z")]


class OperatorTransactionsQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Of a role, in a state, at a station and its connector, of a user, with a partner, begun since and before a time.

    `open` ones are not over; `flagged` ones have something odd about them, of which `flag` is the name.
    """

    cursor: Cursor | None = None
    limit: Limit = 50
    role: Role | None = None
    state: State | None = None
    station: Identifier | None = None
    connector: Identifier | None = None
    user: Identifier | None = None
    partner: Identifier | None = None
    authorization_identifier: Identifier | None = None
    since: Instant | None = None
    until: Instant | None = None
    open: bool | None = None
    flagged: bool | None = None
    flag: Flag | None = None


class Closing(msgspec.Struct, forbid_unknown_fields=True):
    """Why a charge is over of which no end will be reported."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


def add_transactions(routes: Routes, operators: OperatorDoor) -> None:
    """The routes of transactions, among those of operators."""

    @routes.get(
        "/transactions",
        Page[TransactionView],
        query=OperatorTransactionsQuery,
        answer_headers=("Link",),
        refuses=("cursor-unknown",),
    )
    async def transactions(asked: OperatorTransactionsQuery) -> Response:
        """Lists transactions of every role, newest first, or those that are searched for."""
        return page_answer(await operators.transactions(cursor=asked.cursor, limit=asked.limit, **_search(asked)))

    @routes.get(f"/transactions/{ROLE}/<identifier:transaction>", TransactionView, refuses=("unknown-transaction",))
    async def transaction(role: str, transaction: str) -> Response:
        """Shows a transaction as it is now."""
        return answer(await operators.transaction(role, transaction))

    @routes.get(f"/transactions/{ROLE}/<identifier:transaction>/timeline", Timeline, refuses=("unknown-transaction",))
    async def timeline(role: str, transaction: str) -> Response:
        """Shows what happened to a transaction through REST, SOAP and OCPP, in order."""
        return answer(await operators.timeline(role, transaction))

    @routes.post(
        f"/transactions/{ROLE}/<identifier:transaction>/stop",
        {202: TransactionView},
        refuses=("unknown-transaction", "not-here", "already-finished", "not-running", "wrong-state"),
    )
    async def stop(role: str, transaction: str) -> Response:
        """Stops a charge at our own station."""
        return under_way(await operators.stop(role, transaction))

    @routes.post(
        f"/transactions/{ROLE}/<identifier:transaction>/close",
        TransactionView,
        reads=Closing,
        refuses=("unknown-transaction", "not-here", "already-finished", "not-running", "wrong-state"),
        example={"reason": "the car has been towed away"},
    )
    async def close(asked: Closing, role: str, transaction: str) -> Response:
        """Ends a charge that its station will never end, with the last known meter, marked as estimated."""
        return answer(await operators.close(role, transaction, asked.reason, principal().name))


def _search(asked: OperatorTransactionsQuery) -> TransactionSearch:
    return TransactionSearch(
        role=asked.role,
        state=asked.state,
        users=None if asked.user is None else (asked.user,),
        station=asked.station,
        connector=asked.connector,
        partner=asked.partner,
        authorization_identifier=asked.authorization_identifier,
        since=moment("since", asked.since),
        until=moment("until", asked.until),
        open=asked.open,
        flagged=asked.flagged,
        flag=asked.flag,
    )


def under_way(transaction: TransactionView) -> Response:
    """202: asked of the station; the transaction itself says what it waits for."""
    place = f"{PREFIX}/transactions/{transaction.role}/{quote(transaction.transaction_id, safe='')}"
    return answer(transaction, 202, location=place)
