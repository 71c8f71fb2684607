"""The chart of one connector of a simulated charging station: the truth that the station then reports.

The chart knows a cable, an idTag and a transaction; it knows no network. What the station says follows from it: a
change of status is a StatusNotification, and the three effects are Authorize, StartTransaction and StopTransaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from statecharts.chart import Change, Chart, Contract, Effects, Row, State, move, repeat, stay
from statecharts.events import Command, DeadlineReached, Effect, Fact
from statecharts.station_reports import ConnectorStatus
from statecharts.vocabulary import Value

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


class StartJudged(ConnectorFact, frozen=True, kw_only=True):
    """The idTagInfo in the answer to StartTransaction; `transaction` is this connector's own number for it."""

    transaction: int
    accepted: bool


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
    transaction: int
    id_tag: str
    meter_wh: int
    at: datetime


class EndTransaction(Effect, frozen=True, kw_only=True):
    """`reason` is a word of OCPP 1.6 section 7.36; `id_tag` only where a card ended it."""

    reason: str
    meter_wh: int
    at: datetime
    id_tag: str | None = None


# -- the chart ---------------------------------------------------------------------------------------------------------

AUTHORIZE_TIMEOUT_S = 30


class Rules(Value, frozen=True, kw_only=True):
    """The configuration keys that the chart follows."""

    authorize_remote: bool = False
    connection_timeout_s: int = 60
    stop_on_invalid_id: bool = True


class Connector(Value, frozen=True, kw_only=True):
    """One connector. `transaction` counts its transactions; OCPP's number for it is the central system's to give."""

    connector_id: int
    rules: Rules = Rules()
    state: str = "Available"
    plugged: bool = False
    inoperative: bool = False
    id_tag: str | None = None
    until: datetime | None = None
    transaction: int | None = None
    begun: int = 0
    error_code: str = "NoError"

    @property
    def status(self) -> ConnectorStatus:
        """What OCPP calls this state."""
        return _PREPARING.get(self.state) or ConnectorStatus(self.state)


AVAILABLE, PLUGGED, AUTHORIZING, AWAITING_CABLE = "Available", "Plugged", "Authorizing", "AwaitingCable"
CHARGING, SUSPENDED_EV, SUSPENDED_EVSE, FINISHING = "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing"
UNAVAILABLE, FAULTED = "Unavailable", "Faulted"

RUNNING = (CHARGING, SUSPENDED_EV, SUSPENDED_EVSE)
_WAITING = (AUTHORIZING, AWAITING_CABLE)
_PREPARING = dict.fromkeys((PLUGGED, *_WAITING), ConnectorStatus.PREPARING)


def _until(data: Connector) -> datetime:
    if data.until is None:
        raise ValueError(f"connector {data.connector_id} is {data.state} for ever")
    return data.until


_STATES = (
    State(AVAILABLE, "free: no cable, no driver", resting=True),
    State(PLUGGED, "a cable is in, nobody has identified himself", resting=True),
    State(AUTHORIZING, "an idTag is with the central system for a decision", deadline=_until),
    State(AWAITING_CABLE, "a driver may charge and has not plugged in yet", deadline=_until),
    State(CHARGING, "energy flows", resting=True),
    State(SUSPENDED_EV, "a transaction runs, the car takes nothing", resting=True),
    State(SUSPENDED_EVSE, "a transaction runs, the station gives nothing: its idTag was not accepted", resting=True),
    State(FINISHING, "the transaction is over, the cable still in", resting=True),
    State(UNAVAILABLE, "taken out of service", resting=True),
    State(FAULTED, "broken", resting=True),
)
_EVERYWHERE = tuple(state.name for state in _STATES)
_IDLE = (AVAILABLE, PLUGGED)


def _asks(_: Connector, after: Connector, __: Any) -> Iterable[Effect]:
    yield AskAuthorization(id_tag=after.id_tag or "")


def _begins(_: Connector, after: Connector, event: Any) -> Iterable[Effect]:
    yield BeginTransaction(transaction=after.begun, id_tag=after.id_tag or "", meter_wh=event.meter_wh, at=event.at)


def _ends(reason: str, *, named: bool = False) -> Effects:
    def effects(before: Connector, _: Connector, event: Any) -> Iterable[Effect]:
        id_tag = before.id_tag if named else None
        yield EndTransaction(reason=reason, meter_wh=event.meter_wh, at=event.at, id_tag=id_tag)

    return effects


def _ends_by_reboot(before: Connector, after: Connector, event: Rebooted) -> Iterable[Effect]:
    return _ends(event.reason)(before, after, event)


def _plugged(data: Connector, _: Any) -> bool:
    return data.plugged


