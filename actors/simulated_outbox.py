"""What a simulated station has to say, in order: the queue that outlives a lost connection (OCPP 1.6 section 3.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from statecharts.limits import SIMULATED_OUTBOX
from statecharts.station_reports import (
    BootNotification,
    MeterValues,
    StationReport,
    StopTransaction,
    TransactionEvent,
    TransactionEventKind,
)

UNKNOWN_TRANSACTION = -1


@dataclass(slots=True, eq=False)
class Charge:
    """One transaction as the station itself saw it.

    `transaction_id` is None until the central system has given one, which only OCPP 1.6 does; `reference` is what a
    station of OCPP 2.x calls it, and `events` how many events it has told of it.
    """

    connector_id: int
    id_tag: str
    started_at: datetime
    meter_start_wh: int
    transaction_id: int | None = None
    stopped_at: datetime | None = None
    meter_stop_wh: int | None = None
    reason: str | None = None
    reference: str = ""
    events: int = 0

    def is_meant_by(self, transaction_id: int | None, reference: str) -> bool:
        """Whether a number of the central system's, or a name of the station's own, is that of this transaction."""
        return reference == self.reference if reference else transaction_id in (None, self.transaction_id)

    def next_seq_no(self) -> int:
        """The number of the next event: 0, 1, 2 ... (OCPP 2.0.1 part 2, E07)."""
        self.events += 1
        return self.events - 1

    def energy_wh(self, meter_wh: int) -> int:
        """Its energy, at the end of it or, while it runs, at this meter reading."""
        return (meter_wh if self.meter_stop_wh is None else self.meter_stop_wh) - self.meter_start_wh


@dataclass(slots=True, eq=False)
class Saying:
    """One report on its way. Those of a charge are kept until answered; the others are true only on this connection.

    `answered` gets the answer, `unanswered` is called when the report is given up; neither when the connection goes.
    """

    report: StationReport
    charge: Charge | None = None
    answered: Callable[[Any], object] | None = None
    unanswered: Callable[[], object] | None = None
    attempts: int = 0
    not_before: float = 0.0

    def message(self) -> StationReport:
        """The report as it is sent now, with the transactionId if it is known by now."""
        if self.charge is None or not isinstance(self.report, (MeterValues, StopTransaction)):
            return self.report
        known = self.charge.transaction_id
        # OCPP 1.6 errata 3.18: -1 for a transaction whose StartTransaction was never answered.
        return msgspec.structs.replace(self.report, transaction_id=UNKNOWN_TRANSACTION if known is None else known)


def _is_intermediate(report: StationReport) -> bool:
    updates = isinstance(report, TransactionEvent) and report.kind is TransactionEventKind.UPDATED
    return updates or isinstance(report, MeterValues)


class Outbox:
    """Reports in the order they came about. Those of transactions leave strictly in order; others may overtake them."""

    def __init__(self) -> None:
        self._sayings: list[Saying] = []

    def __len__(self) -> int:
        return len(self._sayings)

    @property
    def owed(self) -> int:
        """How many reports of transactions have not been answered yet."""
        return sum(saying.charge is not None for saying in self._sayings)

    def owes(self, charge: Charge) -> bool:
        """Whether any report of this transaction has not been answered yet."""
        return any(saying.charge is charge for saying in self._sayings)

    def add(self, saying: Saying) -> None:
        """Puts a report last. A full outbox gives up its oldest meter values, never a start or a stop."""
        if len(self._sayings) >= SIMULATED_OUTBOX.limit:
            self._thin_out()
        self._sayings.append(saying)

    def _thin_out(self) -> None:
        # OCPP 1.6 errata 3.89: intermediate values may be dropped.
        oldest = next((saying for saying in self._sayings if _is_intermediate(saying.report)), None)
        if oldest is not None:
            self._sayings.remove(oldest)

    def add_first(self, sayings: Iterable[Saying]) -> None:
        """Puts these reports, in their order, before everything else."""
        self._sayings[:0] = sayings

    def remove(self, saying: Saying) -> None:
        """Takes out a report that was answered or given up."""
        if saying in self._sayings:
            self._sayings.remove(saying)

    def connection_lost(self) -> None:
        """Forgets what was true only on the connection that is gone."""
        self._sayings = [saying for saying in self._sayings if saying.charge is not None]

    def next(self, now: float, registered: bool) -> Saying | None:
        """The report to send now; before the station is registered only a BootNotification (OCPP 1.6 section 4.2)."""
        if not registered:
            return next((saying for saying in self._sayings if isinstance(saying.report, BootNotification)), None)
        in_turn = next((saying for saying in self._sayings if saying.charge is not None), None)
        ready = in_turn if in_turn is not None and in_turn.not_before <= now else None
        return next((saying for saying in self._sayings if saying.charge is None or saying is ready), None)
