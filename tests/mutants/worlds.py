"""Simulated worlds one after the other until one is objected to: `python -m tests.mutants.worlds FIRST COUNT FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.world.trial import tried


def main(first: int, count: int, report: Path) -> None:
    """Writes down after each world which it was, and what was objected to."""
    for seed in range(first, first + count):
        objections = tried(seed).objections
        said = f"seed {seed}: {objections[0].splitlines()[0]}" if objections else None
        report.write_text(json.dumps({"seed": seed, "objection": said}))
        if objections:
            return


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
