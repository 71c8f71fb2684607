"""How large our functions and files are; exit status 1 when one is too large. `python -m tests.support.sizes`"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FLOORS = ("statecharts", "protocols", "actors")
FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400


class Function(NamedTuple):
    """`lines` are those of its text without its docstring."""

    lines: int
    place: str


def sources() -> list[Path]:
    """All modules that a node runs; migrations are written once and never change."""
    modules = (path for floor in FLOORS for path in sorted((ROOT / floor).rglob("*.py")))
    return [ROOT / "node.py", *(path for path in modules if "versions" not in path.parts)]


def functions(path: Path) -> Iterator[Function]:
    """Every function of a module, nested ones too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = node.body[0] if ast.get_docstring(node, clean=False) is not None else None
            of_docstring = docstring.end_lineno - docstring.lineno + 1 if docstring else 0
            lines = node.end_lineno - node.lineno + 1 - of_docstring
            yield Function(lines, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def too_large() -> list[str]:
    """What breaks a bound, in words."""
    long = [each for path in sources() for each in functions(path) if each.lines > FUNCTION_LINES_MAX]
    tall = [path for path in sources() if lines_of(path) > FILE_LINES_MAX]
    return [
        *(f"{each.place} has {each.lines} lines, over {FUNCTION_LINES_MAX}" for each in long),
        *(f"{path.relative_to(ROOT)} has {lines_of(path)} lines, over {FILE_LINES_MAX}" for path in tall),
    ]


def report() -> str:
    """The sizes of all functions in two lines, and the largest ones."""
    every = sorted((each for path in sources() for each in functions(path)), reverse=True)
    sizes = [each.lines for each in every]
    p90 = statistics.quantiles(sizes, n=10)[-1]
    head = f"{len(sizes)} functions: median {statistics.median(sizes):g} lines, p90 {p90:.0f}, largest {sizes[0]}"
    files = f"{len(sources())} files, largest {max(map(lines_of, sources()))} lines"
    return "\n".join([head, files, *(f"{each.lines:5} {each.place}" for each in every[:5])])


if __name__ == "__main__":
    print(report())
    problems = too_large()
    print("\n".join(problems) or f"none over {FUNCTION_LINES_MAX} lines, no file over {FILE_LINES_MAX}")
    sys.exit(bool(problems))
