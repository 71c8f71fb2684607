"""A configuration that cannot be used starts nothing, and says which key and why."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.operators import EXIT_S, ROOT, Operator

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-config")]


def run(config: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "node.py", "run", "-c", str(config)]
    variables = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=3 * EXIT_S)


@pytest.mark.parametrize(
    ("settings", "environment", "key"),
    [
        ({"": {"roles": ["sauce"]}}, {}, "roles"),
        ({"http": {"prot": 8089}}, {}, "http.prot"),
        ({}, {"ROAMNODE_OCPP__PORT": "ninety"}, "ocpp.port"),
    ],
)
def test_a_wrong_configuration_is_named_by_key_and_nothing_starts(
    tmp_path: Path, settings: dict[str, dict[str, object]], environment: dict[str, str], key: str
) -> None:
    operator = Operator("IE-001", tmp_path, roles=("destination",), stations={"CS01": 1}, settings=settings)
    operator.config_file.write_text(operator.configuration(), encoding="utf-8")
    ended = run(operator.config_file, **environment)
    operator.close()
    assert ended.returncode == 2
    assert f"configuration: {key}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "data").exists()


def test_a_port_that_is_taken_is_named_without_a_traceback(tmp_path: Path) -> None:
    operator = Operator("IE-001", tmp_path, roles=("destination",), stations={"CS01": 1})
    operator.config_file.write_text(operator.configuration(), encoding="utf-8")
    with socket.create_server(("127.0.0.1", operator.ocpp_port)):
        ended = run(operator.config_file)
    operator.close()
    assert ended.returncode == 1
    assert f"ocpp: cannot listen at 127.0.0.1:{operator.ocpp_port}" in ended.stderr
    assert "Traceback" not in ended.stderr
