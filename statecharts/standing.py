"""What the operator has decided on a station: may it be used, is that still open, is it not wanted, is it gone.

The station is told by the answer to its next BootNotification (OCPP 1.6 section 4.2, OCPP 2.x part 2, B01 to B03); what
it was told last stands in `statecharts.station.Registration`. Both have to say Accepted for a charge to begin.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from statecharts.chart import Chart, State, move, refuse, repeat
from statecharts.events import Command
from statecharts.station_reports import RegistrationStatus
from statecharts.vocabulary import Value


class S(StrEnum):
    PENDING = "Pending"
    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    RETIRED = "Retired"


class Standing(Value, frozen=True, kw_only=True):
    """`since` when it stands so, by the machine's clock, who (`by`) said so, and why."""

    state: str = S.PENDING
    since: datetime | None = None
    by: str = ""
    reason: str = ""

    def answer(self, *, is_charging: bool) -> RegistrationStatus:
        """What a station is told that boots. A retired one ends its charges first: Rejected, it might say nothing."""
        if self.state == S.RETIRED:
            return RegistrationStatus.ACCEPTED if is_charging else RegistrationStatus.REJECTED
        return RegistrationStatus(self.state)


class AcceptStation(Command, frozen=True, kw_only=True):
    """The operator wants this station in service."""

    by: str = ""
    reason: str = ""


class RejectStation(Command, frozen=True, kw_only=True):
    """The operator does not want it; it may come and ask again."""

    by: str = ""
    reason: str = ""


class RetireStation(Command, frozen=True, kw_only=True):
    """The station is gone for good: charges under way end, and nobody is let in by its name any more."""

    by: str = ""
    reason: str = ""


def _decided(_: Standing, event: AcceptStation | RejectStation | RetireStation) -> dict[str, Any]:
    return {"since": event.wall_at, "by": event.by, "reason": event.reason}


CHART: Chart[Standing] = Chart(
    name="standing of a station",
    initial=S.PENDING,
    states=(
        State(S.PENDING, "nobody has decided: it may be configured, not used", resting=True),
        State(S.ACCEPTED, "in service", resting=True),
        State(S.REJECTED, "not wanted", resting=True),
        State(S.RETIRED, "gone: its charges end, its history stays", resting=True),
    ),
    rows=(
        move(AcceptStation, (S.PENDING, S.REJECTED, S.RETIRED), S.ACCEPTED),
        repeat(AcceptStation, S.ACCEPTED),
        move(RejectStation, (S.PENDING, S.ACCEPTED), S.REJECTED),
        repeat(RejectStation, S.REJECTED),
        refuse(RejectStation, S.RETIRED, 409, "wrong-state", "this station is retired: nobody comes in by its name"),
        move(RetireStation, (S.PENDING, S.ACCEPTED, S.REJECTED), S.RETIRED),
        repeat(RetireStation, S.RETIRED),
    ),
    evolve={AcceptStation: _decided, RejectStation: _decided, RetireStation: _decided},
)
