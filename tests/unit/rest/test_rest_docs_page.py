"""The page of the API: all of the OpenAPI document, nothing but it, and nothing on it that runs."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import msgspec
import pytest
import trio
from lxml import etree

from protocols.rest.description import POLICY
from protocols.rest.docs_page import docs_page
from protocols.rest.docs_shapes import shape
from protocols.rest.html import Html, element, joined, paragraphs, prose
from tests.unit.rest.fakes import World

PAGE, STYLE = "/api/docs", "/api/docs/style.css"


async def got(path: str, **more: Any) -> Any:
    response = await World().ask("GET", path, token=None, **more)
    assert response.status_code == 200
    return response


@pytest.fixture(scope="module")
def document() -> Any:
    async def ask() -> Any:
        return msgspec.json.decode(await (await got("/api/openapi.json")).get_data())

    return trio.run(ask)


@pytest.fixture(scope="module")
def page() -> Any:
    """The page as a tree, which only what is well-formed has."""

    async def ask() -> Any:
        return etree.fromstring(await (await got(PAGE)).get_data(), etree.XMLParser(resolve_entities=False))

    return trio.run(ask)


def text_of(found: Any) -> str:
    return "".join(found.itertext())


def operations(document: Any) -> dict[str, Any]:
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_on_the_page_with_all_that_the_document_says_of_it(document: Any, page: Any) -> None:
    articles = {article.get("id"): article for article in page.iter("article")}
    assert set(articles) == set(operations(document))
    for name, (method, path, operation) in operations(document).items():
        told = text_of(articles[name])
        assert f"{method} {path}" in told
        assert operation["summary"].replace("`", "") in told
        codes = {text_of(code) for code in articles[name].iter("code")}
        assert {each["name"] for each in operation.get("parameters", ())} <= codes
        statuses = {text_of(cell) for cell in articles[name].iter("b")}
        assert set(operation["responses"]) <= statuses
        assert set(operation.get("requestBody", {}).get("content", ())) <= codes


def test_who_may_is_said_of_every_route(document: Any, page: Any) -> None:
    said = {article.get("id"): text_of(article) for article in page.iter("article")}
    assert "Who may: The token of an operator." in said["operators.cdrs"]
    assert "Who may: Anybody, without a token." in said["health.health"]
    assert all("Who may: " in text for text in said.values())


def test_every_kind_of_error_is_told(document: Any, page: Any) -> None:
    codes = {text_of(code) for code in page.iter("code")}
    for answer in document["components"]["responses"].values():
        assert set(answer["description"].split(", ")) <= codes


def test_every_schema_is_at_the_end_with_its_fields(document: Any, page: Any) -> None:
    sections = {section.get("id"): section for section in page.iter("section") if section.get("class") == "schema"}
    schemas = document["components"]["schemas"]
    assert set(sections) == {f"schema-{name}" for name in schemas}
    for name, schema in schemas.items():
        codes = {text_of(code) for code in sections[f"schema-{name}"].iter("code")}
        assert {name, *schema.get("properties", ())} <= codes


def test_every_link_within_the_page_leads_somewhere_and_no_two_places_have_one_name(page: Any) -> None:
    ids = Counter(found.get("id") for found in page.iter() if found.get("id"))
    assert max(ids.values()) == 1
    links = [found.get("href") for found in page.iter("a")]
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert {link for link in links if not link.startswith("#")} == {"openapi.json"}
    contents = [found.get("href") for nav in page.iter("nav") for found in nav.iter("a")]
    assert {f"#{article.get('id')}" for article in page.iter("article")} <= set(contents)


def test_a_body_with_an_example_has_a_curl_of_it(document: Any, page: Any) -> None:
    shown = {article.get("id"): [text_of(pre) for pre in article.iter("pre")] for article in page.iter("article")}
    for name, (method, path, operation) in operations(document).items():
        media = operation.get("requestBody", {}).get("content", {}).values()
        assert bool(shown[name]) == any("example" in each for each in media), name
        assert all(f"curl -X {method}" in each and path in each for each in shown[name])


def test_nothing_on_it_runs_and_nothing_is_styled_in_place(page: Any) -> None:
    assert not [*page.iter("script", "style", "iframe", "object", "img", "form")]
    assert not [name for found in page.iter() for name in found.attrib if name.startswith("on") or name == "style"]
    assert [link.get("href") for link in page.iter("link")] == ["docs/style.css"]


async def test_its_headers_let_nothing_else_in_and_it_is_known_again_by_its_etag() -> None:
    for path, kind in ((PAGE, "text/html"), (STYLE, "text/css")):
        first = await got(path)
        assert first.content_type == f"{kind}; charset=utf-8"
        assert first.headers["Content-Security-Policy"] == POLICY
        assert first.headers["X-Content-Type-Options"] == "nosniff"
        known = {"If-None-Match": first.headers["ETag"]}
        again = await World().ask("GET", path, token=None, headers=known)
        assert (again.status_code, await again.get_data()) == (304, b"")
    assert POLICY == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


async def test_the_style_has_a_dark_side_and_names_nothing_outside_and_every_class_of_the_page(page: Any) -> None:
    style = (await (await got(STYLE)).get_data()).decode()
    assert "prefers-color-scheme: dark" in style
    assert "url(" not in style and "@import" not in style and "http" not in style
    used = {name for found in page.iter() for name in (found.get("class") or "").split()}
    assert used <= set(re.findall(r"\.([a-z]+)", style))


HOSTILE = "</p><script>alert('1')</script> & \"quoted\""


def test_whatever_a_document_says_is_text() -> None:
    schema = {"type": "object", "description": HOSTILE, "properties": {HOSTILE: {"enum": [HOSTILE]}}}
    operation = {
        "operationId": HOSTILE,
        "tags": [HOSTILE],
        "summary": HOSTILE,
        "description": HOSTILE,
        "security": [{"x": []}],
        "parameters": [
            {"name": HOSTILE, "in": HOSTILE, "required": True, "description": HOSTILE, "schema": {"pattern": HOSTILE}}
        ],
        "requestBody": {"content": {HOSTILE: {"schema": schema, "example": HOSTILE}}},
        "responses": {
            "200": {"content": {HOSTILE: {"schema": {"const": HOSTILE}}}, "headers": {HOSTILE: {}}},
            "400": {"$ref": "#/components/responses/r"},
        },
    }
    document = {
        "info": {"title": HOSTILE, "version": HOSTILE},
        "tags": [{"name": HOSTILE}],
        "paths": {f"/{HOSTILE}": {"post": operation}},
        "components": {
            "schemas": {HOSTILE: schema},
            "responses": {"r": {"description": HOSTILE, "content": {HOSTILE: {"schema": schema}}}},
            "securitySchemes": {"x": {"description": HOSTILE}},
        },
    }
    content = docs_page(document, style="s", source="o")
    tree = etree.fromstring(content)
    assert not [*tree.iter("script")]
    assert text_of(tree).count("<script>") > 15


# -- parts -------------------------------------------------------------------------------------------------------------


def test_markup_is_escaped_once_and_only_where_it_is_text() -> None:
    assert element("a", "<b>", element("i", "&"), href='"') == '<a href="&quot;">&lt;b&gt;<i>&amp;</i></a>'
    assert element("meta", charset="x") == '<meta charset="x"/>'
    assert joined(Html("<b/>"), "<", by=" & ") == "<b/> &amp; &lt;"
    assert prose("a `b<` c`") == "a <code>b&lt;</code> c`"
    assert paragraphs("a\nb\n\nc\n\n") == "<p>a b</p><p>c</p>"


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "string", "minLength": 1, "maxLength": 5, "pattern": "a"}, "string (1 to 5 characters, matches a)"),
        ({"type": "integer", "minimum": 1}, "integer (at least 1)"),
        ({"type": "number", "maximum": 90, "exclusiveMinimum": 0}, "number (up to 90, more than 0)"),
        ({"type": "string", "format": "date-time", "pattern": "..."}, "time"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/A"}, "maxItems": 3}, "list of A (up to 3 items)"),
        ({"enum": ["a", 1, None]}, "a, 1, null"),
        ({"const": True}, "true"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, "string or null (without it null)"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "object of names, each with integer"),
        ({"type": "object"}, "object"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"type": "string", "default": ""}, 'string (without it "")'),
        ({}, "anything"),
    ],
    ids=str,
)  # fmt: skip
def test_a_schema_is_told_in_words(schema: Any, told: str) -> None:
    assert text_of(etree.fromstring(element("p", shape(schema)))) == told