def _inoperative(data: Connector, _: Any) -> bool:
    return data.inoperative


def _authorize_first(data: Connector, _: Any) -> bool:
    return data.rules.authorize_remote


def _own_card(data: Connector, event: IdTagPresented) -> bool:
    # OCPP 1.6 errata 3.58: idTags compare without regard to case.
    return event.id_tag.casefold() == (data.id_tag or "").casefold()


def _accepted_with_cable(data: Connector, event: IdTagJudged) -> bool:
    return _accepted(data, event) and data.plugged


def _accepted(data: Connector, event: IdTagJudged) -> bool:
    return event.accepted and event.id_tag == data.id_tag


def _refused_with_cable(data: Connector, event: IdTagJudged) -> bool:
    return _refused(data, event) and data.plugged


def _refused(data: Connector, event: IdTagJudged) -> bool:
    return not event.accepted and event.id_tag == data.id_tag


def _not_accepted(data: Connector, event: StartJudged) -> bool:
    return not event.accepted and event.transaction == data.transaction


def _must_stop(data: Connector, event: StartJudged) -> bool:
    return _not_accepted(data, event) and data.rules.stop_on_invalid_id


_CABLE_ROWS = (
    move(CablePlugged, AVAILABLE, PLUGGED),
    move(CablePlugged, AWAITING_CABLE, CHARGING, then=_begins),
    stay(CablePlugged, (AUTHORIZING, UNAVAILABLE, FAULTED)),
    repeat(CablePlugged, (PLUGGED, *RUNNING, FINISHING)),
    move(CableUnplugged, PLUGGED, AVAILABLE),
    move(CableUnplugged, RUNNING, UNAVAILABLE, when=_inoperative, note="inoperative", then=_ends("EVDisconnected")),
    move(CableUnplugged, RUNNING, AVAILABLE, then=_ends("EVDisconnected")),
    move(CableUnplugged, FINISHING, UNAVAILABLE, when=_inoperative, note="inoperative"),
    move(CableUnplugged, FINISHING, AVAILABLE),
    stay(CableUnplugged, (AUTHORIZING, UNAVAILABLE, FAULTED)),
    repeat(CableUnplugged, (AVAILABLE, AWAITING_CABLE)),
    move(EvPaused, CHARGING, SUSPENDED_EV),
    repeat(EvPaused, _EVERYWHERE),
    move(EvResumed, SUSPENDED_EV, CHARGING),
    repeat(EvResumed, _EVERYWHERE),
)
_START_ROWS = (
    move(IdTagPresented, _IDLE, AUTHORIZING, then=_asks),
    move(
        IdTagPresented, RUNNING, FINISHING, when=_own_card, note="the card that began", then=_ends("Local", named=True)
    ),
    repeat(IdTagPresented, _EVERYWHERE),
    move(
        StartRemotely, _IDLE, AUTHORIZING, when=_authorize_first, note="authorise first", then=_asks, answer="Accepted"
    ),
    move(StartRemotely, AVAILABLE, AWAITING_CABLE, answer="Accepted"),
    move(StartRemotely, PLUGGED, CHARGING, then=_begins, answer="Accepted"),
    move(IdTagJudged, AUTHORIZING, CHARGING, when=_accepted_with_cable, note="accepted, cable in", then=_begins),
    move(IdTagJudged, AUTHORIZING, AWAITING_CABLE, when=_accepted, note="accepted"),
    move(IdTagJudged, AUTHORIZING, PLUGGED, when=_refused_with_cable, note="refused, cable in"),
    move(IdTagJudged, AUTHORIZING, AVAILABLE, when=_refused, note="refused"),
    repeat(IdTagJudged, _EVERYWHERE),
    move(DeadlineReached, AUTHORIZING, PLUGGED, when=_plugged, note="cable in"),
    move(DeadlineReached, _WAITING, AVAILABLE),
)
_STOP_ROWS = (
    move(StopRemotely, RUNNING, FINISHING, then=_ends("Remote"), answer="Accepted"),
    move(
        StartJudged,
        (CHARGING, SUSPENDED_EV),
        FINISHING,
        when=_must_stop,
        note="not accepted, StopTransactionOnInvalidId",
        then=_ends("DeAuthorized"),
    ),
    move(StartJudged, (CHARGING, SUSPENDED_EV), SUSPENDED_EVSE, when=_not_accepted, note="not accepted"),
    repeat(StartJudged, _EVERYWHERE),
    move(Unlock, RUNNING, FINISHING, then=_ends("UnlockCommand"), answer="Unlocked"),
    repeat(Unlock, _EVERYWHERE, answer="Unlocked"),
    move(Rebooted, RUNNING, FINISHING, then=_ends_by_reboot),
    move(Rebooted, AUTHORIZING, PLUGGED, when=_plugged, note="cable in"),
    move(Rebooted, _WAITING, AVAILABLE),
    repeat(Rebooted, _EVERYWHERE),
)
_SERVICE_ROWS = (
    move(FaultAppeared, RUNNING, FAULTED, then=_ends("Other")),
    repeat(FaultAppeared, FAULTED),
    move(FaultAppeared, (*_IDLE, *_WAITING, FINISHING, UNAVAILABLE), FAULTED),
    move(FaultCleared, FAULTED, UNAVAILABLE, when=_inoperative, note="inoperative"),
    move(FaultCleared, FAULTED, PLUGGED, when=_plugged, note="cable in"),
    move(FaultCleared, FAULTED, AVAILABLE),
    repeat(FaultCleared, _EVERYWHERE),
    # OCPP 1.6 section 5.2: a transaction under way is left to end first.
    stay(MakeInoperative, RUNNING, answer="Scheduled"),
    stay(MakeInoperative, FAULTED, answer="Accepted"),
    repeat(MakeInoperative, UNAVAILABLE, answer="Accepted"),
    move(MakeInoperative, (*_IDLE, *_WAITING, FINISHING), UNAVAILABLE, answer="Accepted"),
    move(MakeOperative, UNAVAILABLE, PLUGGED, when=_plugged, note="cable in", answer="Accepted"),
    move(MakeOperative, UNAVAILABLE, AVAILABLE, answer="Accepted"),
    stay(MakeOperative, (*RUNNING, FINISHING, FAULTED), answer="Accepted"),
    repeat(MakeOperative, _EVERYWHERE, answer="Accepted"),
)
_ROWS: tuple[Row, ...] = (*_CABLE_ROWS, *_START_ROWS, *_STOP_ROWS, *_SERVICE_ROWS)


