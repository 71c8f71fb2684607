"""The rules of the house: who may import whom, who may touch the world, how large a room may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from statecharts import bounds, card_limits, limits, page_limits, webhook_limits
from statecharts.bounds import BOUNDS
from statecharts.limit import Limit
from statecharts.limits import LIMITS
from tests.support.sizes import FLOORS, ROOT, lines_of, sources, too_large

OTHER_FLOORS = {"statecharts": {"protocols", "actors"}, "protocols": {"actors"}, "actors": {"protocols"}}
INPUT_AND_OUTPUT = {
    *("trio", "anyio", "asyncio", "threading", "subprocess", "multiprocessing", "selectors", "signal"),
    *("socket", "ssl", "os", "io", "pathlib", "shutil", "tempfile", "sqlite3", "sqlalchemy", "httpx", "logging"),
    *("structlog", "time", "random", "secrets", "uuid"),
}
CODECS = ("protocols/ocpp/frames.py", "protocols/ocpp/schemas.py", "protocols/ocpp/dialect.py", "protocols/ocpp/v16",
          "protocols/mobieurope/mapping.py", "protocols/mobieurope/envelope.py")  # fmt: skip
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
EVENT = re.compile(r"'[a-z0-9_]+(\.[a-z0-9_]+)+'")
WORLD = {"random", "secrets"}
WORLD_CALLS = {"time.time", "datetime.now", "datetime.utcnow", "datetime.today", "uuid.uuid4", "uuid.uuid1"}


def imports(path: Path) -> Iterator[str]:
    """Every module that a module imports, wherever in it, with its full name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides which floor it comes from"
            yield node.module or ""


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def calls(path: Path) -> Iterator[str]:
    """What is called by a dotted name: `datetime.now` for `datetime.now(UTC)` and `datetime.datetime.now()`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            yield f"{owner}.{node.attr}"


def rooms(floor: str) -> list[Path]:
    found = [path for path in sources() if path.relative_to(ROOT).parts[0] == floor]
    assert found, f"{floor} is empty"
    return found


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_imports_no_floor_that_it_must_not_know(floor):
    broken = {str(path.relative_to(ROOT)): tops(path) & OTHER_FLOORS[floor] for path in rooms(floor)}
    assert {path: found for path, found in broken.items() if found} == {}


def test_no_floor_imports_node_py_or_the_tests():
    assert [path for path in sources() if tops(path) & {"node", "tests"}] == []


def test_statecharts_know_no_input_or_output():
    broken = {str(path.relative_to(ROOT)): tops(path) & INPUT_AND_OUTPUT for path in rooms("statecharts")}
    assert {path: found for path, found in broken.items() if found} == {}


def test_codecs_know_no_trio():
    files = [path for path in sources() if str(path.relative_to(ROOT)).startswith(CODECS)]
    assert len(files) > len(CODECS)
    assert [path for path in files if tops(path) & {"trio", "socket", "httpx"}] == []


def test_spyne_is_imported_in_one_module_only():
    assert [path.name for path in sources() if "spyne" in tops(path)] == ["spyne_import.py"]


def test_only_node_py_draws_randomness_and_reads_the_wall_clock():
    rest = [path for path in sources() if path.name != "node.py"]
    assert [path for path in rest if tops(path) & WORLD] == []
    found = {str(path.relative_to(ROOT)): WORLD_CALLS.intersection(calls(path)) for path in rest}
    assert {path: names for path, names in found.items() if names} == {}
    assert tops(ROOT / "node.py") >= WORLD


def logged(path: Path) -> Iterator[str]:
    """The events that a module logs, as it names them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level)) if level in LEVELS:
                yield ast.unparse(node.args[0])


def test_events_in_the_log_are_named_area_dot_event_so_that_one_can_search_for_them():
    events = {event for path in sources() for event in logged(path)}
    assert "'node.ready'" in events
    assert {event for event in events if not EVENT.fullmatch(event)} == set()


def test_no_type_checker_and_no_linter_is_silenced_in_bulk():
    marks = ("# type: ignore\n", "# noqa\n", "# mypy: ignore", "# ruff: noqa")
    assert [path for path in sources() if any(mark in path.read_text(encoding="utf-8") for mark in marks)] == []


def test_functions_and_files_stay_readable():
    assert too_large() == []


def test_files_are_counted_as_they_are():
    assert lines_of(ROOT / "node.py") == (ROOT / "node.py").read_text().count("\n")


def test_every_folder_says_what_it_is_for():
    packages = [path for path in sources() if path.name == "__init__.py"]
    assert [path for path in packages if not ast.get_docstring(ast.parse(path.read_text()))] == []


# -- bounds ------------------------------------------------------------------------------------------------------------

ENDINGS = ("_MAX", "_KEPT", "_ATTEMPTS", "_REMEMBERED")
IN_PLACE = re.compile(
    r"(maxsize|maxlen)=\d|(lru_cache|CapacityLimiter|Semaphore)\(\d|open_memory_channel(\[[^(]*\])?\([1-9]"
)
OF_LIMITS = ("bounds.py", "limits.py", "card_limits.py", "page_limits.py", "webhook_limits.py")
PAGES = {ROOT / "statecharts" / name for name in OF_LIMITS}
NAMES = {
    id(value): name
    for page in (bounds, limits, card_limits, page_limits, webhook_limits)
    for name, value in vars(page).items()
    if isinstance(value, Limit)
}


def code() -> str:
    """All that runs but the pages of bounds themselves."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sources() if path not in PAGES)


def maxima(path: Path) -> Iterator[str]:
    """Constants of a module that set a bound of their own: `X_MAX = 10`, `X_KEPT = 10`."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant | ast.BinOp):
            yield from (name.id for name in node.targets if isinstance(name, ast.Name) and name.id.endswith(ENDINGS))


def test_bounds_stand_on_the_page_of_bounds_and_nowhere_else():
    found = {str(path.relative_to(ROOT)): list(maxima(path)) for path in sources() if path not in PAGES}
    assert {path: names for path, names in found.items() if names} == {}


def test_no_queue_or_cache_is_given_a_number_in_place():
    assert [path for path in sources() if IN_PLACE.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("limit", (*BOUNDS, *LIMITS), ids=lambda limit: limit.name)
def test_a_bound_is_in_force_and_gives_its_reason(limit):
    assert re.search(rf"\b{NAMES[id(limit)]}\.limit\b|\b{NAMES[id(limit)]},", code())
    assert limit.limit > 0 and limit.unit and len(limit.reason) > 20


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: bound.name)
def test_the_fill_of_a_bound_is_reported(bound):
    assert re.search(rf"\bsaw\(\s*{NAMES[id(bound)]}\b", code()), "call Watermarks.saw where it is met"


def test_no_two_bounds_share_a_name():
    names = [limit.name for limit in (*BOUNDS, *LIMITS)]
    assert len(set(names)) == len(names)
