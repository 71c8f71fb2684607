"""The Source's table of DESIGN.md once more, in plain words and dicts: what the chart is judged by.

It shares nothing with the chart but the names of states. Each method is something that happens, and returns what must
go out because of it, ("start", name) and ("stop", name), and which keys of the app name the request from now on,
("key", key), or the code that it is refused with.
"""

from __future__ import annotations

from datetime import datetime, timedelta

Out = list[tuple[str, str]]

ANSWER_S, AUTHORIZATION_S, START_S, STOP_S, SILENCE_S, OVERDUE_S = 15, 900, 210, 180, 86_400, 3_600
BEFORE = ("Ready", "StartTxRequested", "Expired")
UNNAMED = ("Authorizing", "Refused")


class PlainSource:
    def __init__(self, now: datetime) -> None:
        self.state = "Authorizing"
        self.until: datetime | None = now + timedelta(seconds=ANSWER_S)
        self.lapses = now
        self.kinds: dict[str, str] = {}
        self.status: dict[str, str] = {}
        self.kept: str | None = None
        self.noted: set[tuple[str, bool]] = set()
        self.heard: datetime | None = None
        self.energy: int | None = None
        self.record: object = None
        self.ended_at = now
        self.flags: set[str] = set()

    @property
    def deadline(self) -> datetime | None:
        if self.state == "TxRunning":
            assert self.heard is not None
            return self.heard + timedelta(seconds=SILENCE_S)
        return None if self.state in ("Refused", "Expired", "Settled") else self.until

    @property
    def pending(self) -> list[str]:
        return [name for name, status in self.status.items() if status == "pending"]

    # -- the answer to Authorize ---------------------------------------------------------------------------------------

    def granted(self, now: datetime) -> None:
        if self.state == "Authorizing":
            self.state, self.lapses = "Ready", now + timedelta(seconds=AUTHORIZATION_S)
            self.until = self.lapses
        else:
            self.flags.add("granted-too-late")

    def no_grant(self) -> None:
        if self.state == "Authorizing":
            self.state = "Refused"

    def restarted(self) -> int | None:
        """Only an answer that is waited for in memory alone is lost by it."""
        if self.state != "Authorizing":
            return 409
        self.state = "Refused"
        return None

    # -- asked by the app ----------------------------------------------------------------------------------------------

    def start(self, name: str, key: str | None, now: datetime) -> Out | int:
        if self.state == "StartTxRequested":
            return self._named(key)
        if self.state != "Ready":
            return 410 if self.state in ("Expired", "TxFinished", "Settled") else 409
        self.state = "StartTxRequested"
        return self._named(key) + self._ask("start", name, now, START_S)

    def stop(self, name: str, key: str | None, now: datetime) -> Out | int:
        if self.state == "StartTxRequested":
            self.kept = self.kept or name
            return self._named(key)
        if self.state == "StopTxRequested":
            return self._named(key)
        if self.state != "TxRunning":
            return 410 if self.state in ("TxFinished", "Settled") else 409
        self.state = "StopTxRequested"
        return self._named(key) + self._ask("stop", name, now, STOP_S)

    def _named(self, key: str | None) -> Out:
        return [("key", key)] if key else []

    def _ask(self, kind: str, name: str, now: datetime, seconds: int) -> Out:
        self.kinds[name], self.status[name] = kind, "pending"
        self.until = now + timedelta(seconds=seconds)
        return [(kind, name)]

    # -- told by the Destination ---------------------------------------------------------------------------------------

    def declined(self, name: str, now: datetime) -> Out:
        if name in self.pending:
            self._fail(now)
        return []

    def notified(self, name: str, success: bool, now: datetime) -> Out:
        if self.state not in UNNAMED and (name, success) in self.noted:
            return []
        self.noted.add((name, success))
        self.heard = self.heard and now
        if not success:
            return self.declined(name, now)
        was_pending = name in self.pending
        if name in self.kinds:
            self.status[name] = "succeeded"
        if self.kinds.get(name) == "start" and self.state in BEFORE:
            return self._run(now)
        if self.kinds.get(name) == "stop" and was_pending:
            self.state, self.ended_at, self.until = "TxFinished", now, now + timedelta(seconds=OVERDUE_S)
        return []

    def progress(self, energy: int | None, ours: bool, now: datetime) -> Out | int:
        if not ours or self.state in UNNAMED:
            self.flags.add("foreign-progress")
            return [] if self.state in UNNAMED else 403
        if self.state == "Settled":
            return []
        if energy is not None:
            self.energy = max(self.energy or 0, energy)
        if self.state in BEFORE:
            return self._run(now)
        self.heard = now
        return []

    def ended(self, record: object, energy: int | None, ours: bool) -> Out | int:
        if not ours or self.state in UNNAMED:
            self.flags.add("foreign-end")
            return [] if self.state in UNNAMED else 403
        if self.state == "Settled":
            self.flags |= {"conflicting-end"} if record != self.record else set()
            return [] if record == self.record else 409
        self.flags |= {"implausible-end"} if energy is None else set()
        self.state, self.record, self.energy, self.kept = "Settled", record, energy, None
        self.status.update(dict.fromkeys(self.pending, "succeeded"))
        return []

    # -- time ----------------------------------------------------------------------------------------------------------

    def timed_out(self, now: datetime) -> Out:
        if self.state == "Authorizing":
            self.state = "Refused"
        elif self.state == "Ready":
            self.state = "Expired"
        elif self.state == "TxRunning":
            self.heard = now
            self.flags.add("silent")
        elif self.state == "TxFinished":
            self.until = self.ended_at + 2 * (now - self.ended_at)
            self.flags.add("cdr-overdue")
        else:
            self._fail(now)
        return []

    # -- what follows --------------------------------------------------------------------------------------------------

    def _run(self, now: datetime) -> Out:
        self.status.update(dict.fromkeys(self.pending, "succeeded"))
        self.heard = now
        if self.kept is None:
            self.state = "TxRunning"
            return []
        name, self.kept, self.state = self.kept, None, "StopTxRequested"
        return self._ask("stop", name, now, STOP_S)

    def _fail(self, now: datetime) -> None:
        self.status.update(dict.fromkeys(self.pending, "failed"))
        self.kept = None
        if self.state == "StopTxRequested":
            self.state = "TxRunning"
        else:
            self.state, self.until = ("Expired" if now >= self.lapses else "Ready"), self.lapses
