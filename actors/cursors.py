"""Cursors of lists: where a page ended, as opaque text that only the same list takes back.

A cursor holds the sort key of the last item that was shown, not its number, so that pages neither skip nor repeat
anything when other items come or go between them.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from statecharts.ports import Page
from statecharts.vocabulary import refused

Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""What a database can compare with."""

Text = Annotated[str, Meta(pattern=r"\A[^\x00]*\Z")]

Key = tuple[int | str, ...]

SHOWN_AT_ONCE = 50
"""How many items a page has where nobody asks for another number."""

S = TypeVar("S")
T = TypeVar("T")

_DECODER = msgspec.json.Decoder(tuple[str, list[Number | Text]])


def cursor_of(listed: str, *key: int | str) -> str:
    """A cursor of the list `listed` after the item with this sort key."""
    return urlsafe_b64encode(msgspec.json.encode((listed, key))).decode("ascii").rstrip("=")


def place_of(cursor: str, listed: str, *kinds: type) -> Key:
    """The sort key in a cursor of this list, of values of these kinds. Raises `Refused` 400 for any other cursor."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        found, key = _DECODER.decode(urlsafe_b64decode(padded))
    except (ValueError, msgspec.MsgspecError):
        found, key = "", []
    if found != listed or [type(part) for part in key] != list(kinds):
        raise refused(400, "cursor-unknown", "this cursor is not one of this list's: begin again without it")
    return tuple(key)


def page_of(found: Sequence[S], limit: int, cursor: Callable[[S], str], shown: Callable[[S], T]) -> Page[T]:
    """A page of the first `limit` of the items found; one more was looked for, to know whether there are more."""
    more = len(found) > limit
    items = tuple(shown(each) for each in found[:limit])
    return Page(items=items, next_cursor=cursor(found[limit - 1]) if more else None)
