"""Who asks for a change is written down before anything is done, and what came of it before the answer leaves."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from quart import g, request
from quart_trio.wrappers import TrioResponse as Response
from werkzeug.exceptions import HTTPException

from protocols.rest.paths import path_of
from protocols.rest.problems import PROBLEM_TYPE, correlation_id
from statecharts.audit import AuditTrail, Deed
from statecharts.ports import Principal
from statecharts.vocabulary import Refused

FORM = "application/x-www-form-urlencoded"
CHANGES_NOTHING = ("GET", "HEAD", "OPTIONS")

log = structlog.get_logger(__name__)


class Recorder:
    """Writes the audit log of a room. To be called once it is known who asks, and with every response."""

    def __init__(self, trail: AuditTrail) -> None:
        self._trail = trail

    async def entered(self, who: Principal, address: str) -> None:
        """Writes down what is asked. Raises `Refused` 503 while that cannot be: nothing is done then."""
        if request.method in CHANGES_NOTHING:
            return
        deed = Deed(
            by=who.name,
            address=address,
            correlation_id=correlation_id() or "",
            method=request.method,
            route=path_of(str(request.url_rule)),
            path=request.path,
            body=await _body(),
        )
        g.deed = await self._trail.asked(deed)

    async def answered(self, response: Response) -> Response:
        """Writes down the outcome. One that cannot be stays unknown in the log; who asked is told it all the same."""
        number = g.get("deed")
        if number is not None:
            try:
                await self._trail.answered(number, response.status_code, await _problem_kind(response))
            except Refused as no:
                log.warning("audit.outcome_not_written", id=number, status=response.status_code, cause=str(no))
        return response


async def _body() -> bytes | None:
    """The body, for its handler to read again, a form's as JSON; what cannot be read its handler will refuse."""
    try:
        if request.mimetype == FORM:
            return msgspec.json.encode({name: text for name, text in (await request.form).items() if name != "csrf"})
        found: bytes = await request.get_data(True, False, False)
    except HTTPException:
        return None
    return found


async def _problem_kind(response: Response) -> str | None:
    if response.content_type != PROBLEM_TYPE:
        kind: str | None = g.get("problem_kind")
        return kind
    document: dict[str, Any] = msgspec.json.decode(await response.get_data(as_text=False))
    return str(document["kind"])
