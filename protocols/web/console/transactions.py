"""Transactions: which there are, why one is open, its timeline across all protocols, its chart; charge records."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import answer, moment
from protocols.rest.v1.cdrs import CdrsQuery
from protocols.rest.v1.stations import Reason
from protocols.rest.v1.transactions import OperatorTransactionsQuery
from protocols.web.console.chart_svg import svg_of
from protocols.web.console.desk import Desk, asked, back_to, shown_filter, told
from protocols.web.rooms import principal_here
from statecharts import transaction_destination, transaction_local, transaction_source

CHARTS: dict[str, Any] = {
    "source": transaction_source.CHART,
    "destination": transaction_destination.CHART,
    "local": transaction_local.CHART,
}
ONE = "/transactions/<any(source, destination, local):role>/<identifier:transaction>"


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    reason: Reason


def transaction_place(role: str, transaction: str) -> str:
    """The address of a transaction's page."""
    return f"/console/transactions/{role}/{quote(transaction, safe='')}"


def add_transactions(desk: Desk) -> None:
    """Lists and pages of transactions and charge records."""

    @desk.get("/transactions")
    async def transactions() -> Response:
        query = asked(OperatorTransactionsQuery)
        search = shown_filter(query)
        shown = dict(search)
        limit = search.pop("limit")
        user = search.pop("user", None)
        search |= {"users": (user,)} if user else {}
        search |= {name: moment(name, search.get(name)) for name in ("since", "until") if name in search}
        page = await desk.operators.transactions(cursor=query.cursor, limit=limit, **search)
        return desk.page("transactions.html", resources="transactions", page=page, filter=shown)

    @desk.get(ONE)
    async def transaction(role: str, transaction: str) -> Response:
        view = await desk.operators.transaction(role, transaction)
        return desk.page(
            "transaction.html",
            resources=f"transactions/{role}/{transaction} deliveries",
            view=view,
            place=transaction_place(role, transaction),
            timeline=await desk.operators.timeline(role, transaction),
            chart=svg_of(CHARTS[role], view.state),
            meaning=CHARTS[role].by_name[view.state].meaning,
        )

    @desk.get(f"{ONE}/timeline.json")
    async def timeline(role: str, transaction: str) -> Response:
        found = await desk.operators.timeline(role, transaction)
        name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in transaction)
        return answer(found, content_disposition=f'attachment; filename="timeline-{role}-{name}.json"')

    @desk.post(f"{ONE}/stop")
    async def stop(role: str, transaction: str) -> Response:
        await desk.operators.stop(role, transaction)
        return back_to(transaction_place(role, transaction))

    @desk.post(f"{ONE}/close")
    async def close(role: str, transaction: str) -> Response:
        await desk.operators.close(role, transaction, (await told(Closed)).reason, principal_here().name)
        return back_to(transaction_place(role, transaction))

    @desk.get("/records")
    async def records() -> Response:
        query = asked(CdrsQuery)
        page = await desk.operators.cdrs(
            cursor=query.cursor,
            limit=query.limit,
            role=query.role,
            partner=query.partner,
            status=query.status,
            since=moment("since", query.since),
            until=moment("until", query.until),
        )
        return desk.page("records.html", resources="transactions deliveries", page=page, filter=shown_filter(query))
