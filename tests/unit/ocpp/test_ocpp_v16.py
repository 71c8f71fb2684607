"""OCPP 1.6 payloads: both ends of every message, and what we take that the specification does not foresee."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp import exceptions as ocpp
from ocpp.charge_point import remove_nones, serialize_as_dict, snake_to_camel_case
from ocpp.messages import MessageType, get_validator
from ocpp.v16 import call, datatypes, enums
from ocpp_v16_messages import COMMAND_REQUESTS, EXCHANGES, FIELDS_ONLY, STATUS_WORDS

from protocols.ocpp.fields import read_time, write_clock, write_time
from protocols.ocpp.v16 import V16
from protocols.ocpp.v16.core_reports import STOP_REASONS
from statecharts import station_commands as commands
from statecharts import station_reports as reports
from statecharts.station_commands import CallVerdict
from statecharts.station_reports import MeterSample, StopTransaction

REPORTS, COMMANDS = V16.reports, V16.commands


def surprised(what: str) -> None:
    raise AssertionError(f"something had to be tolerated: {what}")


def read_report(action: str, payload: Any) -> tuple[Any, list[str]]:
    noticed: list[str] = []
    return REPORTS.read_request(action, msgspec.json.encode(payload), noticed.append), noticed


# -- both ends of every message ----------------------------------------------------------------------------------------


def test_every_action_is_tested_here() -> None:
    assert set(REPORTS.actions) == set(EXCHANGES)
    assert set(COMMANDS.actions) == set(COMMAND_REQUESTS) == {*STATUS_WORDS, *FIELDS_ONLY}


@pytest.mark.parametrize("action", EXCHANGES)
@given(data=st.data())
def test_a_report_and_its_answer_arrive_as_they_were_sent(action: str, data: st.DataObject) -> None:
    requests, answers = EXCHANGES[action]
    report, answer = data.draw(requests), data.draw(answers)
    assert REPORTS.action_of(report) == action
    assert REPORTS.read_request(action, REPORTS.write_request(report), surprised) == report
    written = REPORTS.write_answer(action, answer)
    assert REPORTS.read_answer(action, written, surprised) == answer


@pytest.mark.parametrize("action", COMMAND_REQUESTS)
@given(data=st.data())
def test_a_command_arrives_as_it_was_sent(action: str, data: st.DataObject) -> None:
    command = data.draw(COMMAND_REQUESTS[action])
    assert COMMANDS.action_of(command) == action
    assert COMMANDS.read_request(action, COMMANDS.write_request(command), surprised) == command


@pytest.mark.parametrize(
    ("action", "status"), [(action, word.value) for action, enum in STATUS_WORDS.items() for word in enum]
)
def test_the_stations_word_decides_between_accepted_and_rejected(action: str, status: str) -> None:
    outcome = COMMANDS.read_answer(action, COMMANDS.write_answer(action, (status, {})), surprised)
    accepting = status in {"Accepted", "AcceptedCanceled", "Scheduled", "Unlocked", "RebootRequired"}
    assert outcome.verdict is (CallVerdict.ACCEPTED if accepting else CallVerdict.REJECTED)
    assert outcome.status == status
    assert outcome.data == {"status": status}
    assert bool(outcome.cause) is not accepting


@pytest.mark.parametrize("action", FIELDS_ONLY)
def test_an_answer_without_a_status_word_is_acceptance_with_all_its_data(action: str) -> None:
    fields = FIELDS_ONLY[action]
    outcome = COMMANDS.read_answer(action, COMMANDS.write_answer(action, ("", fields)), surprised)
    assert (outcome.verdict, outcome.status, outcome.data) == (CallVerdict.ACCEPTED, "", fields)


def test_a_status_word_unknown_to_us_is_a_rejection_in_the_stations_words() -> None:
    outcome = COMMANDS.read_answer("Reset", b'{"status":"NotNow"}', lambda what: None)
    assert (outcome.verdict, outcome.status) == (CallVerdict.REJECTED, "NotNow")


def published(kind: MessageType, action: str, payload: bytes) -> None:
    """Holds a payload to the schema as the `ocpp` package does: numbers with a multipleOf through Decimal."""
    get_validator(kind, action, "1.6", Decimal).validate(json.loads(payload, parse_float=Decimal))


@pytest.mark.parametrize("action", EXCHANGES)
@given(data=st.data())
def test_what_we_report_satisfies_the_published_schema(action: str, data: st.DataObject) -> None:
    requests, answers = EXCHANGES[action]
    published(MessageType.Call, action, REPORTS.write_request(data.draw(requests)))
    published(MessageType.CallResult, action, REPORTS.write_answer(action, data.draw(answers)))


@pytest.mark.parametrize("action", COMMAND_REQUESTS)
@given(data=st.data())
def test_what_we_ask_satisfies_the_published_schema(action: str, data: st.DataObject) -> None:
    published(MessageType.Call, action, COMMANDS.write_request(data.draw(COMMAND_REQUESTS[action])))


def test_who_asks_for_the_whole_configuration_names_no_key() -> None:
    """Section 5.8: without a list all are meant; what an empty one means, stations decide each for themselves."""
    assert COMMANDS.write_request(commands.GetConfiguration()) == b"{}"
    assert COMMANDS.read_request("GetConfiguration", b"{}", surprised) == commands.GetConfiguration()


def as_sent_by_the_ocpp_package(message: Any) -> dict[str, Any]:
    payload: dict[str, Any] = remove_nones(snake_to_camel_case(serialize_as_dict(message)))
    return payload


def test_messages_of_an_independent_encoder_are_understood() -> None:
    reading = datatypes.MeterValue(
        timestamp="2026-05-04T03:02:01Z",
        sampled_value=[
            datatypes.SampledValue(value="1500"),
            datatypes.SampledValue(value="16.1", measurand="Current.Import", unit="A", phase="L1"),
        ],
    )
    stop = call.StopTransaction(
        meter_stop=2500,
        timestamp="2026-05-04T03:02:01Z",
        transaction_id=7,
        reason="EVDisconnected",
        transaction_data=[reading],
    )
    report, noticed = read_report("StopTransaction", as_sent_by_the_ocpp_package(stop))
    at = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    assert noticed == []
    assert report == StopTransaction(
        transaction_id=7,
        meter_stop_wh=2500,
        timestamp=at,
        reason="EVDisconnected",
        samples=(
            MeterSample(timestamp=at, value="1500"),
            MeterSample(timestamp=at, value="16.1", measurand="Current.Import", unit="A", phase="L1"),
        ),
    )


# -- time (OCPP 1.6, 3.15) ---------------------------------------------------------------------------------------------

STOP: dict[str, Any] = {"transactionId": 7, "meterStop": 2500, "timestamp": "2026-05-04T03:02:01Z"}
START: dict[str, Any] = {"connectorId": 1, "idTag": "0A1B", "meterStart": 0, "timestamp": "2026-05-04T03:02:01Z"}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-05-04T03:02:01Z", datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)),
        ("2026-05-04T03:02:01", datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)),
        ("2026-05-04T03:02:01.5Z", datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=UTC)),
        ("2026-05-04T03:02:01.123456789Z", datetime(2026, 5, 4, 3, 2, 1, 123_456, tzinfo=UTC)),
        ("2026-05-04T05:02:01+02:00", datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)),
        ("2026-05-04T05:02:01+0200", datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)),
        ("20260504T030201Z", datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)),
        (" 2026-05-04T03:02Z ", datetime(2026, 5, 4, 3, 2, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_any_iso_8601_time_is_read_as_utc(text: str, moment: datetime) -> None:
    report, _ = read_report("StartTransaction", START | {"timestamp": text})
    assert report.timestamp == moment
    assert report.timestamp.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1777863721"])
def test_a_time_that_names_no_moment_is_a_formation_violation(text: str) -> None:
    with pytest.raises(ocpp.FormationViolationError):
        read_report("SecurityEventNotification", {"type": "StartupOfTheDevice", "timestamp": text})


def test_the_time_of_a_retry_keeps_its_microseconds() -> None:
    exact = reports.StartTransaction(
        connector_id=1,
        id_tag="A",
        meter_start_wh=0,
        timestamp=datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=2))),
    )
    assert b"2025-12-31T22:00:00.123456Z" in REPORTS.write_request(exact)


def test_a_machine_in_another_zone_says_and_reads_utc(machine_in_lisbon: None) -> None:
    moment = datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=timezone(timedelta(hours=2)))
    assert write_time(moment) == "2026-05-04T01:02:01.500000Z"
    assert write_clock(moment) == "2026-05-04T01:02:01.500Z"
    for text in ("2026-05-04T01:02:01", "2026-05-04T03:02:01+02:00"):
        assert read_time(text).isoformat() == "2026-05-04T01:02:01+00:00"


# -- what is left out --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "written"),
    [
        (commands.RemoteStartTransaction(id_tag="A"), {"idTag": "A"}),
        (commands.GetConfiguration(), {}),
        (commands.CentralDataTransfer(vendor_id="v"), {"vendorId": "v"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_command_does_not_say_is_not_written(message: Any, written: dict[str, Any]) -> None:
    assert msgspec.json.decode(COMMANDS.write_request(message)) == written


def test_a_stop_without_readings_has_no_list_of_them() -> None:
    stop = StopTransaction(transaction_id=7, meter_stop_wh=2500, timestamp=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC))
    assert msgspec.json.decode(REPORTS.write_request(stop)) == STOP | {"reason": "Local"}


def test_samples_of_one_time_are_one_meter_value_and_no_unit_stays_none() -> None:
    early, late = datetime(2026, 5, 4, tzinfo=UTC), datetime(2026, 5, 5, tzinfo=UTC)
    samples = (
        MeterSample(timestamp=early, value="1500"),
        MeterSample(timestamp=early, value="230", measurand="Voltage", unit=""),
        MeterSample(timestamp=late, value="1600"),
    )
    written = REPORTS.write_request(reports.MeterValues(connector_id=1, transaction_id=7, samples=samples))
    assert [len(value["sampledValue"]) for value in msgspec.json.decode(written)["meterValue"]] == [2, 1]
    assert REPORTS.read_request("MeterValues", written, surprised).samples == samples


def test_defaults_that_a_station_spells_out_take_no_room_in_the_journal() -> None:
    said = {
        "value": "1500",
        "measurand": "Energy.Active.Import.Register",
        "unit": "Wh",
        "context": "Sample.Periodic",
        "location": "Outlet",
        "format": "Raw",
    }
    payload = {"connectorId": 1, "meterValue": [{"timestamp": STOP["timestamp"], "sampledValue": [said]}]}
    (sample,) = read_report("MeterValues", payload)[0].samples
    assert set(msgspec.to_builtins(sample)) == {"timestamp", "value"}


# -- facts win ---------------------------------------------------------------------------------------------------------


def test_a_stop_without_reason_is_a_local_one() -> None:
    assert read_report("StopTransaction", STOP) == (
        StopTransaction(transaction_id=7, meter_stop_wh=2500, timestamp=datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)),
        [],
    )


def test_the_reasons_for_a_stop_are_those_of_the_specification() -> None:
    assert {reason.value for reason in enums.Reason} == STOP_REASONS


def test_an_unknown_stop_reason_costs_no_stop() -> None:
    report, noticed = read_report("StopTransaction", STOP | {"reason": "DriverWalkedAway"})
    assert report.reason == "Other"
    assert len(noticed) == 1


@pytest.mark.parametrize("transaction_id", [-1, -7, 0, 2**31])
def test_any_transaction_number_is_taken(transaction_id: int) -> None:
    assert read_report("StopTransaction", STOP | {"transactionId": transaction_id})[0].transaction_id == transaction_id


def test_a_fall_of_the_meter_is_taken() -> None:
    assert read_report("StopTransaction", STOP | {"meterStop": -1})[0].meter_stop_wh == -1


def test_words_unknown_to_us_cost_no_reading() -> None:
    sample = {"value": "1.5e3", "measurand": "Energy.Of.Acme", "unit": "acmes", "context": "Sunday", "location": "Roof"}
    sample |= {"format": "Runes", "phase": "L4"}
    payload = {"connectorId": 1, "meterValue": [{"timestamp": STOP["timestamp"], "sampledValue": [sample]}]}
    report, noticed = read_report("MeterValues", payload)
    (read,) = report.samples
    assert (read.value, read.measurand, read.unit) == ("1.5e3", "Energy.Of.Acme", "acmes")
    assert (read.context, read.location, read.format, read.phase) == ("Sunday", "Roof", "Runes", "L4")
    assert noticed


def test_defaults_of_a_reading_are_filled_in_but_no_unit_is_invented() -> None:
    samples = [{"value": "1500"}, {"value": "230", "measurand": "Voltage"}]
    payload = {"connectorId": 0, "meterValue": [{"timestamp": STOP["timestamp"], "sampledValue": samples}]}
    energy, voltage = read_report("MeterValues", payload)[0].samples
    assert energy == MeterSample(timestamp=energy.timestamp, value="1500")
    assert voltage.unit == ""


@pytest.mark.parametrize("empty", [[], [{"timestamp": STOP["timestamp"], "sampledValue": []}]])
def test_meter_values_without_a_value_are_taken(empty: list[Any]) -> None:
    assert read_report("MeterValues", {"connectorId": 1, "meterValue": empty})[0].samples == ()


def test_fields_nobody_knows_and_nulls_are_taken_and_noticed() -> None:
    report, noticed = read_report("StartTransaction", START | {"reservationId": None, "acme": {"mood": "good"}})
    assert report.id_tag == "0A1B"
    assert report.reservation_id is None
    assert len(noticed) == 1


def test_an_unknown_error_code_costs_no_status() -> None:
    payload = {"connectorId": 1, "status": "Faulted", "errorCode": "Squirrel"}
    assert read_report("StatusNotification", payload)[0].error_code == "Squirrel"


def test_the_serial_number_of_older_firmware_is_read() -> None:
    payload = {"chargePointVendor": "v", "chargePointModel": "m", "chargeBoxSerialNumber": "box1"}
    assert read_report("BootNotification", payload)[0].serial_number == "box1"


def test_the_id_tag_keeps_its_case() -> None:
    assert read_report("Authorize", {"idTag": "aB0 ~"})[0].id_tag == "aB0 ~"


# -- the right error ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "payload", "error"),
    [
        ("StartTransaction", b"[]", ocpp.FormationViolationError),
        ("StartTransaction", b"null", ocpp.FormationViolationError),
        ("StartTransaction", b'{"idTag":"\xff"}', ocpp.FormationViolationError),
        ("StartTransaction", b'{"acme":' + b"[" * 60_000, ocpp.FormationViolationError),
        ("StartTransaction", b"{}", ocpp.OccurenceConstraintViolationError),
        ("StopTransaction", b"7", ocpp.FormationViolationError),
        ("StopTransaction", b'{"meterStop":' + b"9" * 5000 + b"}", ocpp.PropertyConstraintViolationError),
        ("LogStatusNotification", b'{"status":"Idle","requestId":"many"}', ocpp.TypeConstraintViolationError),
        ("LogStatusNotification", b'{"status":"Idle","requestId":1.5}', ocpp.TypeConstraintViolationError),
        ("LogStatusNotification", b'{"status":"Idle","requestId":1E+30}', ocpp.TypeConstraintViolationError),
        ("Authorize", b'{"idTag":{}}', ocpp.TypeConstraintViolationError),
        ("Authorize", b'{"idTag":null}', ocpp.TypeConstraintViolationError),
        ("DataTransfer", msgspec.json.encode({"vendorId": "x" * 256}), ocpp.PropertyConstraintViolationError),
        (
            "StatusNotification",
            b'{"connectorId":1,"errorCode":"NoError","status":"Asleep"}',
            ocpp.PropertyConstraintViolationError,
        ),
        ("CostUpdated", b"{}", ocpp.NotImplementedError),
        ("x" * 5000, b"{}", ocpp.NotImplementedError),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_payload_gets_the_right_error_code(action: str, payload: bytes, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        REPORTS.read_request(action, payload, surprised)
    assert raised.value.details == {}


def test_we_send_nothing_that_the_specification_forbids() -> None:
    with pytest.raises(msgspec.ValidationError):
        COMMANDS.write_request(commands.RemoteStartTransaction(id_tag="x" * 21))
    with pytest.raises(msgspec.ValidationError):
        COMMANDS.write_answer("Reset", ("Perhaps", {}))
    with pytest.raises(msgspec.ValidationError):
        COMMANDS.write_answer("Reset", ("Accepted", {"mood": "good"}))


@given(
    payload=st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["idTag", "timestamp", "meterStop", "transactionId", "transactionData", "sampledValue"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).map(msgspec.json.encode),
    action=st.sampled_from(list(EXCHANGES)),
)
def test_whatever_comes_is_read_or_refused_with_an_ocpp_error(payload: bytes, action: str) -> None:
    try:
        report = REPORTS.read_request(action, payload, lambda what: None)
    except ocpp.OCPPError as error:
        assert error.description
    else:
        assert REPORTS.action_of(report) == action
