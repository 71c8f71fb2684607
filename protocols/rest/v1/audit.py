"""The audit log, for operators."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import Cursor, Instant, Limit, moment, page_answer
from protocols.rest.routes import Routes
from statecharts.audit import AuditFilter, AuditTrail, AuditView
from statecharts.ports import Page

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
PathBegin = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"\A/[^\x00-\x1f\x7f]*\Z")]


class AuditQuery(msgspec.Struct, forbid_unknown_fields=True):
    """By the token of this name, on one station, at or below a path, since a time and before another."""

    cursor: Cursor | None = None
    limit: Limit = 50
    by: Name | None = None
    station: Name | None = None
    path: PathBegin | None = None
    since: Instant | None = None
    until: Instant | None = None


def add_audit(routes: Routes, trail: AuditTrail) -> None:
    """The route of the audit log, among those of operators."""

    @routes.get("/audit", Page[AuditView], query=AuditQuery, answer_headers=("Link",), refuses=("cursor-unknown",))
    async def audit(asked: AuditQuery) -> Response:
        """Lists what operators asked for that could change something, and what came of it, newest first."""
        of_station = f"{routes.prefix}/stations/{asked.station}" if asked.station else None
        below = tuple(path for path in (of_station, asked.path) if path)
        since, until = moment("since", asked.since), moment("until", asked.until)
        wanted = AuditFilter(by=asked.by, below=below, since=since, until=until)
        return page_answer(await trail.page(wanted, cursor=asked.cursor, limit=asked.limit))
