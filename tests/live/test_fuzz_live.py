"""Stations gone mad at the port of a real node: it answers or closes every one of them, and charges on afterwards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from tests.live import fuzz_frames
from tests.live.fuzz_frames import CHARGED_WH, MAD, Fuzzer, fuzzed
from tests.live.fuzz_grammar import SAID, burst
from tests.support.long import of_length

pytestmark = [pytest.mark.live, pytest.mark.timeout(of_length(120, 3_600))]

FRAMES = of_length(5_000, 1_000_000)
MEMORY_BYTES_MAX = 100 * 2**20
"""More than the charges, the logs and the caches of a node need to fill up, far less than all that is said to it."""


def test_a_million_frames_of_mad_stations_break_nothing(tmp_path: Path) -> None:
    """A few thousand in a short run."""
    found = fuzzed(tmp_path, seed=7, frames=FRAMES)
    assert (found.crashes, found.hanging, found.lost) == ([], [], [])
    assert found.frames >= FRAMES and found.answered > found.frames / 3
    assert found.ends["closed"] and found.ends["answered"]
    assert found.memory_before > 0 and found.grown_bytes < MEMORY_BYTES_MAX
    assert found.energy_wh == CHARGED_WH


@pytest.mark.parametrize("protocol", list(SAID))
def test_the_same_seed_says_the_same(protocol: str) -> None:
    said = burst("1/x", protocol, 200)
    assert said == burst("1/x", protocol, 200) != burst("2/x", protocol, 200)


# -- the fuzzer itself finds what is wrong -----------------------------------------------------------------------------

WELCOME = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


async def fuzzed_by_hand(serve: Callable[[trio.SocketStream], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the fuzzer finds at a server that does this once it has said welcome."""
    monkeypatch.setattr(fuzz_frames, "ANSWERED_WITHIN_S", 0.3)

    async def welcome(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(WELCOME)
        await serve(stream)

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, welcome, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        operator: Any = SimpleNamespace(ocpp_port=port, station_passwords=dict.fromkeys(MAD, "x"))
        fuzzer = Fuzzer(operator, seed=1, frames=1)
        number = next(n for n in range(99) if not burst(f"1/ocpp1.6/{n}", "ocpp1.6", 60).breaks)
        await fuzzer.connection("MAD0", "ocpp1.6", number)
        nursery.cancel_scope.cancel()
    return fuzzer.found


async def test_a_connection_that_nobody_answers_is_found_hanging(monkeypatch: pytest.MonkeyPatch) -> None:
    async def swallow(stream: trio.SocketStream) -> None:
        async for _ in stream:
            pass

    found = await fuzzed_by_hand(swallow, monkeypatch)
    assert len(found.hanging) == 1 and found.lost == []


async def test_a_connection_that_is_closed_for_a_sound_message_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def close(stream: trio.SocketStream) -> None:
        await stream.aclose()

    found = await fuzzed_by_hand(close, monkeypatch)
    assert len(found.lost) == 1 and found.hanging == []
