"""`GET /api/openapi.json`: what this API can do, for programs; anybody may read it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from typing import Any

import msgspec
from quart import request
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import JSON
from protocols.rest.openapi import openapi_document
from protocols.rest.routes import Routes

TITLE = "roamnode"


def description_routes(rooms: Sequence[Routes], version: str) -> Routes:
    """The route of the document of all these rooms and its own; made when it is first asked for."""
    routes = Routes(name="description", prefix="/api")

    @cache
    def document() -> tuple[bytes, str]:
        described = [route for room in (*rooms, routes) for route in room.described]
        content = msgspec.json.encode(openapi_document(described, title=TITLE, version=version))
        return content, sha256(content).hexdigest()[:16]

    @routes.get("/openapi.json", {200: dict[str, Any], 304: None}, headers=("If-None-Match",), answer_headers=("ETag",))
    async def openapi() -> Response:
        """Shows this document."""
        content, etag = document()
        known = request.if_none_match.contains(etag)
        given = {"Cache-Control": "no-cache", "ETag": f'"{etag}"'}
        return Response(b"" if known else content, 304 if known else 200, given, content_type=JSON)

    return routes
