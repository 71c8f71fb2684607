"""A node that starts again imports only what it runs on: what a library brings along by the way costs every start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.operators import Operator, make_partners, running

pytestmark = pytest.mark.live

NOT_NEEDED = frozenset(
    {
        *("alembic", "mako"),  # only while the database is brought to the newest step
        *("rich.console", "pygments"),  # of the demo; structlog would take them along
        *("httpx._api", "httpcore"),  # of tests and the demo; zeep would take them along
        *("jsonschema", "ocpp.charge_point", "ocpp.v16"),  # of the other OCPP implementation, in tests
        *("psycopg", "sqlalchemy.dialects.postgresql"),  # not on SQLite
        *("hypothesis", "pytest", "unittest.mock"),
    }
)


def imported(operator: Operator) -> set[str]:
    """Every module that its node imports, from its start to its end; those that it does not find stand there too."""
    with running(operator):
        node = operator.node
    lines = [line for line in node.other_lines if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def test_a_node_imports_no_more_than_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    operator, partner = (Operator(name, tmp_path / name, stations={"CS01": 1}) for name in ("NL-MOT", "IE-001"))
    make_partners(operator, partner)
    first = imported(operator)
    assert first & NOT_NEEDED >= {"alembic"}
    assert first >= {"spyne", "zeep", "quart", "trio"}
    assert imported(operator) & NOT_NEEDED == set()
