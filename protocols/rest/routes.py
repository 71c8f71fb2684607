"""How a route is described: once, beside its handler, for whoever calls it and for the OpenAPI document alike.

A `Routes` is a blueprint whose handlers say what they read and give. The body or the query is read as it was said, so
that the document cannot tell of another; what the route does is the handler's docstring.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypedDict, Unpack

import msgspec
from quart import Blueprint
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import BearerAuth, principal
from protocols.rest.bodies import CSV, JSON, TEXT, body, csv_text, query, text
from protocols.rest.idempotency import IdempotencyKeys
from protocols.rest.problems import Problem
from protocols.rest.recorded import Recorder
from statecharts.ports import Rank

Handler = Callable[..., Awaitable[Response]]


class Access(StrEnum):
    """Whose token opens a route; an operator's opens an app's too."""

    ANYBODY = "anybody"
    APP = "app"
    OPERATOR = "operator"


class Errors(StrEnum):
    """The shape that errors have in a room."""

    PROBLEM = "problem"
    MOTOWN = "motown"


class Description(TypedDict, total=False):
    """What a handler says of its route besides what it gives.

    `reads` is the type of the body, `query` that of the query string: the handler gets them, the body first.
    `headers` are those of the request that mean something, `answer_headers` those of the answer. `refuses` names the
    kinds of problems of this route's own, `passes_on_refusals` that the other operator's come beside them. `keyed`
    gives a request under an Idempotency-Key its first answer again, `admins_only` keeps out operators of a lesser role.
    `example` is a body that works on the node of examples/both.toml. `or_gives`: what a 200 carries in other media
    types than its own, where the client has a choice.
    """

    reads: Any
    query: type[msgspec.Struct]
    headers: tuple[str, ...]
    answer_headers: tuple[str, ...]
    refuses: tuple[str, ...]
    passes_on_refusals: bool
    keyed: bool
    admins_only: bool
    example: Mapping[str, Any] | str
    accepts: tuple[str, ...]
    media_type: str
    or_gives: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route; see `Description`. `gives` is what each successful status carries, None for no body."""

    endpoint: str
    method: str
    rule: str
    does: str
    access: Access
    errors: Errors
    gives: Mapping[int, Any]
    media_type: str
    accepts: tuple[str, ...]
    reads: Any = None
    query: type[msgspec.Struct] | None = None
    headers: tuple[str, ...] = ()
    answer_headers: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    passes_on_refusals: bool = False
    keyed: bool = False
    admins_only: bool = False
    example: Mapping[str, Any] | str | None = None
    or_gives: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Routes:
    """The routes of one room of the API, behind the same kind of token; `name` is the room's in the document."""

    name: str
    prefix: str
    auth: BearerAuth | None = None
    access: Access = Access.ANYBODY
    errors: Errors = Errors.PROBLEM
    media_type: str = JSON
    accepts: tuple[str, ...] = (JSON,)
    keys: IdempotencyKeys | None = None
    recorder: Recorder | None = None
    blueprint: Blueprint = field(init=False)
    described: list[Route] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.blueprint = Blueprint(self.name, __name__, url_prefix=self.prefix)
        if self.auth is not None:
            operators_only = self.access is Access.OPERATOR
            self.auth.guard(self.blueprint, operators_only=operators_only, recorder=self.recorder)

    def get(self, rule: str, gives: Any, **more: Unpack[Description]) -> Callable[[Handler], Handler]:
        """Registers the handler of a GET (and HEAD). `gives` is a type, answered with 200, or one for each status."""
        return self._registers("GET", rule, gives, more)

    def post(self, rule: str, gives: Any, **more: Unpack[Description]) -> Callable[[Handler], Handler]:
        """Registers the handler of a POST."""
        return self._registers("POST", rule, gives, more)

    def patch(self, rule: str, gives: Any, **more: Unpack[Description]) -> Callable[[Handler], Handler]:
        """Registers the handler of a PATCH."""
        return self._registers("PATCH", rule, gives, more)

    def put(self, rule: str, gives: Any, **more: Unpack[Description]) -> Callable[[Handler], Handler]:
        """Registers the handler of a PUT."""
        return self._registers("PUT", rule, gives, more)

    def delete(self, rule: str, gives: Any, **more: Unpack[Description]) -> Callable[[Handler], Handler]:
        """Registers the handler of a DELETE."""
        return self._registers("DELETE", rule, gives, more)

    def _registers(self, method: str, rule: str, gives: Any, more: Description) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            usual: Description = {"media_type": self.media_type, "accepts": self.accepts}
            described: Any = {**usual, **more}
            route = Route(
                endpoint=f"{self.name}.{handler.__name__}",
                method=method,
                rule=self.prefix + rule,
                does=inspect.getdoc(handler) or "",
                access=self.access,
                errors=self.errors,
                gives=gives if isinstance(gives, Mapping) else {200: gives},
                **described,
            )
            self.described.append(route)
            self.blueprint.add_url_rule(rule, handler.__name__, self._view(route, handler), methods=[method])
            return handler

        return register

    def _view(self, route: Route, handler: Handler) -> Handler:
        """The handler behind what reads the request for it."""

        async def read() -> tuple[Any, ...]:
            asked = (query(route.query),) if route.query is not None else ()
            return asked if route.reads is None else (await content(), *asked)

        async def content() -> Any:
            if route.accepts == (CSV,):
                return await csv_text()
            return await (text(route.reads) if route.accepts == (TEXT,) else body(route.reads, route.accepts))

        async def view(**path: Any) -> Response:
            if route.admins_only and principal().rank is not Rank.ADMIN:
                raise Problem(403, "admins-only", "This needs the token of an operator whose role is `admin`.")
            return await handler(*await read(), **path)

        async def keyed(**path: Any) -> Response:
            assert self.keys is not None, f"{self.name} has no keys"
            asked = await read()
            return await self.keys.answer(handler.__name__, asked, lambda: handler(*asked, **path))

        return keyed if route.keyed else view
