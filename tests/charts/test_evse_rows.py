"""A connector is in whatever status it reports; a change that OCPP 1.6, section 4.9, does not know is counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from statecharts.evse import CHART, Evse, StatusReported, step, surprising
from statecharts.station_reports import ConnectorStatus

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LETTERS = dict(zip("ABCDEFGHI", ConnectorStatus, strict=True))
SPECIFIED = {
    "A": "BCDEGHI",
    "B": "ACDEFI",
    "C": "ADEFHI",
    "D": "ACEFHI",
    "E": "ACDFHI",
    "F": "ABHI",
    "G": "ABHI",
    "H": "ABCDEI",
    "I": "ABCDEFGH",
}
"""The specification's own table, row by row."""

CHANGES = [(a, b) for a in LETTERS for b in LETTERS if a != b]


def said(status: str, error: str = "NoError", **more: datetime) -> StatusReported:
    return StatusReported(at=AT, connector_id=1, status=ConnectorStatus(status), error_code=error, **more)


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_change_is_taken_as_it_is_said_and_counted_if_the_specification_does_not_know_it(
    before: str, after: str
) -> None:
    connector = step(Evse(surprises=3), said(LETTERS[before]))
    assert (connector.state, connector.surprises) == (LETTERS[before], 3), "a first word surprises nobody"
    report = said(LETTERS[after])
    known = after in SPECIFIED[before]
    assert surprising(connector, report) is not known
    changed = step(connector, report)
    assert (changed.state, changed.surprises) == (LETTERS[after], 3 if known else 4)


@pytest.mark.parametrize("status", ConnectorStatus)
def test_the_same_status_again_says_something_only_with_another_error(status: ConnectorStatus) -> None:
    connector = step(Evse(), said(status))
    again = CHART.step(connector, said(status))
    assert (again.outcome, again.fact, step(connector, said(status))) == ("repeat", None, connector)
    worse = step(connector, said(status, "OverVoltage"))
    assert (worse.state, worse.error_code, worse.surprises) == (status, "OverVoltage", 0)


def test_a_status_is_as_old_as_the_station_says_else_as_old_as_its_report() -> None:
    earlier = AT - timedelta(hours=2)
    assert step(Evse(), said("Available", timestamp=earlier)).since == earlier
    assert step(Evse(), said("Available")) == Evse(state="Available", connector_id=1, since=AT)
