"""What the events of an OCPP 2.x transaction come to, in whatever order, how often and with which gaps they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecharts.evse import CHARGES_GO_ON, Evse, of_plugs, step
from statecharts.limits import PLUGS
from statecharts.station_reports import (
    ConnectorStatus,
    MeterSample,
    StatusNotification,
    StopTransaction,
    TransactionEvent,
    TransactionEventKind,
)
from statecharts.station_session import (
    Session,
    heard,
    remote_start_id,
    session_of,
    shown_by,
    status_meant,
    status_reported,
    status_shown,
    stop_of,
)

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
STARTED, UPDATED, ENDED = TransactionEventKind


def sample(seq_no: int, wh: int) -> MeterSample:
    return MeterSample(timestamp=T0 + timedelta(minutes=seq_no), value=str(wh))


def event(seq_no: int, kind: TransactionEventKind = UPDATED, wh: int | None = None, **more: Any) -> TransactionEvent:
    """One event of the transaction "tx", a minute after the one before."""
    said = {"trigger": "MeterValuePeriodic", "connector_id": 1, **more}
    samples = () if wh is None else (sample(seq_no, wh),)
    at = T0 + timedelta(minutes=seq_no)
    return TransactionEvent(kind=kind, reference="tx", seq_no=seq_no, timestamp=at, samples=samples, **said)


@st.composite
def transactions(draw: st.DrawFn) -> tuple[TransactionEvent, ...]:
    """All events of a transaction in their order: a register that never falls, a token said in one of them or never."""
    count = draw(st.integers(2, 6))
    steps = draw(st.lists(st.none() | st.integers(0, 900), min_size=count, max_size=count))
    token_in = draw(st.none() | st.integers(0, count - 1))
    wh, events = draw(st.integers(0, 5_000)), []
    for seq_no, taken in enumerate(steps):
        wh += taken or 0
        kind = STARTED if seq_no == 0 else ENDED if seq_no == count - 1 else UPDATED
        said = {"id_tag": "CARD" if seq_no == token_in else None, "connector_id": 1 if seq_no == 0 else None}
        events.append(event(seq_no, kind, None if taken is None else wh, **said))
    return tuple(events)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[tuple[TransactionEvent, ...], tuple[TransactionEvent, ...]]:
    """A transaction, and what arrives of it: all of it, in any order, some of it more than once."""
    events = draw(transactions())
    again = draw(st.lists(st.sampled_from(events), max_size=3))
    return events, tuple(draw(st.permutations([*events, *again])))


@given(deliveries())
def test_order_and_repeats_change_nothing_of_what_is_known_in_the_end(delivery: Any) -> None:
    events, arriving = delivery
    assert session_of(arriving) == session_of(events)


@given(deliveries())
def test_an_event_that_was_heard_says_nothing_new(delivery: Any) -> None:
    _, arriving = delivery
    session = None
    for each in arriving:
        session = heard(session, each)
        assert heard(session, each) == session


@given(transactions(), st.data())
def test_whatever_is_missing_no_charge_begins_without_somebody_who_pays_or_energy(
    events: tuple[TransactionEvent, ...], data: st.DataObject
) -> None:
    kept = data.draw(st.lists(st.sampled_from(events), min_size=1, unique=True))
    session = session_of(kept)
    assert session is not None
    start = session.start()
    named = any(each.id_tag for each in kept)
    whole = session.ended is not None and min(each.seq_no for each in kept) == 0
    assert (start is not None) == (named or (whole and (session.energy_wh or 0) > 0))
    if start is not None:
        assert start.id_tag == ("CARD" if named else "")
        assert start.timestamp <= min(each.timestamp for each in kept)


@given(transactions())
def test_the_energy_of_an_ended_transaction_is_that_between_its_first_and_last_reading(
    events: tuple[TransactionEvent, ...],
) -> None:
    session = session_of(events)
    assert session is not None
    readings = [int(each.value) for said in events for each in said.samples]
    assert session.energy_wh == (readings[-1] - readings[0] if readings else None)
    start, stop = session.start(asked_for="CARD"), session.stop(7)
    assert start is not None
    assert stop is not None
    assert start.meter_start_wh == (readings[0] if readings else None)
    assert [int(each.value) for each in stop.samples][-1:] == readings[-1:]


def begun(*events: TransactionEvent) -> Session:
    session = session_of(events)
    assert session is not None
    return session


def test_a_token_that_comes_late_starts_the_charge_when_the_transaction_began() -> None:
    plugged = begun(event(0, STARTED, 1_000, trigger="CablePluggedIn"), event(1, wh=1_000))
    assert plugged.start() is None
    start = heard(plugged, event(2, wh=1_050, id_tag="CARD")).start()
    assert start is not None
    assert (start.id_tag, start.timestamp, start.meter_start_wh, start.connector_id) == ("CARD", T0, 1_000, 1)


def test_a_start_that_was_asked_for_is_known_by_its_number() -> None:
    session = begun(event(0, STARTED, 1_000, remote_start_id=remote_start_id("0A1B2C3D4E5F")))
    assert session.start() is None
    start = session.start(asked_for="0A1B2C3D4E5F")
    assert start is not None
    assert start.id_tag == "0A1B2C3D4E5F"


def test_an_end_alone_begins_with_the_first_of_its_readings() -> None:
    ended = event(5, ENDED, id_tag="CARD")
    ended = msgspec.structs.replace(ended, samples=(sample(1, 1_000), sample(5, 4_000)))
    start, stop = begun(ended).start(), begun(ended).stop(7)
    assert start is not None
    assert (start.timestamp, start.meter_start_wh) == (T0 + timedelta(minutes=1), 1_000)
    assert stop is not None
    assert (stop.meter_stop_wh, stop.timestamp) == (4_000, T0 + timedelta(minutes=5))


def test_an_end_says_what_a_stop_of_1_6_would() -> None:
    told = stop_of(event(3, ENDED, 2_000, stopped_reason="EVDisconnected", id_tag="OTHER"), 7)
    assert told == StopTransaction(
        transaction_id=7,
        meter_stop_wh=2_000,
        timestamp=T0 + timedelta(minutes=3),
        reason="EVDisconnected",
        id_tag="OTHER",
        samples=(sample(3, 2_000),),
    )
    assert (stop_of(event(3, ENDED), 7).reason, stop_of(event(3, ENDED), 7).meter_stop_wh) == ("Local", None)


@given(st.text(min_size=1, max_size=36))
def test_a_remote_start_is_numbered_by_its_tag_whatever_its_case(id_tag: str) -> None:
    number = remote_start_id(id_tag)
    assert 0 < number < 2**31
    assert remote_start_id(id_tag.casefold()) == number


def test_remote_starts_of_different_tags_have_different_numbers() -> None:
    assert len({remote_start_id(f"{number:012X}") for number in range(10_000)}) == 10_000


# -- what an EVSE shows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (event(0, STARTED), None),
        (event(0, STARTED, charging_state="EVConnected"), "Preparing"),
        (event(1, charging_state="Charging"), "Charging"),
        (event(1, charging_state="SuspendedEV"), "SuspendedEV"),
        (event(1, charging_state="SuspendedEVSE"), "SuspendedEVSE"),
        (event(1, charging_state="Idle"), "Finishing"),
        (event(1, charging_state="AcmeState"), None),
        (event(1, charging_state="Charging", offline=True), None),
        (event(1, charging_state="Charging", connector_id=None), "Charging"),
        (event(2, ENDED), None),
    ],
)
def test_the_events_of_a_transaction_tell_what_its_evse_shows(said: TransactionEvent, shown: str | None) -> None:
    assert status_shown(said, "Available") == shown
    assert shown is None or status_shown(said, shown) is None


@pytest.mark.parametrize("offline", [False, True])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Charging", "Finishing"),
        ("SuspendedEV", "Finishing"),
        ("Preparing", "Finishing"),
        ("Finishing", None),
        ("Available", None),
        ("Faulted", None),
    ],
)
def test_an_end_leaves_a_car_that_is_still_shown(before: str, after: str | None, offline: bool) -> None:
    assert status_shown(event(2, ENDED, offline=offline), before) == after


A, B, C, F, G, H, J = (
    ConnectorStatus.AVAILABLE,
    ConnectorStatus.PREPARING,
    ConnectorStatus.CHARGING,
    ConnectorStatus.FINISHING,
    ConnectorStatus.RESERVED,
    ConnectorStatus.UNAVAILABLE,
    ConnectorStatus.FAULTED,
)
OF_A_PLUG = (A, B, G, H, J)
"""What OCPP 2.x can say of a plug; Occupied is read as Preparing."""


def plug(plug_id: int | None, status: ConnectorStatus) -> StatusNotification:
    return StatusNotification(connector_id=1, status=status, error_code="NoError", plug_id=plug_id)


def meant(said: StatusNotification, shown: str, *, charging: bool = False, **plugs: ConnectorStatus) -> ConnectorStatus:
    """What is meant where the EVSE shows `shown`, and plug 1 and 2 what is given as `p1` and `p2`."""
    known = {int(name[1:]): status for name, status in plugs.items()}
    return status_meant(said, Evse(state=shown, plugs=known), charging=charging)


def evse_after(*reported: StatusNotification, before: Evse | None = None, charging: bool = False) -> Evse:
    def told(evse: Evse, said: StatusNotification) -> Evse:
        return step(evse, status_reported(said, evse, T0, charging=charging))

    return reduce(told, reported, before or Evse())


@pytest.mark.parametrize("shown", [*CHARGES_GO_ON, F])
def test_occupied_takes_back_nothing_that_a_transaction_has_told(shown: ConnectorStatus) -> None:
    assert meant(plug(1, B), shown) is shown
    assert meant(plug(None, B), shown) is B


@pytest.mark.parametrize("shown", ["Unknown", "Available", "Reserved", "Unavailable", "Faulted"])
def test_occupied_is_a_car_that_came_where_nothing_went_on(shown: str) -> None:
    assert meant(plug(1, B), shown) is B


@pytest.mark.parametrize(
    ("statuses", "shown"),
    [((A,), A), ((A, B), B), ((G, A), G), ((H, A), A), ((J, A), A), ((J, H), J), ((H, H), H), ((B, J), B), ((B, G), B)],
)
def test_an_evse_shows_one_status_for_all_its_plugs(statuses: tuple[ConnectorStatus, ...], shown: str) -> None:
    for several in permutations(statuses):
        assert evse_after(*(plug(n, status) for n, status in enumerate(several, 1))).state == shown


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(OF_A_PLUG)), min_size=1, max_size=8))
def test_an_evse_shows_what_its_plugs_last_showed_whatever_they_showed_before(
    said: list[tuple[int, ConnectorStatus]],
) -> None:
    evse = evse_after(*(plug(number, status) for number, status in said))
    assert evse.plugs == dict(said)
    assert evse.state == of_plugs(dict(said).values())


def test_what_is_said_of_the_evse_itself_is_what_it_shows() -> None:
    evse = evse_after(plug(1, B), plug(2, A), plug(None, A))
    assert evse.state == A


@pytest.mark.parametrize("plug_id", [0, -1, PLUGS.limit + 1, 10**6])
def test_a_plug_that_no_evse_has_is_not_remembered(plug_id: int) -> None:
    assert evse_after(plug(plug_id, B)) == Evse(state=B, connector_id=1, since=T0)


@pytest.mark.parametrize("status", [A, G, H, J])
def test_a_plug_where_no_car_is_tells_nothing_of_the_charge_at_another(status: ConnectorStatus) -> None:
    assert meant(plug(2, status), C, charging=True, p1=A, p2=A) is C, "that of plug 1 has not been heard"
    assert meant(plug(2, status), C, charging=True, p1=B) is C
    assert meant(plug(2, status), C, charging=True, p1=A, p2=B) is of_plugs((A, status)), "its car has gone"
    assert meant(plug(1, status), C, charging=True, p1=A) is status, "there is no other plug"
    assert meant(plug(2, status), C, p1=A, p2=A) is of_plugs((A, status)), "no charge goes on"


def test_an_event_of_a_transaction_tells_at_which_plug_the_car_is() -> None:
    said = event(1, charging_state="Charging", plug_id=2)
    charging = step(evse_after(plug(1, A), plug(2, A)), shown_by(said, 1, C, T0))
    assert (charging.state, charging.plugs) == (C, {1: A, 2: B})
    ended = step(charging, shown_by(event(2, ENDED, plug_id=2), 1, F, T0))
    assert (ended.state, ended.plugs) == (F, {1: A, 2: B})
    assert evse_after(plug(2, A), before=ended).state == A


def test_a_fault_of_one_plug_is_no_error_of_an_evse_that_works() -> None:
    faulted = msgspec.structs.replace(plug(1, J), error_code="OtherError")
    assert evse_after(plug(2, A), faulted).error_code == "NoError"
    both = evse_after(plug(2, H), faulted)
    assert (both.state, both.error_code) == (J, "OtherError")
    assert evse_after(plug(2, H), before=both).error_code == "OtherError"
