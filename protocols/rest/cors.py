"""Which pages of other origins may use the API from a browser (Fetch standard, section 3.3): those named, else none."""

from __future__ import annotations

from collections.abc import Collection

from quart import request
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.headers import REQUEST_HEADERS, RESPONSE_HEADERS

UNDER = "/api/"
PREFLIGHT_KEPT_S = 600
METHODS = "GET, HEAD, POST"
REQUESTED = ", ".join(("Authorization", "Content-Type", *REQUEST_HEADERS))
EXPOSED = ", ".join(RESPONSE_HEADERS)


def register_cors(app: QuartTrio, origins: Collection[str]) -> None:
    """Lets pages of these origins (`https://app.example`) use what is under `/api/`; tokens, never cookies."""
    allowed = frozenset(origins)

    def origin() -> str | None:
        given = request.headers.get("Origin")
        return given if given in allowed and request.path.startswith(UNDER) else None

    @app.before_request
    async def _answer_preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers or not origin():
            return None
        answered = {
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": REQUESTED,
            "Access-Control-Max-Age": str(PREFLIGHT_KEPT_S),
        }
        return Response(b"", 204, answered)

    @app.after_request
    async def _allow_origin(response: Response) -> Response:
        named = origin()
        if allowed and request.path.startswith(UNDER):
            response.vary.add("Origin")
        if named is not None:
            response.headers["Access-Control-Allow-Origin"] = named
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
        return response
