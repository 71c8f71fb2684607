"""The Destination's table of DESIGN.md once more, in plain words and dicts: what the chart is judged by.

It shares nothing with the chart but the names of states. Each method is something that happens, and returns what must
go out because of it: ("notify", request, result), ("end", energy), ("remote start",), ("remote stop",).
"""

from __future__ import annotations

from datetime import datetime, timedelta

Out = list[tuple[object, ...]]

AUTHORIZATION_S, START_S, STOP_S, SILENCE_S, RECONCILE_S, OVERDUE_S = 900, 150, 120, 86_400, 3_600, 3_600
OUR_CONNECTOR = 1
FAILED = ("Rejected", "Error", "NeverSent")


class PlainDestination:
    def __init__(self, now: datetime) -> None:
        self.state = "Ready"
        self.until = self.lapses = now + timedelta(seconds=AUTHORIZATION_S)
        self.asked: dict[str, str] = {}
        self.told: dict[str, bool] = {}
        self.sent = 0
        self.number: int | None = None
        self.misused: set[int] = set()
        self.start_wh: int | None = None
        self.readings: list[int] = []
        self.stop_said: tuple[datetime, int] | None = None
        self.stopped_at: datetime | None = None
        self.ended_at = now
        self.silent_at = self.stop_until = self.doubt_until = None
        self.records: list[int | None] = []
        self.corrections = 0

    @property
    def running(self) -> bool:
        return self.state in ("TxRunning", "StopTxRequested")

    @property
    def over(self) -> bool:
        return self.state in ("TxFinished", "Settled")

    @property
    def deadline(self) -> datetime | None:
        """When the state is over."""
        if self.state in ("Expired", "Settled"):
            return None
        if not self.running:
            return self.until
        waits = [self.stop_until] if self.state == "StopTxRequested" else []
        waits += [self.doubt_until or self.silent_at] if not waits or self.doubt_until else []
        return min(waits)

    # -- asked ---------------------------------------------------------------------------------------------------------

    def start(self, name: str, now: datetime) -> Out | int:
        if name in self.asked:
            return [] if self.asked[name] == "start" else 409
        if self.state == "Expired" or self.over:
            return 410
        self.asked[name] = "start"
        if self.running:
            return self._tell([name], True)
        if self.state == "StartTxRequested":
            return []
        self.state, self.until, self.sent = "StartTxRequested", now + timedelta(seconds=START_S), self.sent + 1
        return [("remote start",)]

    def stop(self, name: str, now: datetime) -> Out | int:
        if name in self.asked:
            return [] if self.asked[name] == "stop" else 409
        if self.over:
            return 410
        if not self.running:
            return 409
        first = not self._waiting("stop")
        self.asked[name] = "stop"
        if first:
            self.stop_until = now + timedelta(seconds=STOP_S)
        return self._stopping()

    def our_stop(self, now: datetime) -> Out | int:
        if self.state == "StopTxRequested":
            return []
        if self.state != "TxRunning":
            return 409
        self.stop_until = now + timedelta(seconds=STOP_S)
        return self._stopping()

    def _stopping(self) -> Out:
        sent: Out = [] if self.state == "StopTxRequested" else [("remote stop",)]
        self.state = "StopTxRequested"
        return sent

    # -- reported ------------------------------------------------------------------------------------------------------

    def answered(self, purpose: str, verdict: str, now: datetime) -> Out:
        before = self.state in ("Ready", "Expired", "StartTxRequested")
        if purpose == "start" and verdict == "NeverSent" and before and self.sent:
            self.sent -= 1
        if purpose == "start" and self.state == "StartTxRequested":
            if verdict == "Accepted":
                self.until = now + timedelta(seconds=START_S)
            if verdict in FAILED:
                return self._back_to_ready()
        if purpose == "stop" and self.state == "StopTxRequested" and verdict in FAILED:
            return self._back_to_running()
        return []

    def started(self, number: int, connector: int, wh: int, said_at: datetime, now: datetime) -> tuple[str, Out]:
        if number in self.misused:
            return "Invalid", []
        if not self.running and not self.over and self.sent and connector == OUR_CONNECTOR:
            self.state, self.number, self.start_wh = "TxRunning", number, wh
            self._heard(now, ends_doubt=False)
            return "Accepted", self._tell([n for n, k in self.asked.items() if k == "start"], True)
        stopped_first = self.stopped_at is not None and said_at <= self.stopped_at and connector == OUR_CONNECTOR
        if number == self.number or (stopped_first and self.start_wh is None):
            if self.start_wh is None:
                self.start_wh, self.number, self.corrections = wh, number, self.corrections + 1
            return "Accepted", []
        self.misused.add(number)
        return "Invalid", []

    def metered(self, number: int | None, wh: int, now: datetime) -> Out:
        """A reading that names no charge shows that it goes on only if energy has flowed."""
        if self.over:
            self.corrections += 1
            return []
        grown = wh > max([*self.readings, *([] if self.start_wh is None else [self.start_wh])], default=-1)
        self.readings.append(wh)
        if grown or number is not None:
            self._heard(now)
        return []

    def stopped(self, number: int, wh: int, said_at: datetime, now: datetime) -> Out:
        if self.over:
            self.corrections += self.stop_said != (said_at, wh)
            self.stop_said = (said_at, wh)
            return []
        ours = number in (self.number, -1) if self.running else self.state == "StartTxRequested" or self.asked
        if not ours or number in self.misused:
            return []
        self.stop_said, self.stopped_at = (said_at, wh), said_at
        self.number = number if self.number is None and number > 0 else self.number
        return self._finish(wh, now)

    def taken(self, number: int, now: datetime) -> Out:
        if self.state == "StartTxRequested":
            return self._back_to_ready()
        return self._reconcile(now) if self.running and number != self.number else []

    def doubted(self, now: datetime) -> None:
        if self.running:
            self.doubt_until = self.doubt_until or now + timedelta(seconds=RECONCILE_S)

    def confirmed(self, now: datetime) -> None:
        if self.running and self.doubt_until:
            self._heard(now)

    def closed(self, now: datetime) -> Out | int:
        if not self.running:
            return 410 if self.state in ("TxFinished", "Settled") else 409
        return self._reconcile(now)

    def denied(self, now: datetime) -> Out:
        return self._reconcile(now) if self.running and self.doubt_until else []

    def delivered(self, status: str) -> None:
        if self.state == "TxFinished" and status == "done":
            self.state = "Settled"

    def timed_out(self, now: datetime) -> Out:
        if self.running and self.doubt_until and now >= self.doubt_until:
            return self._reconcile(now)
        if self.state == "Ready":
            self.state = "Expired"
        elif self.state == "StartTxRequested":
            return self._back_to_ready()
        elif self.state == "TxRunning":
            self.doubt_until = now + timedelta(seconds=RECONCILE_S)
        elif self.state == "StopTxRequested":
            return self._back_to_running()
        elif self.state == "TxFinished":
            self.until = now + (now - self.ended_at)
        return []

    # -- what follows --------------------------------------------------------------------------------------------------

    def _heard(self, now: datetime, *, ends_doubt: bool = True) -> None:
        self.silent_at = now + timedelta(seconds=SILENCE_S)
        self.doubt_until = None if ends_doubt else self.doubt_until

    def _waiting(self, kind: str) -> list[str]:
        return [name for name, of in self.asked.items() if of == kind and name not in self.told]

    def _tell(self, names: list[str], result: bool) -> Out:
        """A true result is told once more to those who were told a false one; never the other way round."""
        fresh = [n for n in names if n not in self.told or (result and not self.told[n])]
        self.told.update(dict.fromkeys(fresh, result))
        return [("notify", name, result) for name in fresh]

    def _back_to_ready(self) -> Out:
        self.state, self.until = "Ready", self.lapses
        return self._tell(self._waiting("start"), False)

    def _back_to_running(self) -> Out:
        self.state = "TxRunning"
        return self._tell(self._waiting("stop"), False)

    def _reconcile(self, now: datetime) -> Out:
        assert self.start_wh is not None
        return self._finish(max([self.start_wh, *self.readings]), now)

    def _finish(self, wh: int, now: datetime) -> Out:
        """The charge record is overdue an hour after it was made, and again when it is twice as old."""
        energy = wh - self.start_wh if self.start_wh is not None and wh >= self.start_wh else None
        starts = self._tell([n for n, k in self.asked.items() if k == "start"], True)
        stops = self._tell(self._waiting("stop"), True)
        self.state, self.ended_at, self.until = "TxFinished", now, now + timedelta(seconds=OVERDUE_S)
        self.records.append(energy)
        return [*starts, *stops, ("end", energy)]
