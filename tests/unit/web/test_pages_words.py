"""The words and files of the pages: every language has every word, every word is used, every file is what it says."""

from __future__ import annotations

import gzip
import hashlib
import re
import string
import tomllib

import pytest

from protocols.web.languages import FIRST, languages
from protocols.web.rooms import TEMPLATES
from protocols.web.static import FOLDER, address, file, names
from statecharts.transaction_source import CHART
from statecharts.vocabulary import ServiceStatus
from tests.support.sizes import ROOT
from tests.unit.web.visiting import visitor

FIRST_VIEW_BYTES_MAX = 200_000
VENDOR = FOLDER / "vendor"
SOURCES = [*TEMPLATES.rglob("*.html"), *(ROOT / "protocols" / "web").rglob("*.py")]
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
CALLS = r"(?:\bt|words(?:_here\(\))?|t\.find)\(\s*['\"]([a-z_.A-Z-]+)['\"]"
WHOLE = set(re.findall(CALLS, TEXT))
BEGINNINGS = ("state.", "step.", "status.", "failed.", "problem.", "console.", "drive.", "receipt.")
"""Of words that templates put together."""


def places(text: str) -> set[str]:
    """The names of the values that stand in a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("code", sorted(languages()))
def test_a_language_has_every_word_with_the_same_places(code: str) -> None:
    first, words = languages()[FIRST], languages()[code]
    assert set(words.texts) == set(first.texts)
    places = {
        key: {name for _, name, _, _ in string.Formatter().parse(text) if name} for key, text in first.texts.items()
    }
    assert places == {
        key: {name for _, name, _, _ in string.Formatter().parse(text) if name} for key, text in words.texts.items()
    }


def test_every_word_that_a_page_uses_is_there() -> None:
    assert len(WHOLE) > 100
    known = languages()[FIRST].texts
    assert {word for word in WHOLE if word not in known and not word.endswith(".")} == set()
    built = {f"state.{state.name}" for state in CHART.states if state.name != "New"}
    built |= {f"status.{status.value}" for status in ServiceStatus}
    assert built - set(known) == set()


def test_no_word_is_left_that_no_page_uses() -> None:
    unused = {word for word in languages()[FIRST].texts if word not in WHOLE and not word.startswith(BEGINNINGS)}
    assert unused == {"language", "decimal_point"} - WHOLE


def test_a_word_that_nobody_has_is_an_error() -> None:
    with pytest.raises(KeyError, match="no word"):
        languages()["de"]("no.such.word")


async def test_the_browsers_language_is_taken_and_the_chosen_one_wins() -> None:
    who = visitor()
    assert '<html lang="de">' in await who.text("/drive/sign-in", headers={"Accept-Language": "fr, de;q=0.8"})
    assert '<html lang="en">' in await who.text("/drive/sign-in", headers={"Accept-Language": "fr"})
    assert '<html lang="de">' in await visitor(language="de").text("/drive/sign-in", headers={"Accept-Language": "fr"})
    german = {"Accept-Language": "en", "Cookie": "roamnode-language=de"}
    assert '<html lang="de">' in await who.text("/drive/sign-in", headers=german)


# -- files -------------------------------------------------------------------------------------------------------------


def test_others_files_are_those_that_they_published_with_their_licences() -> None:
    listed = tomllib.loads((VENDOR / "vendored.toml").read_text(encoding="utf-8"))["file"]
    here = {str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file()} - {"vendored.toml"}
    assert {each["name"] for each in listed} | {each["licence_file"] for each in listed} == here
    for each in listed:
        assert hashlib.sha256((VENDOR / each["name"]).read_bytes()).hexdigest() == each["sha256"], each["name"]
        assert each["package"] and each["version"] and each["licence"]


async def test_files_are_kept_for_good_and_sent_compressed() -> None:
    who = visitor()
    plain = await who.ask("GET", address("pages.css"))
    assert plain.headers["Cache-Control"].endswith("immutable")
    packed = await who.ask("GET", address("pages.css"), headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(await packed.get_data(as_text=False)) == await plain.get_data(as_text=False)
    known = await who.ask("GET", address("pages.css"), headers={"If-None-Match": plain.headers["ETag"]})
    assert known.status_code == 304


@pytest.mark.parametrize("path", ["/static/none.js", "/static/../rooms.py", "/static/vendor/vendored.toml", "/static/"])
async def test_nothing_else_is_served(path: str) -> None:
    assert (await visitor().ask("GET", path)).status_code == 404


def test_every_file_is_used() -> None:
    assert {name for name in names() if f"static('{name}')" not in TEXT} == set()


@pytest.mark.parametrize("template", ["drive/home.html", "drive/charge.html", "console/overview.html"])
def test_a_first_view_is_small(template: str) -> None:
    text = (
        (TEMPLATES / template).read_text()
        + (TEMPLATES / "base.html").read_text()
        + "".join(path.read_text() for path in (TEMPLATES / template.split("/")[0]).glob("base.html"))
    )
    used = set(re.findall(r"static\('([^']+)'\)", text)) - {"vendor/countries-50m.json"}
    size = sum(len(file(name).compressed) for name in used) + len(gzip.compress(text.encode()))
    assert size <= FIRST_VIEW_BYTES_MAX, size
