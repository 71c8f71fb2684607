"""A transaction as it happens, in four columns: app, Source, Destination, station."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from protocols.cli.demo_operators import BESIDE, HOME, LOCAL, RFID

WIDTH, WIDTH_MIN = 168, 72
"""Of the timeline, in characters: at the widest every step fits into one line."""
TIME_WIDTH = 8
COLUMNS = ("app", f"{HOME} Source", f"{LOCAL} Destination", "station")
APP, SOURCE, DESTINATION, STATION = range(4)
STYLES = ("bold cyan", "green", "yellow", "magenta")

_REPORTS = ("StartTransaction", "StopTransaction", "AuthorizeIdTag")
_SILENT = (RFID, *(station.identity for station in BESIDE))
"""Stations beside the story, whose meters nobody follows."""
_HOUSE_KEEPING = ("StationAnswered", "RequestAccepted", "DeliveryEnded", "MeterRead")
"""Events of a transaction that say nothing new where they change no state."""

Record = Mapping[str, Any]


class Timeline:
    """Prints rows as they come; `clock` gives seconds that grow."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self.console, self._clock = console, clock
        self._began_s = clock()
        self._widths = self._column_widths()
        self._followed: frozenset[str] = frozenset()

    def _column_widths(self) -> tuple[int, ...]:
        width = max(WIDTH_MIN, min(self.console.width, WIDTH)) - TIME_WIDTH
        return (width * 23 // 100, width * 27 // 100, width * 27 // 100, width * 23 // 100)

    @property
    def seconds(self) -> float:
        return self._clock() - self._began_s

    def follow(self, *transactions: str) -> None:
        """From now on shows what the operators log of these, and of local ones; without any, of all."""
        self._followed = frozenset(transactions)

    def head(self) -> None:
        """The names of the columns, under a rule."""
        self.console.rule(style="dim")
        cells = (Text(name, style=style) for name, style in zip(COLUMNS, STYLES, strict=True))
        self._line(Text("seconds", style="dim"), *cells)
        self.console.rule(style="dim")

    def row(self, column: int, text: str) -> None:
        """Something that happened now, at this party."""
        cells = [Text("")] * len(COLUMNS)
        cells[column] = Text(text, style=STYLES[column])
        self._line(Text(f"{self.seconds:7.1f}", style="dim"), *cells)

    def note(self, text: str) -> None:
        """Something about the demo itself."""
        self.console.print(Text(f"{self.seconds:7.1f} {text}", style="dim"))

    def _line(self, *cells: Text) -> None:
        grid = Table.grid(padding=(0, 1))
        for width in (TIME_WIDTH, *self._widths):
            grid.add_column(width=width - 1, overflow="fold")
        grid.add_row(*cells)
        self.console.print(grid)

    def hear(self, name: str, record: Record) -> None:
        """A JSON line of one of the processes; shown if it belongs to the story."""
        told = self._node_line(record) if name in (HOME, LOCAL) else station_line(record)
        if told is not None:
            column = {HOME: SOURCE, LOCAL: DESTINATION}.get(name, STATION)
            self.row(column, told)

    def _node_line(self, record: Record) -> str | None:
        transaction = str(record.get("transaction", ""))
        aside = self._followed and transaction and transaction not in self._followed
        return None if aside and not transaction.startswith("local/") else node_line(record)


def node_line(record: Record) -> str | None:
    """What a line of a node's log tells of a transaction; None if nothing."""
    match record:
        case {"event": "transaction.event", "event_type": what, "from_state": before, "to_state": after}:
            if before == after and what in _HOUSE_KEEPING:
                return None
            local = "RFID: " if str(record.get("transaction", "")).startswith("local/") else ""
            return f"{local}{spaced(what)}" + (f" → {after}" if before != after else "")
        case {"event": "peer.attempt", "operation": what, "peer": peer, "outcome": outcome}:
            return f"⇒ {peer} {what}: {outcome}"
        case {"event": "station.command", "station": station, "command": command, "verdict": verdict}:
            return f"⇒ {short(station)} {command}: {verdict}"
    return None


def station_line(record: Record) -> str | None:
    """What a station tells of a charge; None for its house-keeping."""
    match record:
        case {"kind": "sent", "station": station, "text": text} if text in _REPORTS:
            return f"{short(station)} ⇒ {text}"
        case {"kind": "sent", "station": station, "message": {"samples": [{"value": value}, *_]}} if (
            station not in _SILENT
        ):
            return f"{short(station)} ⇒ meter {value} Wh"
        case {"kind": "commanded", "station": station, "text": text}:
            return f"{short(station)} ◀ {text}"
        case {"kind": "connector" | "charge", "station": station, "text": text}:
            return f"{short(station)} {text.replace('->', '→')}"
    return None


def spaced(name: str) -> str:
    """`StartRequested` as `start requested`."""
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def short(station: str) -> str:
    """A station without its operator: `IE-001-CS01` as `CS01`."""
    return station.removeprefix(f"{LOCAL}-")
