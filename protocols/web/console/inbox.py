"""What wants a decision: what belongs to no transaction, what was put aside; and what was done, by whom."""

from __future__ import annotations

from typing import Literal

import msgspec
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import Cursor, Identifier, moment
from protocols.rest.v1.audit import AuditQuery
from protocols.rest.v1.operators import ACTOR
from protocols.rest.v1.stations import Reason
from protocols.web.console.desk import Desk, OnlyPages, admins_only, asked, back_to, shown_filter, told
from protocols.web.rooms import principal_here
from statecharts.audit import AuditFilter

ORPHAN = "/orphans/<number:orphan>"


class OrphansShown(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    station: Identifier | None = None
    state: Literal["open", "joined", "assigned", "dismissed"] = "open"


class Assigned(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["destination", "local"]
    transaction_id: Identifier


class Dismissed(msgspec.Struct, forbid_unknown_fields=True):
    reason: Reason


class Released(msgspec.Struct, forbid_unknown_fields=True):
    message: Literal["hand-over", "dismiss"]


def add_inbox(desk: Desk) -> None:
    """Orphans, quirks, what was put aside, and the audit log."""
    _add_orphans(desk)
    _add_aside(desk)

    @desk.get("/quirks")
    async def quirks() -> Response:
        page = await desk.operators.quirks(
            station=None, vendor=None, model=None, cursor=asked(OnlyPages).cursor, limit=50
        )
        return desk.page("quirks.html", page=page)

    @desk.get("/audit")
    async def audit() -> Response:
        query = asked(AuditQuery)
        wanted = AuditFilter(by=query.by, since=moment("since", query.since), until=moment("until", query.until))
        page = await desk.operators.trail.page(wanted, cursor=query.cursor, limit=query.limit)
        return desk.page("audit.html", resources="audit", page=page, filter=shown_filter(query))


def _add_orphans(desk: Desk) -> None:
    @desk.get("/orphans")
    async def orphans() -> Response:
        query = asked(OrphansShown)
        page = await desk.operators.orphans(
            station=query.station, kind=None, state=query.state, cursor=query.cursor, limit=50
        )
        return desk.page("orphans.html", resources="orphans", page=page, filter=shown_filter(query))

    @desk.get(ORPHAN)
    async def orphan(orphan: int) -> Response:
        return desk.page("orphan.html", resources="orphans", orphan=await desk.operators.orphan(orphan))

    @desk.post(f"{ORPHAN}/assign")
    async def assign(orphan: int) -> Response:
        wish = await told(Assigned)
        await desk.operators.assign_orphan(orphan, wish.role, wish.transaction_id, principal_here().name)
        return back_to(f"/console/orphans/{orphan}")

    @desk.post(f"{ORPHAN}/dismiss")
    async def dismiss(orphan: int) -> Response:
        await desk.operators.dismiss_orphan(orphan, (await told(Dismissed)).reason, principal_here().name)
        return back_to(f"/console/orphans/{orphan}")


def _add_aside(desk: Desk) -> None:
    @desk.get("/quarantine")
    async def quarantine() -> Response:
        page = await desk.operators.quarantine(cursor=asked(OnlyPages).cursor, limit=50)
        return desk.page("quarantine.html", resources="quarantine", page=page)

    @desk.post(f"/quarantine/{ACTOR}/<identifier:name>/release")
    async def release(kind: str, name: str) -> Response:
        admins_only()
        await desk.operators.release(f"{kind}/{name}", hand_over=(await told(Released)).message == "hand-over")
        return back_to("/console/quarantine")
