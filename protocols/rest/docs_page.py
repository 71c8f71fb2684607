"""The OpenAPI document as a page for people, made of nothing else: no script, one style sheet, every text escaped."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from protocols.rest.docs_shapes import in_full, named, shape, told
from protocols.rest.html import Html, element, joined, paragraphs, prose, table

ROOMS = {
    "apps": "Apps: authorise, start, stop, follow",
    "operators": "Operators",
    "sv1": "Motown's Source API",
    "dv1": "Motown's Destination API",
    "health": "Health",
    "metrics": "Metrics",
    "description": "The API itself",
}
"""What rooms are called; another by its name."""

MANY = 12
"""A room with more routes than that is divided by what its paths begin with."""

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Told:
    """A route as the document tells it."""

    path: str
    method: str
    operation: Document

    @property
    def id(self) -> str:
        return str(self.operation["operationId"])

    @property
    def room(self) -> str:
        return str(self.operation["tags"][0])


def docs_page(document: Document, *, style: str, source: str) -> bytes:
    """The page of a document, in UTF-8. `style` is where its style sheet is, `source` where the document itself is."""
    info, routes = document["info"], [*_told(document)]
    rooms = [(name, _divided([each for each in routes if each.room == name])) for name in _names(document)]
    schemas = document["components"]["schemas"]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{info['title']} {info['version']}: the API"),
        element("link", rel="stylesheet", href=style),
    )
    main = element(
        "main",
        element("h1", f"{info['title']}: the API"),
        _about(info, len(routes), source),
        (_room(name, found, document) for name, found in rooms),
        element("section", element("h2", "Schemas"), (in_full(*each) for each in schemas.items()), id="schemas"),
        id="main",
    )
    body = element("body", element("a", "To the routes", href="#main", class_="skip"), _contents(rooms), main)
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n".encode()


def _about(info: Document, count: int, source: str) -> Html:
    link = element("a", "the OpenAPI document", href=source)
    told = element("p", f"Release {info['version']}, {count} routes. For programs there is ", link, ".")
    token = element("code", "Authorization: Bearer $TOKEN")
    how = element("p", "Who needs a token sends ", token, ". In the examples ", element("code", "$URL"),
                  " is this node, and what stands in braces is yours to fill in.")  # fmt: skip
    return joined(told, how)


def _names(document: Document) -> list[str]:
    return [str(tag["name"]) for tag in document["tags"]]


def _told(document: Document) -> Iterator[_Told]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield _Told(path, method.upper(), operation)


Parts = dict[str, list[_Told]]
"""A room's routes, by what their paths begin with."""

# -- rooms -------------------------------------------------------------------------------------------------------------


def _contents(rooms: Iterable[tuple[str, Parts]]) -> Html:
    entries = [
        element("details", element("summary", _title(name)), map(_links, parts.values()), open="open")
        for name, parts in rooms
    ]
    to_schemas = element("p", element("a", "Schemas", href="#schemas"))
    return element("nav", element("p", "Contents", class_="title"), entries, to_schemas, aria_label="Contents")


def _links(routes: Iterable[_Told]) -> Html:
    return element("ul", (element("li", element("a", _line(each), href=f"#{each.id}")) for each in routes))


def _line(route: _Told) -> Html:
    return joined(_badge(route.method), " ", element("code", _breakable(route.path)))


def _badge(method: str) -> Html:
    return element("b", method, class_=f"method {method.lower()}")


def _breakable(path: str) -> Html:
    """A path that a narrow screen may break before each of its parts."""
    first, *rest = path.split("/")
    return joined(first, *(joined(element("wbr"), "/", part) for part in rest))


def _title(room: str) -> str:
    return ROOMS.get(room, room)


def _room(name: str, parts: Parts, document: Document) -> Html:
    inside: list[Html] = []
    for part, routes in parts.items():
        inside += [element("h3", part, class_="part")] if part else []
        inside += [_route(each, document) for each in routes]
    return element("section", element("h2", _title(name)), inside, id=f"room-{name}")


