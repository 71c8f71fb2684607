"""The words of the pages: one TOML file for each language, with the same keys. Another file is another language."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from werkzeug.datastructures import LanguageAccept

FOLDER = Path(__file__).parent / "languages"
FIRST = "en"
"""The language of whoever wants none that is here; it has every word."""


class Words:
    """The words of one language; call it with a key, and with the values that stand in the text as {name}."""

    def __init__(self, code: str, texts: Mapping[str, str], otherwise: Words | None = None) -> None:
        self.code, self.texts, self._otherwise = code, texts, otherwise

    def __call__(self, key: str, /, **values: Any) -> str:
        """The text. Raises KeyError for a key that no language has."""
        found = self.find(key)
        if found is None:
            raise KeyError(f"the pages have no word for {key!r}")
        return found.format(**values) if values else found

    def find(self, key: str) -> str | None:
        """The text as it stands in the file, None where there is none."""
        found = self.texts.get(key)
        return self._otherwise.find(key) if found is None and self._otherwise else found

    @property
    def name(self) -> str:
        """What the language calls itself."""
        return self("language")


@cache
def languages() -> dict[str, Words]:
    """Every language that is here, by its code (BCP 47)."""
    first = Words(FIRST, _texts(FIRST))
    codes = sorted(path.stem for path in FOLDER.glob("*.toml") if path.stem != FIRST)
    return {FIRST: first} | {code: Words(code, _texts(code), first) for code in codes}


def chosen(wanted: str | None, accepted: LanguageAccept, otherwise: str = FIRST) -> Words:
    """The words in the language that somebody has chosen, else in the one that the browser likes best, else in this."""
    known = languages()
    if wanted in known:
        return known[wanted]
    return known.get(accepted.best_match(known) or otherwise, known[FIRST])


def _texts(code: str) -> dict[str, str]:
    return dict(_flat(tomllib.loads((FOLDER / f"{code}.toml").read_text(encoding="utf-8"))))


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield before + key, str(value)
