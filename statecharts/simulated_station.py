"""The chart of one connector of a simulated charging station: the truth that the station then reports.

The chart knows a cable, an idTag and a transaction; it knows no network. What the station says follows from it: a
change of status is a StatusNotification; effects are Authorize, begins and ends of transactions, unused reservations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from statecharts.chart import Change, Chart, Contract, Effects, Row, State, move, repeat, stay
from statecharts.events import DeadlineReached, Effect
from statecharts.simulated_connector import (
    AUTHORIZING,
    AVAILABLE,
    AWAITING_CABLE,
    CHARGING,
    FAULTED,
    FINISHING,
    PLUGGED,
    RESERVED,
    RUNNING,
    SUSPENDED_EV,
    SUSPENDED_EVSE,
    UNAVAILABLE,
    WAITING,
    Connector,
    Reservation,
    same_tag,
)
from statecharts.simulated_events import (
    AskAuthorization,
    BeginTransaction,
    CablePlugged,
    CableUnplugged,
    CancelReservation,
    EndReservation,
    EndTransaction,
    EvPaused,
    EvResumed,
    FaultAppeared,
    FaultCleared,
    IdTagJudged,
    IdTagPresented,
    MakeInoperative,
    MakeOperative,
    Rebooted,
    Reserve,
    StartJudged,
    StartRemotely,
    StopRemotely,
    Unlock,
)

AUTHORIZE_TIMEOUT_S = 30

_STATES = (
    State(AVAILABLE, "free: no cable, no driver", resting=True),
    State(PLUGGED, "a cable is in, nobody has identified himself", resting=True),
    State(AUTHORIZING, "an idTag is with the central system for a decision", deadline=Connector.waits_until),
    State(AWAITING_CABLE, "a driver may charge and has not plugged in yet", deadline=Connector.waits_until),
    State(CHARGING, "energy flows", resting=True),
    State(SUSPENDED_EV, "a transaction runs, the car takes nothing", resting=True),
    State(SUSPENDED_EVSE, "a transaction runs, the station gives nothing: its idTag was not accepted", resting=True),
    State(FINISHING, "the transaction is over, the cable still in", resting=True),
    State(RESERVED, "kept for one driver or his group", deadline=Connector.reserved_until),
    State(UNAVAILABLE, "taken out of service", resting=True),
    State(FAULTED, "broken", resting=True),
)
_EVERYWHERE = tuple(state.name for state in _STATES)
_IDLE = (AVAILABLE, PLUGGED)


def _asks(_: Connector, after: Connector, __: Any) -> Iterable[Effect]:
    yield AskAuthorization(id_tag=after.id_tag or "")


def _asks_of_another(_: Connector, __: Connector, event: IdTagPresented) -> Iterable[Effect]:
    yield AskAuthorization(id_tag=event.id_tag)


def _begins(before: Connector, after: Connector, event: Any) -> Iterable[Effect]:
    yield BeginTransaction(
        transaction=after.begun,
        id_tag=after.id_tag or "",
        meter_wh=event.meter_wh,
        at=event.at,
        remotely=before.remotely or isinstance(event, StartRemotely),
        reservation_id=before.reservation.reservation_id if before.reservation else None,
    )


def _ends(reason: str, *, named: bool = False) -> Effects:
    def effects(before: Connector, _: Connector, event: Any) -> Iterable[Effect]:
        id_tag = before.named_by(event.id_tag) if named else None
        yield EndTransaction(reason=reason, meter_wh=event.meter_wh, at=event.at, id_tag=id_tag)

    return effects


def _ends_by_reboot(before: Connector, after: Connector, event: Rebooted) -> Iterable[Effect]:
    return _ends(event.reason)(before, after, event)


def _unreserves(reason: str) -> Effects:
    def effects(before: Connector, _: Connector, __: Any) -> Iterable[Effect]:
        if before.reservation is not None:
            yield EndReservation(reservation_id=before.reservation.reservation_id, reason=reason)

    return effects


def _plugged(data: Connector, _: Any) -> bool:
    return data.plugged


def _inoperative(data: Connector, _: Any) -> bool:
    return data.inoperative


def _reserved(data: Connector, _: Any) -> bool:
    return data.reservation is not None


def _authorize_first(data: Connector, _: Any) -> bool:
    return data.rules.authorize_remote


def _own_card(data: Connector, event: IdTagPresented) -> bool:
    return same_tag(event.id_tag, data.id_tag)


def _expected(data: Connector, event: IdTagPresented) -> bool:
    """Whether this may be the driver that the connector is kept for; whose group a tag is of, the answer tells."""
    kept_for = data.reservation
    return kept_for is not None and (kept_for.is_of(event.id_tag) or kept_for.parent_id_tag is not None)


def _named(data: Connector, event: StartRemotely) -> bool:
    return data.reservation is not None and data.reservation.is_of(event.id_tag)


def _named_to_authorize(data: Connector, event: StartRemotely) -> bool:
    return _named(data, event) and data.rules.authorize_remote


def _named_with_cable(data: Connector, event: StartRemotely) -> bool:
    return _named(data, event) and data.plugged


def _same_reservation(data: Connector, event: Reserve) -> bool:
    return data.reservation is not None and data.reservation.reservation_id == event.reservation_id


def _accepted_with_cable(data: Connector, event: IdTagJudged) -> bool:
    return _accepted(data, event) and data.plugged


def _accepted(data: Connector, event: IdTagJudged) -> bool:
    usable = data.reservation is None or data.reservation.may_be_used_by(event)
    return event.accepted and usable and event.id_tag == data.id_tag


def _refused_with_cable(data: Connector, event: IdTagJudged) -> bool:
    return _refused(data, event) and data.plugged


def _refused_reserved(data: Connector, event: IdTagJudged) -> bool:
    return _refused(data, event) and data.reservation is not None


def _refused(data: Connector, event: IdTagJudged) -> bool:
    return event.id_tag == data.id_tag and not _accepted(data, event)


def _not_accepted(data: Connector, event: StartJudged) -> bool:
    return not event.accepted and event.transaction == data.transaction


def _must_stop(data: Connector, event: StartJudged) -> bool:
    return _not_accepted(data, event) and data.rules.stop_on_invalid_id


_CABLE_ROWS = (
    move(CablePlugged, AVAILABLE, PLUGGED),
    move(CablePlugged, AWAITING_CABLE, CHARGING, then=_begins),
    stay(CablePlugged, (AUTHORIZING, RESERVED, UNAVAILABLE, FAULTED)),
    repeat(CablePlugged, (PLUGGED, *RUNNING, FINISHING)),
    move(CableUnplugged, PLUGGED, AVAILABLE),
    move(CableUnplugged, RUNNING, UNAVAILABLE, when=_inoperative, note="inoperative", then=_ends("EVDisconnected")),
    move(CableUnplugged, RUNNING, AVAILABLE, then=_ends("EVDisconnected")),
    move(CableUnplugged, FINISHING, UNAVAILABLE, when=_inoperative, note="inoperative"),
    move(CableUnplugged, FINISHING, AVAILABLE),
    stay(CableUnplugged, (AUTHORIZING, RESERVED, UNAVAILABLE, FAULTED)),
    repeat(CableUnplugged, (AVAILABLE, AWAITING_CABLE)),
    move(EvPaused, CHARGING, SUSPENDED_EV),
    repeat(EvPaused, _EVERYWHERE),
    move(EvResumed, SUSPENDED_EV, CHARGING),
    repeat(EvResumed, _EVERYWHERE),
)
_START_ROWS = (
    move(IdTagPresented, _IDLE, AUTHORIZING, then=_asks),
    move(IdTagPresented, RESERVED, AUTHORIZING, when=_expected, note="it is kept for him, or his group", then=_asks),
    move(
        IdTagPresented, RUNNING, FINISHING, when=_own_card, note="the card that began", then=_ends("Local", named=True)
    ),
    stay(IdTagPresented, RUNNING, note="another card: perhaps of his group", then=_asks_of_another),
    repeat(IdTagPresented, _EVERYWHERE),
    move(
        StartRemotely, _IDLE, AUTHORIZING, when=_authorize_first, note="authorise first", then=_asks, answer="Accepted"
    ),
    move(StartRemotely, AVAILABLE, AWAITING_CABLE, answer="Accepted"),
    move(StartRemotely, PLUGGED, CHARGING, then=_begins, answer="Accepted"),
    move(IdTagJudged, AUTHORIZING, CHARGING, when=_accepted_with_cable, note="accepted, cable in", then=_begins),
    move(IdTagJudged, AUTHORIZING, AWAITING_CABLE, when=_accepted, note="accepted"),
    move(IdTagJudged, AUTHORIZING, RESERVED, when=_refused_reserved, note="refused, kept for another"),
    move(IdTagJudged, AUTHORIZING, PLUGGED, when=_refused_with_cable, note="refused, cable in"),
    move(IdTagJudged, AUTHORIZING, AVAILABLE, when=_refused, note="refused"),
    move(IdTagJudged, RUNNING, FINISHING, when=Connector.lets_stop, note="his group", then=_ends("Local", named=True)),
    repeat(IdTagJudged, _EVERYWHERE),
    move(DeadlineReached, WAITING, RESERVED, when=_reserved, note="reserved"),
    move(DeadlineReached, AUTHORIZING, PLUGGED, when=_plugged, note="cable in"),
    move(DeadlineReached, WAITING, AVAILABLE),
)
_RESERVATION_ROWS = (
    move(Reserve, AVAILABLE, RESERVED, answer="Accepted"),
    # OCPP 1.6 section 5.13: the same number replaces the reservation.
    move(Reserve, RESERVED, RESERVED, when=_same_reservation, note="the same one", answer="Accepted"),
    repeat(Reserve, (RESERVED, PLUGGED, *WAITING, *RUNNING, FINISHING), answer="Occupied"),
    repeat(Reserve, UNAVAILABLE, answer="Unavailable"),
    repeat(Reserve, FAULTED, answer="Faulted"),
    move(CancelReservation, RESERVED, PLUGGED, when=_plugged, note="cable in", answer="Accepted"),
    move(CancelReservation, RESERVED, AVAILABLE, answer="Accepted"),
    stay(CancelReservation, WAITING, when=_reserved, note="its driver is here", answer="Accepted"),
    repeat(CancelReservation, _EVERYWHERE, answer="Rejected"),
    move(DeadlineReached, RESERVED, PLUGGED, when=_plugged, note="cable in", then=_unreserves("Expired")),
    move(DeadlineReached, RESERVED, AVAILABLE, then=_unreserves("Expired")),
    move(
        StartRemotely,
        RESERVED,
        AUTHORIZING,
        when=_named_to_authorize,
        note="kept for him, authorise first",
        then=_asks,
        answer="Accepted",
    ),
    move(
        StartRemotely,
        RESERVED,
        CHARGING,
        when=_named_with_cable,
        note="kept for him, cable in",
        then=_begins,
        answer="Accepted",
    ),
    move(StartRemotely, RESERVED, AWAITING_CABLE, when=_named, note="kept for him", answer="Accepted"),
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
    stay(StartJudged, RUNNING, when=Connector.is_judged, note="his group"),
    repeat(StartJudged, _EVERYWHERE),
    move(Unlock, RUNNING, FINISHING, then=_ends("UnlockCommand"), answer="Unlocked"),
    repeat(Unlock, _EVERYWHERE, answer="Unlocked"),
    move(Rebooted, RUNNING, FINISHING, then=_ends_by_reboot),
    move(Rebooted, WAITING, RESERVED, when=_reserved, note="reserved"),
    move(Rebooted, AUTHORIZING, PLUGGED, when=_plugged, note="cable in"),
    move(Rebooted, WAITING, AVAILABLE),
    repeat(Rebooted, _EVERYWHERE),
)
_SERVICE_ROWS = (
    move(FaultAppeared, RUNNING, FAULTED, then=_ends("Other")),
    repeat(FaultAppeared, FAULTED),
    move(FaultAppeared, (*_IDLE, *WAITING, RESERVED, FINISHING, UNAVAILABLE), FAULTED, then=_unreserves("Removed")),
    move(FaultCleared, FAULTED, UNAVAILABLE, when=_inoperative, note="inoperative"),
    move(FaultCleared, FAULTED, PLUGGED, when=_plugged, note="cable in"),
    move(FaultCleared, FAULTED, AVAILABLE),
    repeat(FaultCleared, _EVERYWHERE),
    # OCPP 1.6 section 5.2: a transaction under way is left to end first.
    stay(MakeInoperative, RUNNING, answer="Scheduled"),
    stay(MakeInoperative, FAULTED, answer="Accepted"),
    repeat(MakeInoperative, UNAVAILABLE, answer="Accepted"),
    move(
        MakeInoperative,
        (*_IDLE, *WAITING, RESERVED, FINISHING),
        UNAVAILABLE,
        then=_unreserves("Removed"),
        answer="Accepted",
    ),
    move(MakeOperative, UNAVAILABLE, PLUGGED, when=_plugged, note="cable in", answer="Accepted"),
    move(MakeOperative, UNAVAILABLE, AVAILABLE, answer="Accepted"),
    stay(MakeOperative, (*RUNNING, FINISHING, FAULTED), answer="Accepted"),
    repeat(MakeOperative, _EVERYWHERE, answer="Accepted"),
)
_ROWS: tuple[Row, ...] = (*_CABLE_ROWS, *_START_ROWS, *_RESERVATION_ROWS, *_STOP_ROWS, *_SERVICE_ROWS)


def _belongings(data: Connector) -> dict[str, Any]:
    """What a state keeps of the ones before it: only a running transaction has a number, only a driver an idTag."""
    running = data.state in RUNNING
    fresh = running and data.transaction is None
    return {
        "begun": data.begun + fresh,
        "transaction": data.begun + fresh if running else None,
        "id_tag": data.id_tag if running or data.state in WAITING else None,
        "group": data.group if running or data.state in WAITING else None,
        "until": data.until if data.state in WAITING else None,
        "remotely": data.remotely and data.state in WAITING,
        "reservation": data.reservation if data.state in (RESERVED, *WAITING) else None,
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


def _driver(data: Connector, event: Any) -> dict[str, Any]:
    return {"id_tag": event.id_tag, "until": _wait(data, event.at)}


def _kept(_: Connector, event: Reserve) -> Mapping[str, Any]:
    kept = Reservation(
        reservation_id=event.reservation_id,
        id_tag=event.id_tag,
        expires_at=event.expires_at,
        parent_id_tag=event.parent_id_tag,
    )
    return {"reservation": kept}


_CHANGES: dict[type[Any], Change] = {
    CablePlugged: lambda _, event: {"plugged": True},
    CableUnplugged: lambda _, event: {"plugged": False},
    IdTagPresented: lambda data, event: {} if data.state in RUNNING else _driver(data, event),
    StartRemotely: lambda data, event: {**_driver(data, event), "remotely": True},
    Reserve: _kept,
    CancelReservation: lambda _, event: {"reservation": None},
    IdTagJudged: lambda data, event: {"until": _wait(data, event.at), "group": event.parent_id_tag},
    StartJudged: lambda _, event: {"group": event.parent_id_tag},
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


def _reserved_for_somebody(data: Connector) -> bool:
    return data.state != RESERVED or data.reservation is not None


_CONTRACTS = (
    Contract("a reserved connector is kept for somebody", always=_reserved_for_somebody),
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
