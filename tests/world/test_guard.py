"""Nothing reaches out of a world: our own code fails the run, libraries get the world's time and chance."""

from __future__ import annotations

import datetime
import os
import random
import socket
import sqlite3
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.world import determinism
from tests.world.ground import EPOCH
from tests.world.guard import ReachedOut, sealed

T = Any


def within(work: Callable[[], T]) -> tuple[T | None, list[str]]:
    """What `work` gives inside of a sealed world, and what was complained of."""
    told: list[str] = []

    async def main() -> T | None:
        await trio.sleep(5)
        with sealed(random.Random(1), told.append):
            try:
                return work()
            except ReachedOut:
                return None

    return determinism.run(main, 1), told


def said_in(module: str, expression: str) -> Callable[[], Any]:
    """The expression, as it would be evaluated in this module."""
    names = {"__name__": module, "time": time, "os": os, "uuid": uuid, "random": random}
    return eval(f"lambda: {expression}", names)  # type: ignore[no-any-return]


OUTSIDE: dict[str, Callable[[], object]] = {
    "a socket": socket.socket,
    "an address": lambda: socket.getaddrinfo("localhost", 80),
    "a file": lambda: Path(__file__).read_text(),
    "a database in a file": lambda: sqlite3.connect("world.db"),
    "a thread": lambda: threading.Thread(target=print).start(),
    "a process": lambda: subprocess.run(["true"], check=True),
    "the time": said_in("actors.actor", "time.time()"),
    "the monotonic time": said_in("protocols.http.server", "time.monotonic()"),
    "random bytes": said_in("node", "os.urandom(4)"),
    "a random number": said_in("statecharts.chart", "random.random()"),
    "a random UUID": said_in("tests.world.apps", "uuid.uuid4()"),
}


@pytest.mark.parametrize("what", OUTSIDE)
def test_our_own_code_that_reaches_out_of_a_world_fails_the_run(what: str) -> None:
    nothing, told = within(OUTSIDE[what])
    assert nothing is None
    assert len(told) == 1


@pytest.mark.parametrize("expression", ["os.urandom(8)", "uuid.uuid4()", "random.random()", "random.randint(1, 9999)"])
def test_a_library_gets_the_chance_of_the_world(expression: str) -> None:
    first, second = within(said_in("library", expression)), within(said_in("library", expression))
    assert first == second
    assert first[1] == []


def test_a_library_gets_the_time_of_the_world() -> None:
    told, complaints = within(said_in("library", "time.time()"))
    assert datetime.datetime.fromtimestamp(told or 0, datetime.UTC) == EPOCH + datetime.timedelta(seconds=5)
    assert complaints == []


def test_outside_of_a_world_everything_is_as_ever() -> None:
    assert abs(time.time() - datetime.datetime.now(datetime.UTC).timestamp()) < 60
    assert len({os.urandom(8) for _ in range(9)}) == 9
    assert Path(__file__).read_text()
