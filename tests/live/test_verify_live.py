"""`node.py verify` against our own node: processes on loopback, as an operator would run it; both roles conform."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from tests.live.operators import ROOT, Operator, Process, free_ports, running
from tests.support.long import IS_LONG, of_length

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-verify"), pytest.mark.timeout(of_length(150, 900))]

OURS, THEIRS = "what we present to it", "what it presents to us"
FLOWS = of_length(21, 200)
TIME_LIMIT_S = of_length(90, 300)
END_S = TIME_LIMIT_S + 10.0
UNTRIED_MOST = of_length(30, 0)
"""A long run tries every rule; a few flows come to no more than most."""


def verify(
    partner: Operator, own_port: int, role: str, *options: str, **secrets: str
) -> subprocess.CompletedProcess[str]:
    command = ["node.py", "verify", partner.service_url(role), "--role", role, "--partner-pms", partner.name]
    own = ["--own-pms", "XX-VER", "--own-url", f"http://127.0.0.1:{own_port}/verify", "--service", "CS01"]
    amount = ["--flows", str(FLOWS), "--rate", "500", "--time-limit", str(TIME_LIMIT_S)]
    environ = {**os.environ, "VERIFY_PASSWORD": OURS, "VERIFY_INCOMING_PASSWORD": THEIRS, **secrets}
    return subprocess.run(
        [sys.executable, *command, *own, *amount, *options],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=END_S, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def own_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def partner(tmp_path_factory: pytest.TempPathFactory, own_port: int) -> Iterator[Operator]:
    """Our own node in both roles, with a station that nobody is yet, and one partner."""
    operator = Operator("IE-001", tmp_path_factory.mktemp("partner"), stations={"CS01": 1})
    for role in ("sources", "destinations"):
        operator.partners.append((role, "XX-VER", f"http://127.0.0.1:{own_port}/verify", THEIRS, OURS))
    operator.settings["source_deadlines"] = {"authorize_answer_s": 1}
    # A long verification outlasts the minute of the other tests: here nothing granted is to lapse
    operator.settings["destination_deadlines"] = {"authorization_s": 900}
    with running(operator):
        yield operator


def test_our_own_destination_conforms(partner: Operator, own_port: int, tmp_path: Path) -> None:
    found = tmp_path / "found.json", tmp_path / "found.xml"
    station = ["--station-url", f"ws://127.0.0.1:{partner.ocpp_port}/ocpp"]
    password = {"VERIFY_STATION_PASSWORD": partner.station_passwords["CS01"]}
    files = ["--json", str(found[0]), "--junit", str(found[1])]
    ended = verify(partner, own_port, "destination", *station, *files, **password)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads(found[0].read_text())
    assert told["conforming"] and told["flows"] >= FLOWS - 3 and not told["ended"]
    assert told["totals"]["broken"] == 0 and told["totals"]["not tried"] <= UNTRIED_MOST
    suite = etree.fromstring(found[1].read_bytes())
    assert suite.get("failures") == "0" and suite.get("skipped") == str(told["totals"]["not tried"])
    # At the other end every charge has its record, and it has arrived
    charges = partner.transactions("destination")
    assert {view["state"] for view in charges} <= {"Ready", "Settled"}
    assert sum(view["state"] == "Settled" for view in charges) >= 5


def test_our_own_source_conforms(partner: Operator, own_port: int) -> None:
    app = ["--app-url", f"http://127.0.0.1:{partner.port}/rest/mobieurope/source/sv1", "--user", "anna"]
    ended = verify(partner, own_port, "source", *app, VERIFY_APP_TOKEN=partner.app_token)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "IE-001 as source" in ended.stdout and ": conforming" in ended.stdout
    assert int(re.search(r"(\d+) not tried\n", ended.stdout).group(1)) <= UNTRIED_MOST, ended.stdout
    assert partner.app_token not in ended.stdout + ended.stderr


@pytest.mark.skipif(not IS_LONG, reason="takes minutes: LONG=1")
def test_what_the_page_says_to_try_at_home_works(tmp_path: Path) -> None:
    """Word for word, but for the folder, the ports and which python; the commands themselves wait for the node."""
    page = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
    _, commands = re.findall(r"```bash\n(.*?)```", page.partition("## Try it at home")[2], re.DOTALL)[:2]
    text = (ROOT / "examples" / "verify.toml").read_text(encoding="utf-8")
    for port, free in zip(("8289", "8299", "9200"), free_ports(3), strict=True):
        text, commands = text.replace(port, str(free)), commands.replace(port, str(free))
    config = tmp_path / "verify.toml"
    config.write_text(text.replace("data/verify", str(tmp_path)).replace('"warning"', '"info"\nformat = "json"'))
    node = Process(["node.py", "run", "--config", str(config)], lines_on="stderr")
    try:
        script = "set -e\n" + commands.replace(".venv/bin/python", sys.executable)
        ended = subprocess.run(
            ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=2 * END_S, check=False
        )
    finally:
        node.close()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count(": conforming") == 2
