"""What stations of the field send that breaks the specification, and what it means all the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp import exceptions as ocpp

from protocols.ocpp.mending import LeftOut
from protocols.ocpp.server import DIALECTS
from protocols.ocpp.v16 import V16
from protocols.ocpp.v21 import V21
from protocols.ocpp.v201 import V201
from statecharts.station_reports import (
    AuthorizeIdTag,
    BootNotification,
    ConnectorStatus,
    MeterSample,
    MeterValues,
    StartTransaction,
    StatusNotification,
    StopTransaction,
    TransactionEvent,
)

AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
NEVER_SET = datetime(1970, 1, 1, tzinfo=UTC)
START: dict[str, Any] = {"connectorId": 1, "idTag": "0A1B", "meterStart": 0, "timestamp": "2026-05-04T03:02:01Z"}
STOP: dict[str, Any] = {"transactionId": 7, "meterStop": 2500, "timestamp": "2026-05-04T03:02:01Z"}
STATUS: dict[str, Any] = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
EVENT: dict[str, Any] = {
    "eventType": "Ended",
    "timestamp": "2026-05-04T03:02:01Z",
    "triggerReason": "RemoteStop",
    "seqNo": 3,
    "transactionInfo": {"transactionId": "tx"},
}
OF_2 = pytest.mark.parametrize("dialect", [V201, V21], ids=["2.0.1", "2.1"])


def read(action: str, payload: Any, dialect: Any = V16) -> tuple[Any, list[str]]:
    noted: list[str] = []
    return dialect.reports.read_request(action, msgspec.json.encode(payload), noted.append), noted


# -- OCPP 1.6 ----------------------------------------------------------------------------------------------------------


def test_rule_29_an_id_tag_longer_than_allowed_is_taken_as_it_is() -> None:
    report, (note,) = read("StartTransaction", START | {"idTag": "12345678901234567890123"})
    assert report.id_tag == "12345678901234567890123"
    assert note == "`$.idTag` has 23 characters, 20 are allowed"
    assert read("Authorize", {"idTag": "x" * 255})[0] == AuthorizeIdTag(id_tag="x" * 255)


def test_an_id_tag_without_end_is_not_taken() -> None:
    with pytest.raises(ocpp.PropertyConstraintViolationError):
        read("Authorize", {"idTag": "x" * 256})


@pytest.mark.parametrize(
    ("sent", "wh"),
    [("1500", 1500), (1500.0, 1500), (1500.5, 1501), (" 1500 Wh", 1500), ("1.5 kWh", 1500), ("1.5e3", 1500), (-3, -3)],
)
def test_rule_20_a_meter_that_is_told_as_text_in_kwh_or_with_a_fraction_is_read_in_wh(sent: Any, wh: int) -> None:
    assert read("StartTransaction", START | {"meterStart": sent})[0].meter_start_wh == wh
    assert read("StopTransaction", STOP | {"meterStop": sent})[0].meter_stop_wh == wh


@pytest.mark.parametrize("sent", ["many", 2**63, "1e99", True, {}, [], "NaN", "inf"])
def test_a_meter_that_nobody_can_read_costs_no_start_and_no_stop(sent: Any) -> None:
    start, (note,) = read("StartTransaction", START | {"meterStart": sent})
    assert isinstance(start, StartTransaction)
    assert start.meter_start_wh is None
    assert isinstance(note, LeftOut)
    stop, _ = read("StopTransaction", STOP | {"meterStop": sent})
    assert stop == StopTransaction(transaction_id=7, meter_stop_wh=None, timestamp=AT)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", {}, True, None])
def test_rule_31_a_time_that_cannot_be_read_is_that_of_a_clock_that_was_never_set(text: Any) -> None:
    assert read("StartTransaction", START | {"timestamp": text})[0].timestamp == NEVER_SET
    assert read("StopTransaction", STOP | {"timestamp": text})[0].timestamp == NEVER_SET
    status, _ = read("StatusNotification", STATUS | {"timestamp": text})
    assert (status.status, status.timestamp) == (ConnectorStatus.CHARGING, None)


@pytest.mark.parametrize("counted", [1777863721, 1777863721.0, 1777863721000, "1777863721"])
def test_a_time_that_counts_since_1970_is_read(counted: Any) -> None:
    assert read("StartTransaction", START | {"timestamp": counted})[0].timestamp == AT


def test_a_stop_always_means_something() -> None:
    stop, notes = read("StopTransaction", {"reason": "PowerLoss", "acme": 7})
    assert stop == StopTransaction(transaction_id=-1, meter_stop_wh=None, timestamp=NEVER_SET, reason="PowerLoss")
    assert len(notes) == 4
    assert read("StopTransaction", STOP | {"transactionId": "7"})[0].transaction_id == 7


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("charging", ConnectorStatus.CHARGING),
        ("Suspended_EV", ConnectorStatus.SUSPENDED_EV),
        ("Occupied", ConnectorStatus.PREPARING),
        ("OutOfOrder", ConnectorStatus.FAULTED),
    ],
)
def test_a_status_in_other_words_is_read(word: str, status: ConnectorStatus) -> None:
    assert read("StatusNotification", STATUS | {"status": word})[0].status is status


def test_a_status_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ocpp.PropertyConstraintViolationError):
        read("StatusNotification", STATUS | {"status": "Asleep"})


def test_of_meter_values_what_can_be_read_is_taken() -> None:
    good = {"timestamp": "2026-05-04T03:02:01Z", "sampledValue": [{"value": 1500, "unit": "kwh"}, 7]}
    values, notes = read("MeterValues", {"connectorId": "1", "transactionId": "7", "meterValue": [good, []]})
    sample = MeterSample(timestamp=AT, value="1500", unit="kwh")
    assert values == MeterValues(connector_id=1, transaction_id=7, samples=(sample,))
    assert sum(isinstance(note, LeftOut) for note in notes) == 2
    alone, _ = read("MeterValues", {"connectorId": 1, "meterValue": good | {"sampledValue": {"value": "9"}}})
    assert alone.samples == (MeterSample(timestamp=AT, value="9"),)


def test_a_boot_is_a_boot_whatever_the_station_calls_itself() -> None:
    named = {"chargePointVendor": "The Greatest Vendor Of Stations", "chargePointModel": 7}
    boot, notes = read("BootNotification", named)
    assert (boot.vendor, boot.model) == ("The Greatest Vendor Of Stations", "7")
    assert len(notes) == 2
    assert read("BootNotification", {})[0] == BootNotification(vendor="", model="")


def test_what_is_odd_about_a_message_is_told_once_and_not_without_end() -> None:
    many = [{"timestamp": "yesterday", "sampledValue": [{"value": "1"}] * 3}] * 100
    _, notes = read("MeterValues", {"connectorId": 1, "meterValue": many, **{f"x{n}": n for n in range(100)}})
    assert len(notes) == 11  # ten, and that something was left out
    _, notes = read("MeterValues", {"connectorId": 1, "meterValue": [7], **{f"x{n}": n for n in range(100)}})
    assert len(notes) == 11


def test_a_start_without_a_place_or_an_id_tag_is_refused() -> None:
    for name in ("connectorId", "idTag"):
        with pytest.raises(ocpp.OccurenceConstraintViolationError):
            read("StartTransaction", {key: value for key, value in START.items() if key != name})


def test_what_nobody_is_charged_by_is_held_to_its_schema() -> None:
    with pytest.raises(ocpp.TypeConstraintViolationError):
        read("FirmwareStatusNotification", {"status": 7})


# -- OCPP 2.x ----------------------------------------------------------------------------------------------------------


@OF_2
def test_an_event_that_breaks_its_schema_is_an_event(dialect: Any) -> None:
    broken = EVENT | {"eventType": "ended", "timestamp": None, "seqNo": "3", "triggerReason": 7, "reservationId": []}
    reading = {"sampledValue": [{"value": "1500", "unitOfMeasure": {"unit": "Wh"}}, {"value": "many"}]}
    event, notes = read("TransactionEvent", broken | {"meterValue": reading, "idToken": {"idToken": 77}}, dialect)
    assert isinstance(event, TransactionEvent)
    assert (event.kind, event.reference, event.seq_no, event.timestamp) == ("Ended", "tx", 3, NEVER_SET)
    assert (event.id_tag, event.trigger, event.reservation_id) == ("77", "7", None)
    assert event.samples == (MeterSample(timestamp=NEVER_SET, value="1500"),)
    assert sum(isinstance(note, LeftOut) for note in notes) == 2


@OF_2
def test_an_event_that_names_no_transaction_is_one_for_the_operator(dialect: Any) -> None:
    assert read("TransactionEvent", {"eventType": "Ended"}, dialect)[0].reference == ""


@OF_2
def test_a_status_in_the_words_of_1_6_is_read(dialect: Any) -> None:
    status, _ = read("StatusNotification", {"evseId": "1", "connectorStatus": "SuspendedEV"}, dialect)
    assert status == StatusNotification(
        connector_id=1, status=ConnectorStatus.PREPARING, error_code="NoError", timestamp=NEVER_SET, plug_id=0
    )


# -- whatever comes ----------------------------------------------------------------------------------------------------

_NAMES = ("idTag", "timestamp", "meterStop", "meterValue", "sampledValue", "value", "eventType", "transactionInfo")
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(payload=_ANYTHING, dialect=st.sampled_from(sorted(DIALECTS)), data=st.data())
def test_whatever_comes_is_read_or_refused(payload: Any, dialect: str, data: st.DataObject) -> None:
    reports = DIALECTS[dialect].reports
    action = data.draw(st.sampled_from([action for action in reports.actions if reports.must_be_kept(action)]))
    try:
        report = reports.read_request(action, msgspec.json.encode(payload), lambda note: None)
    except ocpp.OCPPError:
        return
    msgspec.json.encode(report)
    assert reports.action_of(report) == action
