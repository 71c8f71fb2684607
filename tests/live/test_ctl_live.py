"""`node.py ctl` and a node that runs: what an operator does with one, by its words and by its exit status."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.live.operators import free_ports
from tests.live.test_commands_live import node, read_until, running
from tests.support.sizes import ROOT
from tests.unit.cli.conftest import CommandLine, FakeStarter

pytestmark = pytest.mark.live

STATION = "NL-MOT-CS01"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    http, ocpp = free_ports(2)
    text = (ROOT / "examples" / "both.toml").read_text()
    text = text.replace('"data/both"', f'"{tmp_path}/data"').replace("port = 8089", f"port = {http}")
    path = tmp_path / "node.toml"
    path.write_text(text.replace("port = 9000", f"port = {ocpp}"))
    return path


def test_an_operator_works_with_a_node_from_the_command_line(config: Path, capsys: Any) -> None:
    cli = CommandLine(FakeStarter(), capsys)

    def ctl(*words: str) -> int:
        return cli.call("ctl", "--config", config, *words)

    def found(*words: str) -> Any:
        assert ctl(*words, "--json") == 0
        return json.loads("".join(cli.out))

    with running("run", "--config", config) as process:
        read_until(process, "node.ready")
        threading.Thread(target=process.stdout.read, daemon=True).start()  # so that its pipe never fills

        real = node("ctl", "--config", config, "stations", "list")
        assert (real.returncode, real.stderr) == (0, "")
        assert STATION in real.stdout

        for number in range(3):
            place = ("location.latitude=52.37", "location.longitude=4.89")
            assert ctl("stations", "register", f"identity=CS-{number}", "connectors=2", *place) == 0
        listed = found("stations", "list", "--text", "CS-", "--limit", "2")
        assert ([each["identity"] for each in listed["items"]], listed["more"]) == (["CS-0", "CS-1"], True)
        assert ctl("stations", "list", "--limit", "1") == 0
        assert cli.err == ["there are more: --limit 2"]
        assert found("stations", "show", "CS-0")["location"]["latitude"] == 52.37

        assert ctl("stations", "reject", "CS-0") == 1
        assert cli.out == [] and "`reason`: is missing" in cli.err[0]
        assert ctl("stations", "reject", "CS-0", "reason=not ours") == 0
        assert ctl("stations", "show", "CS 99/x") == 1
        assert ctl("stations", "command", STATION, "Reset", "kind=Soft") == 1
        assert "not connected" in cli.err[-1]
        (operation,) = found("operations", "list", "--state", "Failed")["items"]
        assert found("operations", "show", operation["id"], "--wait-s", "1")["command"] == "Reset"

        log = found("audit", "list", "--path", "/api/v1/operator/stations")
        assert [each["status"] for each in log["items"]] == [202, 200, 400, 201, 201, 201]
        assert {each["by"] for each in log["items"]} == {"control-room"}
        assert ctl("peers", "block", "NL-MOT") == 0
        assert found("peers", "list")["items"][0]["state"] == "Blocked"
        assert ctl("deliveries", "replay", "7") == 1
    assert ctl("peers", "list") == 3
