"""The commands of node.py as processes: what the command line promises holds for the real program too."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys

import pytest

from tests.support.sizes import ROOT

pytestmark = pytest.mark.live

TIMEOUT_S = 60


def node(*arguments, **environment):
    command = [sys.executable, "node.py", *map(str, arguments)]
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, env=env, check=False)


@pytest.fixture
def config(tmp_path):
    """A node of both roles with ports of its own, in a folder of its own."""
    text = (ROOT / "examples" / "both.toml").read_text()
    text = text.replace('"data/both"', f'"{tmp_path}/data"').replace("port = 8089", "port = 0")
    path = tmp_path / "node.toml"
    path.write_text(text.replace("port = 9000", "port = 0"))
    return path


@contextlib.contextmanager
def running(*arguments):
    """A process in its own group, whose stdout and stderr are one; killed if it has not ended with the block."""
    command = [sys.executable, "-u", "node.py", *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(TIMEOUT_S)
        process.stdout.close()


def read_until(process, text):
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"it ended without saying {text!r}")


def test_the_version_is_that_of_the_project():
    assert node("--version").stdout.startswith("roamnode 0.")


def test_a_mistake_is_one_line_and_no_traceback():
    ended = node("rum")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "node.py: No such command 'rum'. Did you mean 'run'?\n"


def test_a_port_that_is_taken_is_named_and_nothing_runs(config):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = node("run", "--config", config, ROAMNODE_OCPP__PORT=port)
    assert ended.returncode in (1, 2)
    assert port in ended.stderr and "Traceback" not in ended.stderr
    assert "config.warning" in ended.stderr and "\x1b" not in ended.stderr  # no colours in a pipe


def test_a_second_node_on_the_same_journal_is_refused_and_the_first_goes_on(config, tmp_path):
    with running("run", "--config", config) as first:
        read_until(first, "node.ready")
        second = node("run", "--config", config)
        assert first.poll() is None
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1] == f"node.py: data_dir: another node runs on {tmp_path}/data"
    assert "node.ready" not in second.stderr and "Traceback" not in second.stderr


def test_a_data_folder_that_cannot_be_made_is_named_without_a_traceback(config):
    ended = node("run", "--config", config, ROAMNODE_DATA_DIR="/proc/roamnode")
    assert ended.returncode == 1
    assert "node.py: /proc/roamnode cannot be written: " in ended.stderr and "Traceback" not in ended.stderr


def test_a_journal_is_checked_and_an_altered_one_is_named(config, tmp_path):
    missing = node("check-journal", "--config", config)
    assert missing.returncode == 1 and "there is no journal" in missing.stderr
    with running("run", "--config", config) as process:
        read_until(process, "node.ready")
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
    sound = node("check-journal", "--config", config)
    assert (sound.returncode, sound.stdout) == (0, "the journal is as it was written\n")
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "journal.db")) as database:
        database.execute(
            "insert into journal (position, stream, seq, type, from_state, to_state, at, data, checksum)"
            " values (1, 'source/x', 1, 'T', 'a', 'b', '2026-01-01T00:00:00.000000Z', x'7b7d', x'00')"
        )
        database.commit()
    altered = node("check-journal", "--config", config)
    assert altered.returncode == 1
    assert "source/x" in altered.stdout and "Traceback" not in altered.stderr


def test_a_simulated_station_that_finds_nobody_goes_on_trying_until_it_is_told_to_end():
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with running("station", "--url", f"ws://127.0.0.1:{port}/ocpp", "CS01") as process:
        read_until(process, "not connected")
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0


@pytest.mark.xdist_group("demo")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_ends_its_processes_and_says_so(tmp_path, number):
    with running("demo", "--once", "--folder", tmp_path) as process:
        read_until(process, "both operators listen")
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait(TIMEOUT_S) == 1
    assert rest.splitlines()[-1].startswith("node.py: interrupted")
    for operator in ("NL-MOT", "IE-001"):
        assert "node.drained" in (tmp_path / f"{operator}.log").read_text()
