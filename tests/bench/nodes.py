"""Real `node.py run` processes to be measured: configured as an operator would, their log in a file."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.measures import cpu_s
from tests.live.operators import ROOT, Operator, make_partners

AS_SHIPPED: dict[str, dict[str, Any]] = {
    "": {"start_margin_s": 30},
    "log": {"format": "console"},
    "ocpp": {"call_timeout_s": 30},
    "delivery": {"attempt_timeout_s": 10, "retry_base_s": 1, "retry_cap_s": 900},
    "source_deadlines": {"authorize_answer_s": 15, "authorization_s": 900, "start_s": 210, "stop_s": 180},
    "destination_deadlines": {"authorization_s": 900, "stop_s": 120, "progress_interval_s": 60},
}
"""What live tests shorten, at its default."""


def as_shipped(**settings: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What goes over a live test's configuration so that a node is as an operator runs it, but for these settings."""
    return {table: AS_SHIPPED.get(table, {}) | settings.get(table, {}) for table in AS_SHIPPED | settings}


START_S = 90.0
END_S = 15.0
LOOK_AGAIN_S = 0.005


class Node:
    """One operator's node; `operator` has its ports, tokens and configuration."""

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.log_file = operator.folder / "node.log"

    def launch(self) -> None:
        """Starts the process and does not wait for it."""
        self.operator.folder.mkdir(parents=True, exist_ok=True)
        self.operator.config_file.write_text(self.operator.configuration(), encoding="utf-8")
        command = [sys.executable, "node.py", "run", "-c", str(self.operator.config_file)]
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stderr=log)

    def wait_until_ready(self) -> None:
        """Returns once the node says so. Raises RuntimeError with its log where it does not."""
        deadline = time.monotonic() + START_S
        while not self.said("node.ready"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.operator.name} did not start:\n{self.log_file.read_text()}")
            time.sleep(LOOK_AGAIN_S)

    def said(self, word: str) -> int:
        """How many times a word stands in its log."""
        return self.log_file.read_bytes().count(word.encode())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        """The processor time it has used so far."""
        return cpu_s(self.pid)

    def end(self) -> None:
        """Drains and ends the process."""
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def two_operators(
    folder: Path, stations: dict[str, int], users: tuple[str, ...] = ("anna",), **settings: dict[str, Any]
) -> tuple[Node, Node]:
    """A Source with these users and a Destination with these stations; `settings` go over both configurations."""
    settings = as_shipped(**settings)
    home = Operator("NL-MOT", folder / "home", roles=("source",), users=users, settings=settings)
    local = Operator("IE-001", folder / "local", roles=("destination",), stations=stations, settings=settings)
    make_partners(home, local)
    return Node(home), Node(local)


@contextmanager
def running(*nodes: Node) -> Iterator[None]:
    """These nodes, started together and ended for certain."""
    started: list[Node] = []
    try:
        for node in nodes:
            node.launch()
            started.append(node)
        for node in nodes:
            node.wait_until_ready()
        yield
    finally:
        for node in started:
            node.end()
