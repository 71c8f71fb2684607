"""A node has room for the connections that its configuration allows, or says that it has not."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocols.cli.config import Config, load_config
from protocols.cli.open_files import open_files, room_for

NARROW = 700


@pytest.fixture(autouse=True)
def narrow() -> Iterator[None]:
    """As a shell gives it: little, and more for the asking."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (NARROW, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def config(connections_max: int) -> Config:
    variables = {"ROAMNODE_OCPP__CONNECTIONS_MAX": connections_max, "ROAMNODE_HTTP__CONNECTIONS_MAX": 300}
    return load_config(Path("examples/both.toml"), {name: str(value) for name, value in variables.items()})


def allowed() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_room_is_made_for_the_connections_that_are_configured() -> None:
    assert list(room_for(config(connections_max=500))) == []
    assert allowed() >= 300 + 500


def test_more_than_the_system_gives_is_warned_of_by_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as kernel:
        kernel.setattr(resource, "setrlimit", refuses)
        ((key, reason),) = room_for(config(connections_max=500))
    assert key == "ocpp.connections_max"
    assert f"the system allows {NARROW}:" in reason


def test_who_has_enough_keeps_what_he_has() -> None:
    assert open_files(NARROW - 1) >= NARROW - 1
    assert allowed() == NARROW
