"""What operators see and decide of what stations reported amiss: orphans and quirks."""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from actors.context import Context
from actors.cursors import cursor_of, page_of, place_of
from actors.inbox import Assign, Dismiss
from actors.quirks import Quirk, quirk_key
from actors.records import Orphan, OrphanOutcome
from statecharts.doors import OrphanView, QuirkView
from statecharts.ports import Page
from statecharts.vocabulary import refused

OPEN = "open"
"""The state of an orphan that nobody has decided on."""


class InboxRole:
    """The part of the operator's door that orphans and quirks are behind."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def orphans(
        self, *, station: str | None, kind: str | None, state: str, cursor: str | None, limit: int
    ) -> Page[OrphanView]:
        outcome = None if state == OPEN else OrphanOutcome(state)
        page = await self._context.orphans.page(station=station, kind=kind, outcome=outcome, cursor=cursor, limit=limit)
        return Page(items=tuple(_orphan_shown(each) for each in page.items), next_cursor=page.next_cursor)

    async def orphan(self, orphan_id: int) -> OrphanView:
        return _orphan_shown(await self._found(orphan_id))

    async def assign_orphan(self, orphan_id: int, role: str, transaction: str, by: str) -> OrphanView:
        wish = Assign(orphan_id=orphan_id, transaction=f"{role}/{transaction}", by=by)
        return await self._decided(wish)

    async def dismiss_orphan(self, orphan_id: int, reason: str, by: str) -> OrphanView:
        return await self._decided(Dismiss(orphan_id=orphan_id, reason=reason, by=by))

    async def _decided(self, wish: Assign | Dismiss) -> OrphanView:
        found = await self._found(wish.orphan_id)
        return _orphan_shown(await self._context.system.ask(f"station/{found.station}", wish))

    async def _found(self, orphan_id: int) -> Orphan:
        found = await self._context.orphans.one(orphan_id)
        if found is None:
            raise refused(404, "unknown-orphan", f"there is no orphan {orphan_id}")
        return found

    async def quirks(
        self, *, station: str | None, vendor: str | None, model: str | None, cursor: str | None, limit: int
    ) -> Page[QuirkView]:
        found = self._context.quirks.all(station=station, vendor=vendor, model=model)
        if cursor is not None:
            found = found[bisect_right(found, place_of(cursor, "quirks", str, str, str, str), key=quirk_key) :]
        return page_of(found, limit, lambda last: cursor_of("quirks", *quirk_key(last)), _quirk_shown)


def _orphan_shown(orphan: Orphan) -> OrphanView:
    assert orphan.id is not None, "it comes from the store"
    decision = orphan.decision
    return OrphanView(
        id=orphan.id,
        station=orphan.station,
        kind=orphan.kind,
        at=orphan.at,
        report=msgspec.json.decode(orphan.body),
        why=orphan.why,
        state=decision.outcome.value if decision else OPEN,
        decided_at=decision.at if decision else None,
        decided_by=(decision.by or None) if decision else None,
        reason=(decision.reason or None) if decision else None,
        transaction=(decision.transaction or None) if decision else None,
    )


def _quirk_shown(quirk: Quirk) -> QuirkView:
    return QuirkView(
        vendor=quirk.vendor,
        model=quirk.model,
        action=quirk.action,
        what=quirk.what,
        handling=quirk.handling.value,
        times=quirk.times,
        stations=len(quirk.by_station),
        first_at=quirk.first_at,
        last_at=quirk.last_at,
        example=quirk.example,
    )