def _belongings(data: Connector) -> dict[str, Any]:
    """What a state keeps of the ones before it: only a running transaction has a number, only a driver an idTag."""
    running = data.state in RUNNING
    fresh = running and data.transaction is None
    return {
        "begun": data.begun + fresh,
        "transaction": data.begun + fresh if running else None,
        "id_tag": data.id_tag if running or data.state in _WAITING else None,
        "until": data.until if data.state in _WAITING else None,
        "error_code": data.error_code if data.state == FAULTED else "NoError",
    }


def _evolving(change: Change) -> Change:
    def evolve(data: Connector, event: Any) -> Mapping[str, Any]:
        changed = change(data, event)
        return {**changed, **_belongings(msgspec.structs.replace(data, **changed))}

    return evolve


def _wait(data: Connector, at: datetime) -> datetime:
    waits_s = {AWAITING_CABLE: data.rules.connection_timeout_s}
    return at + timedelta(seconds=waits_s.get(data.state, AUTHORIZE_TIMEOUT_S))


_CHANGES: dict[type[Any], Change] = {
    CablePlugged: lambda _, event: {"plugged": True},
    CableUnplugged: lambda _, event: {"plugged": False},
    IdTagPresented: lambda data, event: {"id_tag": event.id_tag, "until": _wait(data, event.at)},
    StartRemotely: lambda data, event: {"id_tag": event.id_tag, "until": _wait(data, event.at)},
    IdTagJudged: lambda data, event: {"until": _wait(data, event.at)},
    FaultAppeared: lambda _, event: {"error_code": event.error_code},
    MakeOperative: lambda _, event: {"inoperative": False},
    MakeInoperative: lambda _, event: {"inoperative": True},
}
_CABLE = {AVAILABLE: False, AWAITING_CABLE: False, PLUGGED: True, FINISHING: True}


def _transaction_as_state(data: Connector) -> bool:
    return (data.transaction is not None) == (data.state in RUNNING)


def _transaction_complete(data: Connector) -> bool:
    return data.transaction is None or bool(data.plugged and data.id_tag)


def _cable_as_state(data: Connector) -> bool:
    return _CABLE.get(data.state, data.plugged) == data.plugged


_CONTRACTS = (
    Contract("a transaction runs exactly while its state says so", always=_transaction_as_state),
    Contract("a transaction has a cable and an idTag", always=_transaction_complete),
    Contract("a cable is in, or not, as the state says", always=_cable_as_state),
    Contract("transactions begin one by one", after=lambda before, after, _: after.begun - before.begun in (0, 1)),
)

CHART: Chart[Connector] = Chart(
    "simulated connector",
    AVAILABLE,
    _STATES,
    _ROWS,
    evolve={row.event: _evolving(_CHANGES.get(row.event, lambda _, event: {})) for row in _ROWS},
    contracts=_CONTRACTS,
)
