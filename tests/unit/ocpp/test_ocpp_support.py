"""docs/stations.md says of every action what is done with it, and nothing else."""

from __future__ import annotations

import re

import pytest

from protocols.cli.documents import VERSIONS
from protocols.ocpp.dialect import Commands, Dialect, Reports, plain_commands, plain_reports
from protocols.ocpp.frames import FRAMING_16
from protocols.ocpp.support import DOES, support_page
from protocols.ocpp.v21 import V21
from statecharts.station_commands import StationCommand
from statecharts.station_reports import StationReport

ROW = re.compile(r"^\| `(\w+)` \| (.+) \| (.+) \|$", re.MULTILINE)


@pytest.mark.parametrize("dialect", VERSIONS, ids=lambda dialect: dialect.subprotocol)
def test_every_action_has_its_row(dialect: Dialect) -> None:
    rows = ROW.findall(support_page([dialect]))
    assert sorted(action for action, _, _ in rows) == sorted([*dialect.reports.actions, *dialect.commands.actions])
    assert ("SecurityEventNotification", "`SecurityEvent`", "kept in the station's log") in rows


def test_a_plain_action_shows_its_answer() -> None:
    made_up = Dialect(
        subprotocol="ocpp1.6",
        framing=FRAMING_16,
        reports=Reports("v16", plain_reports({"SignCertificate": {"status": "Rejected"}}), frozenset()),
        commands=Commands("v16", plain_commands("Reset"), frozenset()),
    )
    assert ROW.findall(support_page([made_up])) == [
        ("SignCertificate", "plain", """kept in the station's log; answered `{"status":"Rejected"}`"""),
        ("Reset", "plain", "sent for an operator, to whom the station's answer is shown"),
    ]


def test_what_is_not_answered_or_not_supported_is_said_so() -> None:
    does = {action: what for action, _, what in ROW.findall(support_page([V21]))}
    assert does["NotifyPeriodicEventStream"] == "kept in the station's log; a SEND, which nobody answers"
    assert does["VatNumberValidation"] == "kept in the station's log; answered by the error NotSupported"


def test_what_is_described_are_words_that_are_said() -> None:
    assert set(DOES) <= {*StationReport.__args__, *StationCommand.__args__}
