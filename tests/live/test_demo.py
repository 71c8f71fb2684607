"""`node.py demo --once`: from nothing to a charge record that all three parties hold alike."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.sizes import ROOT

# Demos take the same ports where they are free: one at a time.
pytestmark = [pytest.mark.live, pytest.mark.timeout(300), pytest.mark.xdist_group("demo")]


def test_the_demo_ends_with_one_record_that_all_parties_hold(tmp_path):
    command = [sys.executable, "node.py", "demo", "--once", "--folder", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, f"{ended.stderr}\n{ended.stdout[-4000:]}"
    said = json.loads(ended.stdout.splitlines()[-1])
    versions = said.pop("energy_wh_by_ocpp_version")
    assert said.keys() == {"authorizationIdentifier", "state", "energy_wh", "cdr_id", "seconds"}
    assert versions.keys() == {"1.6", "2.0.1", "2.1"} and min(versions.values()) > 0
    assert versions["1.6"] == said["energy_wh"]["station"]
    assert said["state"] == {"source": "Settled", "destination": "Settled"}
    assert said["energy_wh"].keys() == {"source", "destination", "station"}
    assert len(set(said["energy_wh"].values())) == 1 and said["energy_wh"]["station"] > 0
    assert said["cdr_id"] == f"IE-001/{said['authorizationIdentifier']}"
    assert "RFID: transaction started" in " ".join(ended.stdout.split()), "a local charge runs beside it"
    logs = {path.stem: path.read_text() for path in tmp_path.glob("*.log")}
    assert len(logs) == 8
    assert all('"event": "node.drained"' in logs[operator] for operator in ("NL-MOT", "IE-001"))
