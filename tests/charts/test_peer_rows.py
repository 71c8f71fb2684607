"""A partner that does not answer is suspected, then down, and forgiven with its first answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from statecharts.peer import CHART, BlockPeer, CallAnswered, CallFailed, Peer, UnblockPeer

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def after(failures: int, peer: Peer | None = None) -> Peer:
    """The partner after so many attempts in a row that it did not answer."""
    peer = peer or Peer()
    for _ in range(failures):
        peer = CHART.step(peer, CallFailed(at=AT, cause="time-out")).data
    return peer


@pytest.mark.parametrize(
    ("failures", "state"), [(0, "Up"), (2, "Up"), (3, "Suspect"), (9, "Suspect"), (10, "Down"), (99, "Down")]
)
def test_so_many_failures_in_a_row_make_a_partner_suspect_or_down(failures: int, state: str) -> None:
    peer = after(failures)
    assert (peer.state, peer.failures) == (state, failures)


@pytest.mark.parametrize("failures", [1, 3, 10])
def test_one_answer_makes_up_for_all_failures(failures: int) -> None:
    forgiven = CHART.step(after(failures), CallAnswered(at=AT)).data
    assert forgiven == Peer(since=AT)
    assert after(2, forgiven).state == "Up"


def test_an_answer_of_a_partner_that_never_failed_says_nothing_new() -> None:
    decision = CHART.step(Peer(), CallAnswered(at=AT))
    assert (decision.outcome, decision.fact) == ("repeat", None)


def test_an_alarm_stays_through_other_failures_until_an_answer() -> None:
    alarmed = CHART.step(Peer(), CallFailed(at=AT, cause="HTTP 401", alarm=True)).data
    assert after(1, alarmed).alarm == "HTTP 401"
    assert CHART.step(alarmed, CallAnswered(at=AT)).data.alarm is None


def test_a_blocked_partner_stays_so_however_it_answers_and_is_up_when_it_is_let_go() -> None:
    blocked = CHART.step(after(3), BlockPeer(at=AT)).data
    assert (blocked.state, blocked.failures) == ("Blocked", 0)
    assert after(10, blocked).state == "Blocked"
    assert CHART.step(after(1, blocked), CallAnswered(at=AT)).data == Peer(state="Blocked", since=AT)
    assert CHART.step(blocked, UnblockPeer(at=AT)).data.state == "Up"
