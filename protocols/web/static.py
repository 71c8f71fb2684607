"""The files that pages are made of besides themselves: ours and others', served from memory, compressed, for good.

Each has its digest in its address, so that a browser keeps it for a year and asks for another when it has changed.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from functools import cache
from pathlib import Path
from typing import NamedTuple

from quart import Blueprint, request
from quart_trio.wrappers import TrioResponse as Response
from werkzeug.exceptions import NotFound

FOLDER = Path(__file__).parent / "static"
PREFIX = "/static"
DIGEST_LENGTH = 12
TYPES = {".js": "text/javascript", ".json": "application/json", ".svg": "image/svg+xml"}
FOR_GOOD = "public, max-age=31536000, immutable"


class File(NamedTuple):
    content: bytes
    compressed: bytes
    digest: str
    media_type: str


@cache
def names() -> frozenset[str]:
    """The files that are served, as paths within the folder."""
    served = (".css", ".js", ".json", ".png", ".svg")
    return frozenset(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.suffix in served)


@cache
def file(name: str) -> File:
    """One of the files, read once. Raises KeyError for one that is not served."""
    if name not in names():
        raise KeyError(name)
    path = FOLDER / name
    content = path.read_bytes()
    media_type = TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return File(
        content, gzip.compress(content, mtime=0), hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH], media_type
    )


def address(name: str) -> str:
    """Where a page finds this file."""
    return f"{PREFIX}/{name}?v={file(name).digest}"


def static_files() -> Blueprint:
    """The route that serves them, to anybody."""
    blueprint = Blueprint("static_files", __name__, url_prefix=PREFIX)

    @blueprint.get("/<path:name>")
    async def static_file(name: str) -> Response:
        try:
            found = file(name)
        except KeyError:
            raise NotFound from None
        headers = {"Cache-Control": FOR_GOOD, "ETag": f'"{found.digest}"', "Vary": "Accept-Encoding"}
        if found.digest in request.headers.get("If-None-Match", ""):
            return Response(b"", 304, headers)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return Response(
                found.compressed, 200, headers | {"Content-Encoding": "gzip"}, content_type=found.media_type
            )
        return Response(found.content, 200, headers, content_type=found.media_type)

    return blueprint
