"""CSV (RFC 4180) that spreadsheets open as it was meant: no text of it is computed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""How a field begins that a spreadsheet would compute (OWASP, CSV injection), or one that was guarded against it."""


def rows(lines: Iterable[Iterable[str]]) -> bytes:
    """Lines of fields as a CSV in UTF-8."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows(lines)
    return out.getvalue().encode()


def guarded(value: str) -> str:
    """A text that is one to a spreadsheet too; `unguarded` is the way back."""
    return f"'{value}" if FORMULA.match(value) else value


def unguarded(value: str) -> str:
    """What `guarded` was given."""
    return value[1:] if value.startswith("'") and FORMULA.match(value) else value
