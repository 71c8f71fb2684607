"""Stations gone mad at the port of a real node: a million frames in a long run, however many minutes that has."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.live.fuzz_frames import fuzzed
from tests.live.proof import SEED
from tests.live.test_fuzz_live import FRAMES
from tests.prove.effort import Effort
from tests.prove.page import Section


def section(_: Effort) -> Section:
    """What became of all that was said, and of a station that charges afterwards."""
    with tempfile.TemporaryDirectory(prefix="roamnode-fuzz-") as folder:
        found = fuzzed(Path(folder), SEED, FRAMES)
    ends = ", ".join(f"{count:,} {end}" for end, count in found.ends.most_common())
    notes = (f"Seed {SEED}: {ends}; {found.frames / found.seconds:,.0f} frames/s.",)
    looked_at = (*found.hanging[:5], *found.lost[:5], *found.crashes[:5])
    return Section(title="The station port, fuzzed", figures=[*found.figures()], notes=notes, problems=looked_at)