def _divided(routes: list[_Told]) -> Parts:
    """A room's routes by what their paths begin with, where there are many; else all of them under ""."""
    at = _where_they_part([each.path for each in routes]) if len(routes) > MANY else None
    parts: Parts = {}
    for each in routes:
        parts.setdefault("" if at is None else each.path.split("/")[at].partition(".")[0], []).append(each)
    return parts


def _where_they_part(paths: list[str]) -> int:
    """The place of the first part of a path in which these differ."""
    divided = list(zip(*(path.split("/") for path in paths), strict=False))
    return next((at for at, parts in enumerate(divided) if len(set(parts)) > 1), len(divided) - 1)


# -- one route ---------------------------------------------------------------------------------------------------------


def _route(route: _Told, document: Document) -> Html:
    operation = route.operation
    return element(
        "article",
        element("h4", _line(route), " ", element("a", "#", href=f"#{route.id}", title="Link to this route")),
        element("p", prose(f"{operation['summary']}."), class_="does"),
        paragraphs(operation.get("description", "")),
        element("p", element("b", "Who may: "), _who(operation, document)),
        _parameters(operation.get("parameters", ())),
        _body(operation.get("requestBody")),
        _answers(operation["responses"]),
        _errors(operation["responses"], document),
        _example(route),
        id=route.id,
    )


def _who(operation: Document, document: Document) -> Html:
    schemes = document["components"]["securitySchemes"]
    names = [name for each in operation["security"] for name in each]
    return prose(" ".join(schemes[name]["description"] for name in names) or "Anybody, without a token.")


def _parameters(parameters: Iterable[Document]) -> Html:
    rows = [
        (
            named(each["name"], required=each["required"]),
            str(each["in"]),
            told(each["schema"], each.get("description", "")),
        )
        for each in parameters
    ]
    return _part_of("Parameters", table(("name", "in", "what it is"), rows)) if rows else Html()


def _body(body: Document | None) -> Html:
    if body is None:
        return Html()
    return _part_of("Body", element("ul", _media(body["content"])))


def _media(content: Document) -> Iterator[Html]:
    for media_type, media in content.items():
        yield element("li", element("code", media_type), ": ", shape(media["schema"]))


def _answers(responses: Document) -> Html:
    rows = [
        (
            element("b", status),
            element("ul", _media(answer["content"])) if "content" in answer else "nothing",
            joined((element("code", name) for name in answer.get("headers", ())), by=", "),
        )
        for status, answer in responses.items()
        if "$ref" not in answer
    ]
    return _part_of("Answers", table(("status", "body", "headers"), rows))


def _errors(responses: Document, document: Document) -> Html:
    rows = []
    for status, answer in responses.items():
        if "$ref" in answer:
            refusal = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
            kinds = refusal["description"].split(", ")
            body = element("ul", _media(refusal["content"]))
            rows.append((element("b", status), joined((element("code", kind) for kind in kinds), by=", "), body))
    return _part_of("Errors", table(("status", "kinds", "body"), rows), folded=True) if rows else Html()


def _example(route: _Told) -> Html:
    content = route.operation.get("requestBody", {}).get("content", {})
    found = ((media_type, media["example"]) for media_type, media in content.items() if "example" in media)
    media_type, example = next(found, (None, None))
    if media_type is None:
        return Html()
    data = example if isinstance(example, str) else msgspec.json.encode(example).decode()
    words = [f"curl -X {route.method}"]
    if route.operation["security"]:
        words.append('-H "Authorization: Bearer $TOKEN"')
    words += [f'-H "Content-Type: {media_type}"', f"--data-binary {shlex.quote(data)}", f'"$URL{route.path}"']
    return _part_of("Example", element("pre", element("code", " \\\n  ".join(words)), tabindex="0"))


def _part_of(title: str, inside: Html, *, folded: bool = False) -> Html:
    """A part of a route; one that is `folded` is opened by whoever wants it."""
    if folded:
        return element("details", element("summary", title), inside)
    return joined(element("h5", title), inside)
