"""What a connector of a simulated charging station is, and the states that it can be in."""

from __future__ import annotations

from datetime import datetime

from statecharts.simulated_events import IdTagJudged, StartJudged
from statecharts.station_reports import ConnectorStatus
from statecharts.vocabulary import Value


class Rules(Value, frozen=True, kw_only=True):
    """The configuration keys that the chart follows."""

    authorize_remote: bool = False
    connection_timeout_s: int = 60
    stop_on_invalid_id: bool = True


class Reservation(Value, frozen=True, kw_only=True):
    """Whom a connector is kept for: one idTag, or any of a group."""

    reservation_id: int
    id_tag: str
    expires_at: datetime
    parent_id_tag: str | None = None

    def is_of(self, id_tag: str) -> bool:
        return same_tag(id_tag, self.id_tag)

    def may_be_used_by(self, judged: IdTagJudged) -> bool:
        """Whether the tag that was judged is the one meant, or of its group (OCPP 1.6 section 5.13)."""
        in_group = self.parent_id_tag is not None and same_tag(judged.parent_id_tag, self.parent_id_tag)
        return self.is_of(judged.id_tag) or in_group


def same_tag(one: str | None, other: str | None) -> bool:
    # OCPP 1.6 errata 3.58: idTags compare without regard to case.
    return (one or "").casefold() == (other or "").casefold()


class Connector(Value, frozen=True, kw_only=True):
    """One connector. `transaction` counts its transactions; OCPP's number for it is the central system's to give.

    `group` is the parentIdTag of who charges.
    `remotely`: who waits to charge here was named from afar. `reservation` is kept while it waits to be used.
    """

    connector_id: int
    rules: Rules = Rules()
    state: str = "Available"
    plugged: bool = False
    inoperative: bool = False
    id_tag: str | None = None
    group: str | None = None
    until: datetime | None = None
    transaction: int | None = None
    begun: int = 0
    error_code: str = "NoError"
    remotely: bool = False
    reservation: Reservation | None = None

    @property
    def status(self) -> ConnectorStatus:
        """What OCPP calls this state."""
        return _PREPARING.get(self.state) or ConnectorStatus(self.state)

    def waits_until(self) -> datetime:
        if self.until is None:
            raise ValueError(f"connector {self.connector_id} is {self.state} for ever")
        return self.until

    def reserved_until(self) -> datetime:
        if self.reservation is None:
            raise ValueError(f"connector {self.connector_id} is reserved for nobody")
        return self.reservation.expires_at

    def named_by(self, id_tag: str) -> str | None:
        """The idTag that ends a transaction: the one that began it, as it was written then, or another."""
        return self.id_tag if same_tag(id_tag, self.id_tag) else id_tag

    def lets_stop(self, judged: IdTagJudged) -> bool:
        """Whether another card may stop what goes on: one of the same group (OCPP 1.6 section 3.10)."""
        return judged.accepted and judged.parent_id_tag is not None and same_tag(judged.parent_id_tag, self.group)

    def is_judged(self, start: StartJudged) -> bool:
        """Whether it is the transaction under way that was judged."""
        return start.transaction == self.transaction


AVAILABLE, PLUGGED, AUTHORIZING, AWAITING_CABLE = "Available", "Plugged", "Authorizing", "AwaitingCable"
CHARGING, SUSPENDED_EV, SUSPENDED_EVSE, FINISHING = "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing"
RESERVED, UNAVAILABLE, FAULTED = "Reserved", "Unavailable", "Faulted"

RUNNING = (CHARGING, SUSPENDED_EV, SUSPENDED_EVSE)
WAITING = (AUTHORIZING, AWAITING_CABLE)
_PREPARING = dict.fromkeys((PLUGGED, *WAITING), ConnectorStatus.PREPARING)
