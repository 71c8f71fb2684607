"""Motown's Destination API, `/rest/mobieurope/destination/dv1`: what its demonstration page polls.

It shows who charges, so it needs an operator's token (Motown asked for none).
"""

from __future__ import annotations

from quart import Blueprint
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import BearerAuth
from protocols.rest.motown import answer_errors_as_motown, living, motown_answer, session_info
from statecharts.ports import OperatorDoor

PREFIX = "/rest/mobieurope/destination/dv1"
MEDIA_TYPE = "application/vnd.io.motown.mobi-europe-destination-api-v1+json"


def dv1_blueprint(operators: OperatorDoor, auth: BearerAuth, pms_identifier: str) -> Blueprint:
    """The Destination API of the operator `pms_identifier`."""
    blueprint = Blueprint("dv1", __name__, url_prefix=PREFIX)
    blueprint.before_request(auth.operator)
    answer_errors_as_motown(blueprint, MEDIA_TYPE)

    @blueprint.get("/lastopensession")
    async def last_open_session() -> Response:
        view = await operators.last_open_session()
        if view is None:
            return Response(b"", content_type=MEDIA_TYPE)
        shown = session_info(living(view), pms_identifier=view.pms_identifier, service_pms=pms_identifier)
        return motown_answer(shown, MEDIA_TYPE)

    return blueprint
