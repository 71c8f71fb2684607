"""Markup made of elements: whatever is no `Html` already is text, and is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

CODE = re.compile(r"`([^`\n]+)`")
VOID = ("meta", "link", "wbr")


class Html(str):
    """Text that is markup."""

    __slots__ = ()


def element(name: str, /, *inside: str | Iterable[str], **attributes: str) -> Html:
    """An element, well-formed as XML too. An attribute called `class_` or `for_` loses its underscore."""
    named = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{named}/>" if name in VOID else f"<{name}{named}>{joined(*inside)}</{name}>")


def joined(*parts: str | Iterable[str], by: str = "") -> Html:
    """All of these one after the other."""
    found = (piece for part in parts for piece in ((part,) if isinstance(part, str) else part))
    return Html(_safe(by).join(map(_safe, found)))


def prose(text: str) -> Html:
    """Text with what stands between back quotes as code."""
    pieces = CODE.split(text)
    return joined(element("code", piece) if at % 2 else piece for at, piece in enumerate(pieces))


def paragraphs(text: str) -> Html:
    """Prose whose paragraphs are divided by empty lines."""
    return joined(element("p", prose(" ".join(part.split()))) for part in text.split("\n\n") if part.strip())


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> Html:
    """A table that can be moved sideways where it is too wide."""
    head = element("thead", element("tr", (element("th", each, scope="col") for each in headings)))
    body = element("tbody", (element("tr", (element("td", cell) for cell in row)) for row in rows))
    return element("div", element("table", head, body), class_="wide", tabindex="0")


def _safe(text: str) -> str:
    return text if isinstance(text, Html) else escape(text)
