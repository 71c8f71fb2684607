"""What all pages of the console share: the doors that they look through, and how they read what is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from quart import request
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import Cursor, converted
from protocols.rest.problems import Problem
from protocols.rest.v1.events import EventStreams
from protocols.web.rooms import Room, principal_here, words_here
from statecharts.doors import Insight, OperatorDoor
from statecharts.ports import Rank

S = TypeVar("S", bound=msgspec.Struct)
F = TypeVar("F", bound=Callable[..., Any])

NAME = "console"


class OnlyPages(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an operator sits: the console's room, and the doors behind it."""

    room: Room
    operators: OperatorDoor
    insight: Insight
    streams: EventStreams

    def get(self, rule: str) -> Callable[[F], F]:
        """Registers a page."""
        return self.room.blueprint.get(rule)

    def post(self, rule: str) -> Callable[[F], F]:
        """Registers what a form is sent to; viewers do not come in."""
        return self.room.blueprint.post(rule)

    def page(self, template: str, **values: Any) -> Response:
        """A page of the console; it is read again whenever one of its `resources` changes."""
        return self.room.page(f"console/{template}", **{"resources": "", **values})


def asked(type_: type[S]) -> S:
    """The query as a struct; what a form has left empty is not asked for. Raises `Problem` 400."""
    return converted(_filled(request.args.to_dict()), type_)


async def told(type_: Any) -> Any:
    """The form as a struct, without what it has left empty. Raises `Problem` 400."""
    return converted(_filled((await request.form).to_dict()), type_)


def _filled(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: text.strip() for name, text in fields.items() if name != "csrf" and text.strip()}


def shown_filter(query: msgspec.Struct) -> dict[str, Any]:
    """What a filter's form shows of the query, and how the page after it is asked for."""
    return {name: value for name, value in msgspec.to_builtins(query).items() if value is not None and name != "cursor"}


def admins_only() -> None:
    """Raises `Problem` 403 for whoever is no admin."""
    if principal_here().rank is not Rank.ADMIN:
        raise Problem(403, "admins-only", words_here()("problem.admins-only.why"))


def back_to(place: str) -> Response:
    """After something was done: the page that shows it."""
    return Response(b"", 303, {"Location": place})
