"""The OpenAPI 3.1 document of the API, made from the routes as they were described and the types they read and give.

Nothing is described here: what routes have in common follows from what they are (a token, a path, a body), the rest
stands beside each handler.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from protocols.rest.bodies import CARD_PATH, IDENTIFIER_PATH, NUMBER_PATH
from protocols.rest.headers import REQUEST_HEADERS, response_headers
from protocols.rest.kinds import KINDS, PEER_KINDS, common_kinds
from protocols.rest.motown import HTTP_STATUSES, ErrorAnswer
from protocols.rest.paths import SEGMENT, path_of
from protocols.rest.problems import PROBLEM_TYPE, ProblemDocument, phrase
from protocols.rest.recorded import CHANGES_NOTHING
from protocols.rest.routes import Access, Errors, Route
from protocols.rest.schemas import Schema, Schemas

PATH_SCHEMAS: dict[str, Schema] = {
    "card": {"type": "string", "minLength": 1, "maxLength": 36, "pattern": f"^{CARD_PATH}$"},
    "identifier": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": f"^{IDENTIFIER_PATH}$"},
    "number": {"type": "string", "pattern": f"^{NUMBER_PATH}$"},
}

SCHEMES = {
    Access.APP: {"type": "http", "scheme": "bearer", "description": "The token of an app, or of an operator."},
    Access.OPERATOR: {"type": "http", "scheme": "bearer", "description": "The token of an operator."},
}


def openapi_document(routes: Sequence[Route], *, title: str, version: str) -> dict[str, Any]:
    """The document of these routes. Raises ValueError where two of their types have one name."""
    parts = _Parts()
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(path_of(route.rule), {})[route.method.lower()] = parts.operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(route) for route in routes)],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(parts.schemas.components.items())),
            "responses": dict(sorted(parts.refusals.items())),
            "securitySchemes": {access.value: scheme for access, scheme in SCHEMES.items()},
        },
    }


def _tag(route: Route) -> str:
    return route.endpoint.partition(".")[0]


class _Parts:
    """What operations refer to, collected while they are made."""

    def __init__(self) -> None:
        self.schemas = Schemas()
        self.refusals: dict[str, Any] = {}

    def operation(self, route: Route) -> dict[str, Any]:
        summary, _, description = route.does.partition("\n")
        made: dict[str, Any] = {
            "operationId": route.endpoint,
            "tags": [_tag(route)],
            "summary": summary.rstrip("."),
            "description": description.strip(),
            "parameters": [*self._parameters(route)],
            "requestBody": self._body(route),
            "responses": dict(sorted({**dict(self._refusals(route)), **dict(self._answers(route))}.items())),
            "security": [] if route.access is Access.ANYBODY else [{route.access.value: []}],
        }
        return {name: value for name, value in made.items() if value or name == "security"}

    def _parameters(self, route: Route) -> Iterator[dict[str, Any]]:
        for found in SEGMENT.finditer(route.rule):
            yield {"name": found["name"], "in": "path", "required": True, "schema": _segment_schema(found)}
        for name, required, schema in self.schemas.parameters(route.query) if route.query else ():
            yield {"name": name, "in": "query", "required": required, "schema": schema}
        keyed = ("Idempotency-Key",) if route.keyed else ()
        for name in (*route.headers, *keyed, "X-Correlation-ID"):
            yield {"name": name, "in": "header", "required": False, **REQUEST_HEADERS[name]}

    def _body(self, route: Route) -> dict[str, Any] | None:
        if route.reads is None:
            return None
        media: dict[str, Any] = {"schema": self.schemas.read(route.reads)}
        if route.example is not None:
            media["example"] = route.example
        return {"required": True, "content": dict.fromkeys(route.accepts, media)}

    # -- what comes back -----------------------------------------------------------------------------------------------

    def _answers(self, route: Route) -> Iterator[tuple[str, dict[str, Any]]]:
        for status, type_ in route.gives.items():
            headers = response_headers(_own_headers(route, status))
            made: dict[str, Any] = {"description": phrase(status), "headers": headers}
            if type_ is not None:
                media = {route.media_type: type_, **(route.or_gives if status == 200 else {})}
                made["content"] = {name: {"schema": self.schemas.written(each)} for name, each in media.items()}
            yield str(status), made

    def _refusals(self, route: Route) -> Iterator[tuple[str, dict[str, Any]]]:
        if route.errors is Errors.MOTOWN:
            for code in sorted({400, *HTTP_STATUSES}):
                yield str(code), self._refusal(_tag(route), str(code), route.media_type, ErrorAnswer)
        else:
            for status, kinds in _kinds_by_status(route).items():
                yield status, self._refusal(".".join(kinds), status, PROBLEM_TYPE, ProblemDocument, kinds)

    def _refusal(
        self, name: str, status: str, media_type: str, type_: Any, kinds: Sequence[str] = ()
    ) -> dict[str, Any]:
        """A reference to a response that many operations share."""
        key = f"{status}-{name}"
        if key not in self.refusals:
            schema = self.schemas.written(type_)
            if kinds:
                schema = {**schema, "properties": {"kind": {"enum": [*kinds]}}}
            self.refusals[key] = {
                "description": ", ".join(kinds) or phrase(int(status)),
                "headers": response_headers(_refusal_headers(status)),
                "content": {media_type: {"schema": schema}},
            }
        return {"$ref": f"#/components/responses/{key}"}


def _segment_schema(found: re.Match[str]) -> Schema:
    if found["converter"] == "any":
        return {"type": "string", "enum": [choice.strip() for choice in found["choices"].split(",")]}
    return PATH_SCHEMAS[found["converter"]]


def _own_headers(route: Route, status: int) -> Iterator[str]:
    yield "X-Correlation-ID"
    yield from route.answer_headers
    if status in (201, 202):
        yield "Location"
    if route.keyed:
        yield "Idempotency-Replayed"
    if route.access is Access.APP:
        yield from ("RateLimit-Policy", "RateLimit")


def _refusal_headers(status: str) -> Iterator[str]:
    yield "X-Correlation-ID"
    if status == "401":
        yield "WWW-Authenticate"
    if status in ("409", "429", "503"):
        yield "Retry-After"
    if status == "429":
        yield from ("RateLimit-Policy", "RateLimit")


def _kinds_by_status(route: Route) -> Mapping[str, tuple[str, ...]]:
    """The problem kinds of a route under the statuses that they are answered with."""
    common = common_kinds(
        app=route.access is Access.APP,
        operator=route.access is Access.OPERATOR,
        path="<" in route.rule,
        query=route.query is not None,
        body=route.reads is not None,
        keyed=route.keyed,
        changes=route.method not in CHANGES_NOTHING,
        admins_only=route.admins_only,
    )
    found: dict[str, list[str]] = {}
    for kind in (*common, *route.refuses):
        found.setdefault(str(KINDS[kind]), []).append(kind)
    if route.passes_on_refusals:
        for status, kinds in found.items():
            kinds.extend(PEER_KINDS if status.startswith("4") else ())
        found["4XX"] = list(PEER_KINDS)
    return {status: tuple(dict.fromkeys(kinds)) for status, kinds in found.items()}
