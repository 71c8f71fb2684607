"""The pages under docs/ that are made of what runs, and whether they still are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from protocols.cli import ctl_table
from protocols.cli.config import document
from protocols.ocpp.support import support_page
from protocols.ocpp.v16 import V16
from protocols.ocpp.v21 import V21
from protocols.ocpp.v201 import V201
from statecharts import (
    evse,
    local_list,
    operation,
    peer,
    reservation,
    simulated_station,
    standing,
    station,
    station_key,
    transaction_destination,
    transaction_local,
    transaction_source,
    webhook,
)
from statecharts.bounds import BOUNDS
from statecharts.drawing import page
from statecharts.limit import Limit
from statecharts.limits import LIMITS

CHARTS = (
    transaction_source.CHART,
    transaction_destination.CHART,
    transaction_local.CHART,
    peer.CHART,
    operation.CHART,
    webhook.CHART,
    station.REGISTRATION,
    station.CONNECTION,
    standing.CHART,
    reservation.CHART,
    local_list.CHART,
    station_key.CHART,
    evse.CHART,
    simulated_station.CHART,
)

VERSIONS = (V16, V201, V21)
"""What stations may speak, oldest first."""

_CONFIGURATION = """# Configuration

Every key of a node's configuration, made by `make charts` of what reads it; do not edit.

A TOML file, and over it the environment: `ROAMNODE_` and the key in capitals, with `__` between the levels and the
number of a row for a level: `ROAMNODE_HTTP__PORT=8189`, `ROAMNODE_STATIONS__0__PASSWORD=...`. `[]` stands for a list of
tables: `users[].identifier` is `identifier` in a `[[users]]`. `node.py check-config` names all that is wrong at once.

"""

_BOUNDS = """# Bounds

Everything that may grow, and how far, made by `make charts` of `statecharts/bounds.py`,
`statecharts/limits.py`, `statecharts/card_limits.py` and `statecharts/webhook_limits.py`; do not edit. A limit that the
configuration can change names its key.

"""


def _bounds() -> str:
    """What fills and empties, which metrics show, and how big single things may be."""
    measured = f"## What fills\n\n`/metrics` shows the limit in force and the highest fill so far.\n\n{_table(BOUNDS)}"
    return f"{_BOUNDS}{measured}\n## How big one thing may be\n\n{_table(LIMITS)}"


def _table(limits: Sequence[Limit]) -> str:
    rows = [f"| `{each.name}` | {each.limit:,} {each.unit} | {each.reason} |\n" for each in limits]
    return "".join(["| name | limit | why |\n", "|---|---|---|\n", *rows])


def pages() -> Mapping[str, str]:
    """Every generated page: its file's name in docs/ and its text."""
    return {
        "charts.md": page("The charts", CHARTS),
        "configuration.md": _CONFIGURATION + document(),
        "bounds.md": _bounds(),
        "ctl.md": ctl_table.page(),
        "stations.md": support_page(VERSIONS),
    }


def write_pages(folder: Path) -> list[Path]:
    """Writes all pages into the folder and says which."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in pages()]


def stale_pages(folder: Path) -> list[Path]:
    """The pages that are not what `write_pages` would write now."""
    return [folder / name for name, text in pages().items() if _read(folder / name) != text]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
