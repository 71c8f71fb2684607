"""What befalls a connector of a simulated charging station, what it is asked, and what is to be done about it."""

from __future__ import annotations

from datetime import datetime

from statecharts.events import Command, Effect, Fact

# -- what happens at a connector; `meter_wh` is what its meter showed at that moment -----------------------------------


class ConnectorFact(Fact, frozen=True, kw_only=True):
    meter_wh: int


class ConnectorCommand(Command, frozen=True, kw_only=True):
    meter_wh: int


class CablePlugged(ConnectorFact, frozen=True, kw_only=True):
    pass


class CableUnplugged(ConnectorFact, frozen=True, kw_only=True):
    pass


class IdTagPresented(ConnectorFact, frozen=True, kw_only=True):
    """A driver held an RFID card to the reader."""

    id_tag: str


class IdTagJudged(ConnectorFact, frozen=True, kw_only=True):
    """The answer to Authorize."""

    id_tag: str
    accepted: bool
    parent_id_tag: str | None = None


class StartJudged(ConnectorFact, frozen=True, kw_only=True):
    """The idTagInfo in the answer to StartTransaction; `transaction` is this connector's own number for it."""

    transaction: int
    accepted: bool
    parent_id_tag: str | None = None


class EvPaused(ConnectorFact, frozen=True, kw_only=True):
    """The car takes no energy for now, as with a full battery."""


class EvResumed(ConnectorFact, frozen=True, kw_only=True):
    pass


class FaultAppeared(ConnectorFact, frozen=True, kw_only=True):
    """`error_code` is a word of OCPP 1.6 section 7.6, ChargePointErrorCode."""

    error_code: str


class FaultCleared(ConnectorFact, frozen=True, kw_only=True):
    pass


class Rebooted(ConnectorFact, frozen=True, kw_only=True):
    """`reason` is what a transaction under way is stopped with: HardReset, SoftReset, PowerLoss."""

    reason: str


class StartRemotely(ConnectorCommand, frozen=True, kw_only=True):
    id_tag: str


class Reserve(ConnectorCommand, frozen=True, kw_only=True):
    """Keeps the connector for `id_tag`, and for the tags of the group `parent_id_tag`, until `expires_at`."""

    reservation_id: int
    id_tag: str
    expires_at: datetime
    parent_id_tag: str | None = None


class CancelReservation(ConnectorCommand, frozen=True, kw_only=True):
    pass


class StopRemotely(ConnectorCommand, frozen=True, kw_only=True):
    pass


class Unlock(ConnectorCommand, frozen=True, kw_only=True):
    pass


class MakeOperative(ConnectorCommand, frozen=True, kw_only=True):
    pass


class MakeInoperative(ConnectorCommand, frozen=True, kw_only=True):
    pass


# -- what is to be done about it ---------------------------------------------------------------------------------------


class AskAuthorization(Effect, frozen=True, kw_only=True):
    id_tag: str


class BeginTransaction(Effect, frozen=True, kw_only=True):
    """`remotely`: it was asked for from afar; `reservation_id` names the reservation that is used up by it."""

    transaction: int
    id_tag: str
    meter_wh: int
    at: datetime
    remotely: bool = False
    reservation_id: int | None = None


class EndTransaction(Effect, frozen=True, kw_only=True):
    """`reason` is a word of OCPP 1.6 section 7.36; `id_tag` only where a card ended it."""

    reason: str
    meter_wh: int
    at: datetime
    id_tag: str | None = None


class EndReservation(Effect, frozen=True, kw_only=True):
    """A reservation is over that nobody used or cancelled. `reason` is Expired or Removed."""

    reservation_id: int
    reason: str
