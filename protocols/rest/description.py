"""What this API can do: `GET /api/openapi.json` for programs, `GET /api/docs` for people; anybody may read both."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec
import trio
from quart import request
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import JSON
from protocols.rest.docs_page import docs_page
from protocols.rest.openapi import openapi_document
from protocols.rest.routes import Routes

TITLE = "roamnode"
HTML, CSS = "text/html", "text/css"

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy of the page: should anything foreign ever stand on it, it does nothing."""

SAFELY = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Content-Security-Policy": POLICY}


class _Kept(NamedTuple):
    content: bytes
    etag: str


def description_routes(rooms: Sequence[Routes], version: str) -> Routes:
    """The routes of the document of all these rooms and its own, and of its page; made when first asked for."""
    routes = Routes(name="description", prefix="/api")

    @cache
    def document() -> dict[str, Any]:
        described = [route for room in (*rooms, routes) for route in room.described]
        return openapi_document(described, title=TITLE, version=version)

    @cache
    def encoded() -> _Kept:
        return _kept(msgspec.json.encode(document()))

    @cache
    def page() -> _Kept:
        return _kept(docs_page(document(), style="docs/style.css", source="openapi.json"))

    @cache
    def style_sheet() -> _Kept:
        return _kept(files("protocols.rest").joinpath("docs.css").read_bytes())

    known: Any = {"headers": ("If-None-Match",), "answer_headers": ("ETag",)}

    @routes.get("/openapi.json", {200: dict[str, Any], 304: None}, **known)
    async def openapi() -> Response:
        """Shows this document."""
        return _answer(encoded(), JSON)

    @routes.get("/docs", {200: str, 304: None}, media_type=HTML, **known)
    async def docs() -> Response:
        """Shows this document as a page for people."""
        # The first time it takes a fifth of a second, for which nobody else should wait.
        response = _answer(await trio.to_thread.run_sync(page), f"{HTML}; charset=utf-8")
        response.headers.update(SAFELY)
        return response

    @routes.get("/docs/style.css", {200: str, 304: None}, media_type=CSS, **known)
    async def docs_style() -> Response:
        """Gives the style sheet of that page."""
        response = _answer(style_sheet(), f"{CSS}; charset=utf-8")
        response.headers.update(SAFELY)
        return response

    return routes


def _kept(content: bytes) -> _Kept:
    return _Kept(content, sha256(content).hexdigest()[:16])


def _answer(kept: _Kept, content_type: str) -> Response:
    known = request.if_none_match.contains(kept.etag)
    given = {"Cache-Control": "no-cache", "ETag": f'"{kept.etag}"'}
    return Response(b"" if known else kept.content, 304 if known else 200, given, content_type=content_type)
