"""A transaction with no roaming partner, as DESIGN.md tells it, in plain words: what the chart is judged by.

It shares nothing with the chart but the names of states. Each method is something that happens, and returns the
commands that must go to the station because of it, or the code that it is refused with.
"""

from __future__ import annotations

from datetime import datetime, timedelta

Out = list[str]

START_S, STOP_S, SILENCE_S, RECONCILE_S = 150, 120, 86_400, 3_600
FAILED = ("Rejected", "Error", "NeverSent")


class PlainLocal:
    def __init__(self) -> None:
        self.state = "New"
        self.number: int | None = None
        self.accepted = True
        self.start_wh: int | None = None
        self.readings: list[int] = []
        self.stop_said: tuple[datetime, int] | None = None
        self.start_until: datetime | None = None
        self.stop_until: datetime | None = None
        self.silent_at: datetime | None = None
        self.doubt_until: datetime | None = None
        self.records: list[int | None] = []
        self.corrections = 0

    @property
    def running(self) -> bool:
        return self.state in ("TxRunning", "StopTxRequested")

    @property
    def deadline(self) -> datetime | None:
        if self.state == "StartTxRequested":
            return self.start_until
        if self.state == "TxRunning":
            return self.doubt_until or self.silent_at
        if self.state == "StopTxRequested":
            return min(until for until in (self.stop_until, self.doubt_until) if until)
        return None

    # -- asked ---------------------------------------------------------------------------------------------------------

    def start(self, now: datetime) -> Out | int:
        if self.state == "StartTxRequested":
            return []
        if self.state != "New":
            return 409
        self.state, self.start_until = "StartTxRequested", now + timedelta(seconds=START_S)
        return ["remote start"]

    def stop(self, now: datetime) -> Out | int:
        if self.state == "StopTxRequested":
            return []
        if self.state != "TxRunning":
            return 410 if self.state == "Settled" else 409
        self.state, self.stop_until = "StopTxRequested", now + timedelta(seconds=STOP_S)
        return ["remote stop"]

    # -- reported ------------------------------------------------------------------------------------------------------

    def answered(self, purpose: str, verdict: str, now: datetime) -> Out:
        if purpose == "start" and self.state == "StartTxRequested":
            if verdict == "Accepted":
                self.start_until = now + timedelta(seconds=START_S)
            elif verdict in FAILED:
                self.state = "Expired"
        if purpose == "stop" and self.state == "StopTxRequested" and verdict in FAILED:
            self.state = "TxRunning"
        return []

    def started(self, number: int, wh: int, accepted: bool, now: datetime) -> str:
        """What the station is told of the idTag."""
        if not self.running and self.state != "Settled":
            self.state, self.number, self.start_wh, self.accepted = "TxRunning", number, wh, accepted
            self.silent_at = now + timedelta(seconds=SILENCE_S)
            return "Accepted" if accepted else "Invalid"
        if number == self.number and self.start_wh is not None:
            return "Accepted" if self.accepted else "Invalid"
        if self.state == "Settled" and self.number in (None, number):
            self.number, self.start_wh, self.corrections = number, wh, self.corrections + 1
        return "Invalid"

    def metered(self, number: int | None, wh: int, now: datetime) -> None:
        """A reading that names no charge shows that it goes on only if energy has flowed."""
        if self.state == "Settled":
            self.corrections += 1
        elif self.state != "New":
            grown = wh > max([*self.readings, *([] if self.start_wh is None else [self.start_wh])], default=-1)
            self.readings.append(wh)
            if grown or number is not None:
                self._heard(now)

    def stopped(self, number: int, wh: int, said_at: datetime) -> None:
        if self.state == "Settled":
            self.corrections += self.stop_said != (said_at, wh)
            self.stop_said = (said_at, wh)
        elif self.state != "New" and (not self.running or number in (self.number, -1)):
            self.number = number if self.number is None and number > 0 else self.number
            self.stop_said = (said_at, wh)
            self._end(wh)

    def taken(self, number: int) -> None:
        if self.state == "StartTxRequested":
            self.state = "Expired"
        elif self.running and number != self.number:
            self._reconcile()

    def doubted(self, now: datetime) -> None:
        if self.running:
            self.doubt_until = self.doubt_until or now + timedelta(seconds=RECONCILE_S)

    def confirmed(self, now: datetime) -> None:
        if self.running and self.doubt_until:
            self._heard(now)

    def closed(self) -> int | None:
        if not self.running:
            return 410 if self.state == "Settled" else 409
        self._reconcile()
        return None

    def denied(self) -> None:
        if self.running and self.doubt_until:
            self._reconcile()

    # -- time ----------------------------------------------------------------------------------------------------------

    def timed_out(self, now: datetime) -> None:
        if self.running and self.doubt_until and now >= self.doubt_until:
            self._reconcile()
        elif self.state == "StartTxRequested":
            self.state = "Expired"
        elif self.state == "StopTxRequested":
            self.state = "TxRunning"
        else:
            self.doubt_until = now + timedelta(seconds=RECONCILE_S)

    # -- what follows --------------------------------------------------------------------------------------------------

    def _heard(self, now: datetime) -> None:
        self.silent_at, self.doubt_until = now + timedelta(seconds=SILENCE_S), None

    def _reconcile(self) -> None:
        assert self.start_wh is not None
        self._end(max([self.start_wh, *self.readings]))

    def _end(self, wh: int) -> None:
        self.state = "Settled"
        self.records.append(wh - self.start_wh if self.start_wh is not None and wh >= self.start_wh else None)
