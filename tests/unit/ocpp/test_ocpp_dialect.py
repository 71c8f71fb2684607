"""The two tiers of a dialect: several actions that say one thing, and actions that are carried as they are."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp import exceptions as ocpp

from protocols.ocpp.dialect import Commands, Reports, plain_commands, plain_reports
from statecharts.station_commands import CallVerdict, ClearCache, PlainCommand
from statecharts.station_reports import Heartbeat, PlainAnswer, PlainReport
from statecharts.vocabulary import Acknowledgement

REPORTS = Reports(
    "v16", plain_reports({"SecurityEventNotification": {}, "SignCertificate": {"status": "Rejected"}}), frozenset()
)
COMMANDS = Commands("v16", plain_commands("Reset", "GetLocalListVersion"), frozenset({"status"}))
EVENT: dict[str, Any] = {"type": "StartupOfTheDevice", "timestamp": "2026-05-04T03:02:01Z"}


def surprised(what: str) -> None:
    raise AssertionError(f"something had to be tolerated: {what}")


@given(info=st.text(st.characters(exclude_categories=["Cs"]), max_size=255))
def test_a_plain_report_arrives_as_it_was_sent(info: str) -> None:
    report = PlainReport(action="SecurityEventNotification", payload={**EVENT, "techInfo": info})
    assert REPORTS.action_of(report) == "SecurityEventNotification"
    assert REPORTS.read_request(REPORTS.action_of(report), REPORTS.write_request(report), surprised) == report


def test_a_plain_report_keeps_what_nobody_knows() -> None:
    noticed: list[str] = []
    payload = {**EVENT, "customData": {"vendorId": "acme", "mood": ["good"]}}
    report = REPORTS.read_request("SecurityEventNotification", msgspec.json.encode(payload), noticed.append)
    assert report == PlainReport(action="SecurityEventNotification", payload=payload)
    assert len(noticed) == 1


@pytest.mark.parametrize(
    ("action", "answer", "written"),
    [
        ("SecurityEventNotification", Acknowledgement(), {}),
        ("SignCertificate", Acknowledgement(), {"status": "Rejected"}),
        ("SignCertificate", PlainAnswer(payload={"status": "Accepted"}), {"status": "Accepted"}),
    ],
)
def test_a_plain_report_that_is_acknowledged_gets_the_answer_declared_for_it(
    action: str, answer: Any, written: dict[str, Any]
) -> None:
    data = REPORTS.write_answer(action, answer)
    assert msgspec.json.decode(data) == written
    assert REPORTS.read_answer(action, data, surprised) == PlainAnswer(payload=written)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"type": "x"}, ocpp.OccurenceConstraintViolationError),
        ({**EVENT, "type": "x" * 51}, ocpp.PropertyConstraintViolationError),
        ({**EVENT, "type": 7}, ocpp.TypeConstraintViolationError),
    ],
)
def test_a_plain_report_is_held_to_its_schema(payload: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        REPORTS.read_request("SecurityEventNotification", msgspec.json.encode(payload), lambda what: None)
    with pytest.raises(msgspec.ValidationError):
        REPORTS.write_request(PlainReport(action="SecurityEventNotification", payload=payload))


def test_deep_json_in_a_field_that_nobody_knows_is_a_formation_violation() -> None:
    deep = msgspec.json.encode(EVENT)[:-1] + b',"acme":' + b"[" * 60_000 + b"]" * 60_000 + b"}"
    with pytest.raises(ocpp.FormationViolationError):
        REPORTS.read_request("SecurityEventNotification", deep, lambda what: None)


def test_a_plain_command_arrives_as_it_was_sent() -> None:
    command = PlainCommand(action="Reset", payload={"type": "Hard"})
    assert COMMANDS.read_request(COMMANDS.action_of(command), COMMANDS.write_request(command), surprised) == command


@pytest.mark.parametrize(
    ("action", "confirmation", "verdict", "data"),
    [
        ("Reset", ("Accepted", {}), CallVerdict.ACCEPTED, {"status": "Accepted"}),
        ("Reset", ("Rejected", {}), CallVerdict.REJECTED, {"status": "Rejected"}),
        ("GetLocalListVersion", ("", {"listVersion": 7}), CallVerdict.ACCEPTED, {"listVersion": 7}),
    ],
)
def test_the_answer_to_a_plain_command_is_judged_by_its_status_if_it_has_one(
    action: str, confirmation: Any, verdict: CallVerdict, data: dict[str, Any]
) -> None:
    outcome = COMMANDS.read_answer(action, COMMANDS.write_answer(action, confirmation), surprised)
    assert (outcome.verdict, outcome.status, outcome.data) == (verdict, confirmation[0], data)
    assert bool(outcome.cause) is (verdict is CallVerdict.REJECTED)


def test_what_a_version_cannot_say_is_refused_by_name() -> None:
    with pytest.raises(msgspec.ValidationError, match="no CostUpdated"):
        COMMANDS.action_of(PlainCommand(action="CostUpdated"))
    with pytest.raises(msgspec.ValidationError, match="no ClearCache"):
        COMMANDS.write_request(ClearCache())
    with pytest.raises(msgspec.ValidationError, match="no Heartbeat"):
        REPORTS.write_request(Heartbeat())


def test_the_plain_actions_are_known_by_name() -> None:
    assert REPORTS.plain_actions == {"SecurityEventNotification", "SignCertificate"}
    assert COMMANDS.actions == ("Reset", "GetLocalListVersion")
