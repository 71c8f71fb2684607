"""OCPP 2.0.1 and 2.1: every action has its place, typed ones are read as they were written, strange ones are taken."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ocpp import exceptions as ocpp
from ocpp_v2_messages import ANSWERS, COMMANDS, REPORTS

from protocols.ocpp.dialect import Dialect
from protocols.ocpp.v2.variables import write_key
from protocols.ocpp.v21 import V21
from protocols.ocpp.v201 import V201
from statecharts.station_commands import (
    CallVerdict,
    ChangeConfiguration,
    GetConfiguration,
    PlainCommand,
    RemoteStartTransaction,
    RemoteStopTransaction,
    TriggerMessage,
    UnlockConnector,
)
from statecharts.station_reports import (
    ConnectorStatus,
    IdTagAnswer,
    PlainReport,
    StationDataTransfer,
    StatusNotification,
    StopTransaction,
    TransactionEvent,
)
from statecharts.station_session import remote_start_id
from statecharts.vocabulary import Acknowledgement

DIALECTS = {"v201": V201, "v21": V21}
EVERY_DIALECT = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
FEW = settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
"""A round trip goes wrong with the first message or with none."""

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def surprised(what: str) -> None:
    raise AssertionError(f"something had to be tolerated: {what}")


def written(dialect: Dialect, report: Any) -> Any:
    return msgspec.json.decode(dialect.reports.write_request(report))


# -- every action ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", DIALECTS)
def test_every_action_of_the_specifications_schemas_has_its_place(version: str) -> None:
    files = (resources.files("ocpp") / version / "schemas").iterdir()
    specified = {file.name.removesuffix(".json").removesuffix("Request").removesuffix("Response") for file in files}
    dialect = DIALECTS[version]
    assert {*dialect.reports.actions, *dialect.commands.actions} == specified
    assert {*dialect.reports.actions} & {*dialect.commands.actions} == {"DataTransfer"}


@EVERY_DIALECT
def test_every_typed_action_is_told_both_ways_in_these_tests(dialect: Dialect) -> None:
    assert set(REPORTS) == {*dialect.reports.actions} - dialect.reports.plain_actions
    assert set(COMMANDS) == {*dialect.commands.actions} - dialect.commands.plain_actions


@EVERY_DIALECT
@pytest.mark.parametrize("action", REPORTS)
@FEW
@given(data=st.data())
def test_a_report_and_its_answer_are_read_as_they_were_written(
    dialect: Dialect, action: str, data: st.DataObject
) -> None:
    report = data.draw(REPORTS[action])
    assert dialect.reports.action_of(report) == action
    assert dialect.reports.read_request(action, dialect.reports.write_request(report), surprised) == report
    answer = data.draw(ANSWERS.get(action, st.just(Acknowledgement())))
    told = dialect.reports.write_answer(action, answer)
    assert dialect.reports.read_answer(action, told, surprised) == answer


@EVERY_DIALECT
@pytest.mark.parametrize("action", COMMANDS)
@FEW
@given(data=st.data())
def test_a_command_is_read_as_it_was_written(dialect: Dialect, action: str, data: st.DataObject) -> None:
    command = data.draw(COMMANDS[action])
    assert dialect.commands.action_of(command) == action
    assert dialect.commands.read_request(action, dialect.commands.write_request(command), surprised) == command


STATUSES = {"UnlockConnector": ("Unlocked", "UnlockFailed"), "ClearChargingProfile": ("Accepted", "Unknown")}
WITHOUT_STATUS = {"GetTransactionStatus", "GetLocalListVersion", "SetVariables", "GetVariables"}


@EVERY_DIALECT
@pytest.mark.parametrize("action", sorted(set(COMMANDS) - WITHOUT_STATUS))
def test_what_a_station_says_to_a_command_is_its_outcome(dialect: Dialect, action: str) -> None:
    accepted, refused = STATUSES.get(action, ("Accepted", "Rejected"))
    for status, verdict in ((accepted, CallVerdict.ACCEPTED), ("AcmeStatus", CallVerdict.REJECTED)):
        outcome = dialect.commands.read_answer(action, msgspec.json.encode({"status": status}), lambda what: None)
        assert (outcome.verdict, outcome.status) == (verdict, status)
    assert refused != accepted


@EVERY_DIALECT
def test_answers_without_a_status_are_accepted_by_having_come(dialect: Dialect) -> None:
    said = {"ongoingIndicator": False, "messagesInQueue": True}
    read = dialect.commands.read_answer("GetTransactionStatus", msgspec.json.encode(said), surprised)
    assert (read.verdict, read.data) == (CallVerdict.ACCEPTED, said)


@EVERY_DIALECT
def test_plain_actions_are_carried_as_they_are(dialect: Dialect) -> None:
    report = PlainReport(action="ClearedChargingLimit", payload={"chargingLimitSource": "EMS"})
    told = dialect.reports.write_request(report)
    assert dialect.reports.read_request("ClearedChargingLimit", told, surprised) == report
    assert dialect.reports.write_answer("ClearedChargingLimit", Acknowledgement()) == b"{}"
    command = PlainCommand(action="SetMonitoringLevel", payload={"severity": 4})
    asked = dialect.commands.write_request(command)
    assert dialect.commands.read_request("SetMonitoringLevel", asked, surprised) == command


@EVERY_DIALECT
def test_every_plain_report_has_an_answer_that_its_schema_allows_or_is_not_supported(dialect: Dialect) -> None:
    for action in dialect.reports.plain_actions:
        try:
            dialect.reports.write_answer(action, Acknowledgement())
        except ocpp.NotSupportedError:
            assert action in {"GetCertificateChainStatus", "VatNumberValidation"}


def test_only_a_periodic_event_stream_is_never_answered() -> None:
    unanswered = [action for action in V21.reports.actions if not V21.reports.is_answered(action)]
    assert unanswered == ["NotifyPeriodicEventStream"]
    assert all(map(V201.reports.is_answered, V201.reports.actions))
    payload = {"id": 1, "pending": 0, "basetime": "2026-05-04T03:02:01Z", "data": [{"t": 0, "v": "1"}]}
    report = PlainReport(action="NotifyPeriodicEventStream", payload=payload)
    told = V21.reports.write_request(report)
    assert V21.reports.read_request("NotifyPeriodicEventStream", told, surprised) == report


@EVERY_DIALECT
def test_what_only_1_6_can_say_is_refused_before_anything_is_sent(dialect: Dialect) -> None:
    with pytest.raises(msgspec.ValidationError, match="there is no StopTransaction"):
        dialect.reports.write_request(StopTransaction(transaction_id=1, meter_stop_wh=0, timestamp=NOON))


# -- what is said how --------------------------------------------------------------------------------------------------


@EVERY_DIALECT
@pytest.mark.parametrize(("tag", "kind"), [("0A1B2C3D4E5F", "Central"), ("04A2B3C4", "ISO14443")])
def test_an_authorization_identifier_is_a_token_of_the_central_system(dialect: Dialect, tag: str, kind: str) -> None:
    asked = msgspec.json.decode(dialect.commands.write_request(RemoteStartTransaction(id_tag=tag, connector_id=2)))
    assert asked["idToken"] == {"idToken": tag, "type": kind}
    assert (asked["remoteStartId"], asked["evseId"]) == (remote_start_id(tag), 2)


@EVERY_DIALECT
def test_a_stop_needs_the_stations_own_name_of_the_transaction(dialect: Dialect) -> None:
    with pytest.raises(msgspec.ValidationError, match="what it calls transaction 7"):
        dialect.commands.write_request(RemoteStopTransaction(transaction_id=7))


@EVERY_DIALECT
def test_where_the_specification_wants_a_plug_it_is_the_first(dialect: Dialect) -> None:
    unlock = msgspec.json.decode(dialect.commands.write_request(UnlockConnector(connector_id=2)))
    assert unlock == {"evseId": 2, "connectorId": 1}
    trigger = TriggerMessage(what="StatusNotification", connector_id=2, plug_id=3)
    asked = msgspec.json.decode(dialect.commands.write_request(trigger))
    assert asked == {"requestedMessage": "StatusNotification", "evse": {"id": 2, "connectorId": 3}}


@EVERY_DIALECT
@pytest.mark.parametrize("status", ["Charging", "SuspendedEV", "SuspendedEVSE", "Finishing", "Preparing"])
def test_whatever_goes_on_at_a_plug_it_is_occupied(dialect: Dialect, status: str) -> None:
    said = StatusNotification(
        connector_id=1, status=ConnectorStatus(status), error_code="NoError", timestamp=NOON, plug_id=1
    )
    assert written(dialect, said)["connectorStatus"] == "Occupied"
    read = dialect.reports.read_request("StatusNotification", dialect.reports.write_request(said), surprised)
    assert isinstance(read, StatusNotification)
    assert (read.status, read.plug_id) == (ConnectorStatus.PREPARING, 1)


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("A.B", {"component": {"name": "A"}, "variable": {"name": "B"}}),
        ("A.B.C", {"component": {"name": "A"}, "variable": {"name": "B", "instance": "C"}}),
        ("A@2.B", {"component": {"name": "A", "evse": {"id": 2}}, "variable": {"name": "B"}}),
        ("A.I@.B", {"component": {"name": "A", "instance": "I"}, "variable": {"name": "B"}}),
        (
            "A.I@2.B.C",
            {
                "component": {"name": "A", "instance": "I", "evse": {"id": 2}},
                "variable": {"name": "B", "instance": "C"},
            },
        ),
    ],
)
def test_a_variable_is_named_by_one_key(key: str, data: Any) -> None:
    assert write_key(key) == data
    read = V201.commands.read_request(
        "GetVariables", V201.commands.write_request(GetConfiguration(keys=(key,))), surprised
    )
    assert read == GetConfiguration(keys=(key,))


@pytest.mark.parametrize("key", ["", "A", "A.", ".B", "A.B.C.D", "A@x.B", "A@1@2.B"])
def test_what_names_no_variable_is_refused(key: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="Component"):
        V201.commands.write_request(ChangeConfiguration(key=key, value="1"))


def test_all_variables_are_not_asked_for_at_once() -> None:
    with pytest.raises(msgspec.ValidationError, match="GetBaseReport"):
        V201.commands.write_request(GetConfiguration())


@EVERY_DIALECT
def test_answers_about_variables_are_those_of_each(dialect: Dialect) -> None:
    write, read = dialect.commands.write_answer, dialect.commands.read_answer
    refused = read("SetVariables", write("SetVariables", ("UnknownVariable", {"key": "A.B"})), surprised)
    assert (refused.verdict, refused.status) == (CallVerdict.REJECTED, "UnknownVariable")
    taken = read("SetVariables", write("SetVariables", ("RebootRequired", {"key": "A.B"})), surprised)
    assert (taken.verdict, taken.status) == (CallVerdict.ACCEPTED, "RebootRequired")
    fields = {"configurationKey": [{"key": "A.B", "readonly": False, "value": "7"}], "unknownKey": ["A.C"]}
    got = read("GetVariables", write("GetVariables", ("", fields)), surprised)
    assert [each["attributeStatus"] for each in got.data["getVariableResult"]] == ["Accepted", "UnknownVariable"]


# -- what is broken ----------------------------------------------------------------------------------------------------

_ODD = st.sampled_from((None, "", "x", -1, 2**70, 1e300, True, [], {}, [None], [{}]))


def broken(content: Any, data: st.DataObject) -> Any:
    """A message with one of its parts, however deep, put out of shape or left out."""
    if not isinstance(content, dict | list) or not content or data.draw(st.booleans()):
        return data.draw(_ODD)
    if isinstance(content, list):
        return [broken(content[0], data), *content[1:]]
    name = data.draw(st.sampled_from(sorted(content)))
    rest = {key: value for key, value in content.items() if key != name}
    return rest if data.draw(st.booleans()) else {**rest, name: broken(content[name], data)}


@EVERY_DIALECT
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_broken_message_is_taken_or_refused_by_an_error_of_ocpp(dialect: Dialect, data: st.DataObject) -> None:
    told = data.draw(st.booleans())
    conversation: Any = dialect.reports if told else dialect.commands
    messages = REPORTS if told else COMMANDS
    action = data.draw(st.sampled_from(sorted(messages)))
    content = broken(msgspec.json.decode(conversation.write_request(data.draw(messages[action]))), data)
    with suppress(ocpp.OCPPError):
        conversation.read_request(action, msgspec.json.encode(content), lambda what: None)


# -- what is tolerated -------------------------------------------------------------------------------------------------

EVENT: dict[str, Any] = {
    "eventType": "Updated",
    "timestamp": "2026-05-04T12:00:00Z",
    "triggerReason": "MeterValuePeriodic",
    "seqNo": 3,
    "transactionInfo": {"transactionId": "tx"},
}


def read_event(dialect: Dialect, notice: Any, **more: Any) -> TransactionEvent:
    report = dialect.reports.read_request("TransactionEvent", msgspec.json.encode({**EVENT, **more}), notice)
    assert isinstance(report, TransactionEvent)
    return report


@EVERY_DIALECT
def test_custom_data_is_taken_even_without_the_vendor_that_the_schema_wants(dialect: Dialect) -> None:
    noticed: list[str] = []
    read_event(dialect, surprised, customData={"vendorId": "acme", "mood": "good"})
    read_event(dialect, noticed.append, customData={"mood": "good"})
    assert len(noticed) == 1


@EVERY_DIALECT
@pytest.mark.parametrize(
    "more",
    [
        {"triggerReason": "AcmeReason"},
        {"transactionInfo": {"transactionId": "tx", "stoppedReason": "AcmeReason"}},
        {"transactionInfo": {"transactionId": "tx", "chargingState": "AcmeState"}},
        {"acme": 1, "reservationId": None, "meterValue": []},
        {"meterValue": [{"timestamp": "2026-05-04T12:00:00", "sampledValue": [{"value": 1, "context": "Acme"}]}]},
    ],
)
def test_a_word_or_a_field_that_nobody_knows_costs_no_event(dialect: Dialect, more: Any) -> None:
    noticed: list[str] = []
    assert read_event(dialect, noticed.append, **more).reference == "tx"
    assert len(noticed) == 1


@EVERY_DIALECT
@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234, None, ("1234", "Wh")),
        (1234.0, {"unit": "Wh"}, ("1234", "Wh")),
        (21.4, {"unit": "kWh"}, ("21.4", "kWh")),
        (214, {"unit": "kWh", "multiplier": -1}, ("21.4", "kWh")),
        (2, {"unit": "Wh", "multiplier": 3}, ("2000", "Wh")),
        (2, {"multiplier": 3}, ("2000", "Wh")),
        (1, {"unit": "Wh", "multiplier": 10**9}, ("1.0E1000000000", "Wh")),
    ],
)
def test_a_value_is_text_in_its_unit(dialect: Dialect, value: float, unit: Any, text: tuple[str, str]) -> None:
    sampled = {"value": value} | ({"unitOfMeasure": unit} if unit else {})
    values = [{"timestamp": "2026-05-04T12:00:00Z", "sampledValue": [sampled]}]
    (sample,) = read_event(dialect, surprised, meterValue=values).samples
    assert (sample.value, sample.unit) == text


@EVERY_DIALECT
def test_a_token_without_text_is_named_by_its_type(dialect: Dialect) -> None:
    event = read_event(dialect, surprised, idToken={"idToken": "", "type": "NoAuthorization"})
    assert event.id_tag == "NoAuthorization"


@EVERY_DIALECT
def test_data_of_a_vendor_that_is_no_text_is_kept_as_its_json(dialect: Dialect) -> None:
    said = msgspec.json.encode({"vendorId": "acme", "data": {"mood": ["good"]}})
    assert dialect.reports.read_request("DataTransfer", said, surprised) == StationDataTransfer(
        vendor_id="acme", data='{"mood":["good"]}'
    )


@EVERY_DIALECT
@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({**EVENT, "eventType": "Begun"}, ocpp.PropertyConstraintViolationError),
        ({**EVENT, "eventType": 7}, ocpp.TypeConstraintViolationError),
        ({}, ocpp.OccurenceConstraintViolationError),
        ([], ocpp.FormationViolationError),
    ],
)
def test_what_cannot_be_taken_names_its_error(dialect: Dialect, payload: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        dialect.reports.read_request("TransactionEvent", msgspec.json.encode(payload), lambda what: None)


@EVERY_DIALECT
def test_a_transaction_event_without_a_token_is_answered_by_nothing(dialect: Dialect) -> None:
    for answer in (Acknowledgement(), IdTagAnswer(id_tag_info=None)):
        assert dialect.reports.write_answer("TransactionEvent", answer) == b"{}"
