"""Hostile clients in every phase, by the hundred: who is not attacked charges on, with the same result (I12)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.siege import FLOOD, SLOW, besieged
from tests.support.long import IS_LONG, of_length

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not IS_LONG, reason="`make prove` does it, LONG=1 here too"),
]

CHARGES = of_length(3, 10)
SLOW_UNTIL = of_length(("http_head", "tls_handshake", "ws_handshake", "idle_http"), tuple(SLOW))
FLOOD_UNTIL = of_length(("http_long_head", "http_long_body", "http_endless_body", "ws_long_frame", "ws_many_frames",
                         "ws_compressed"), tuple(FLOOD))  # fmt: skip
MEMORY_BYTES_MAX = 150 * 2**20
"""More than a thousand connections may cost, far less than what is sent."""


def test_whoever_is_not_attacked_charges_on_with_the_same_result(tmp_path: Path) -> None:
    report = besieged(tmp_path, CHARGES, SLOW_UNTIL, FLOOD_UNTIL)
    assert report.peace.records == [1_000 * number for number in range(1, CHARGES + 1)]
    for siege in report.sieges:
        assert siege.course.records == report.peace.records
        assert siege.grown_bytes < MEMORY_BYTES_MAX
    assert report.complaints == ()
