"""Motown's Destination API, `/rest/mobieurope/destination/dv1`: what its demonstration page polls.

It shows who charges, so it needs an operator's token (Motown asked for none).
"""

from __future__ import annotations

from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import BearerAuth
from protocols.rest.motown import SessionInfo, answer_errors_as_motown, living, motown_answer, session_info
from protocols.rest.routes import Access, Errors, Routes
from statecharts.doors import OperatorDoor

PREFIX = "/rest/mobieurope/destination/dv1"
MEDIA_TYPE = "application/vnd.io.motown.mobi-europe-destination-api-v1+json"


def dv1_routes(operators: OperatorDoor, auth: BearerAuth, pms_identifier: str) -> Routes:
    """The Destination API of the operator `pms_identifier`."""
    routes = Routes(
        name="dv1",
        prefix=PREFIX,
        auth=auth,
        access=Access.OPERATOR,
        errors=Errors.MOTOWN,
        media_type=MEDIA_TYPE,
    )
    answer_errors_as_motown(routes.blueprint, MEDIA_TYPE)

    @routes.get("/lastopensession", SessionInfo)
    async def last_open_session() -> Response:
        """Shows the newest session that is not over, else the newest of all; an empty body if there is none."""
        view = await operators.last_open_session()
        if view is None:
            return Response(b"", content_type=MEDIA_TYPE)
        shown = session_info(living(view), pms_identifier=view.pms_identifier, service_pms=pms_identifier)
        return motown_answer(shown, MEDIA_TYPE)

    return routes
