"""A webhook that fails is tried again, gives up what is refused, and is paused rather than left in silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from statecharts.events import DeadlineReached, NodeRestarted
from statecharts.webhook import (
    CHART,
    NOT_OF_THE_EVENT,
    AttemptBegun,
    AttemptFailed,
    EventDelivered,
    EventReplayed,
    PauseWebhook,
    ResumeWebhook,
    Webhook,
    gives_up,
    is_taken,
)
from statecharts.webhook_limits import WEBHOOK_GIVEN_UP, WEBHOOK_REFUSALS

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEGUN = CHART.step(Webhook(), AttemptBegun(at=AT, timeout_s=10)).data
REFUSALS = WEBHOOK_REFUSALS.limit


def failed(data: Webhook = BEGUN, *, after_s: float = 1, **more: Any) -> Webhook:
    told: dict[str, Any] = {"cause": "HTTP 503", "attempts": 1, "wait_s": 5, "patience_s": 100, "status": 503}
    return CHART.step(data, AttemptFailed(at=AT + timedelta(seconds=after_s), **(told | more))).data


def test_a_failure_is_waited_after_and_the_event_sent_again() -> None:
    waiting = failed()
    assert (waiting.state, waiting.failures, waiting.until) == ("WaitingToRetry", 1, AT + timedelta(seconds=6))
    idle = CHART.step(waiting, DeadlineReached(at=AT + timedelta(seconds=6))).data
    assert (idle.state, idle.failures, idle.failing_since) == ("Idle", 1, AT + timedelta(seconds=1))


def test_one_delivery_makes_up_for_all_failures() -> None:
    taken = CHART.step(failed(failed()), EventDelivered(at=AT)).data
    assert taken == Webhook(delivered_at=AT)


@pytest.mark.parametrize("status", [400, 405, 409, 413, 415, 422, 451])
def test_an_event_is_given_up_once_it_was_refused_often_enough(status: int) -> None:
    assert failed(status=status, attempts=REFUSALS - 1).state == "WaitingToRetry"
    given_up = failed(status=status, attempts=REFUSALS)
    assert (given_up.state, given_up.given_up, given_up.failures) == ("Idle", 1, 1)


@pytest.mark.parametrize("status", [None, 100, 302, *NOT_OF_THE_EVENT, 500, 503])
def test_what_another_event_would_meet_as_well_is_no_refusal_of_the_event(status: int | None) -> None:
    event = AttemptFailed(at=AT, cause="", attempts=99, wait_s=1, patience_s=1, status=status)
    assert not gives_up(event) and not is_taken(status)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_success_takes_an_event(status: int) -> None:
    assert is_taken(status)


def test_it_is_paused_when_it_has_failed_for_too_long_and_not_before() -> None:
    waiting = failed()
    assert failed(waiting, after_s=100).state == "WaitingToRetry"
    paused = failed(waiting, after_s=101)
    assert (paused.state, paused.cause, paused.paused_by, paused.until) == ("Paused", "HTTP 503", "", None)


def test_it_is_paused_at_once_when_its_receiver_is_gone() -> None:
    assert failed(status=410, cause="HTTP 410").state == "Paused"


def test_it_is_paused_with_as_many_events_given_up_as_may_wait() -> None:
    full = Webhook(state="Delivering", given_up=WEBHOOK_GIVEN_UP.limit - 1, until=AT)
    paused = failed(full, status=400, attempts=REFUSALS)
    assert (paused.state, paused.given_up) == ("Paused", WEBHOOK_GIVEN_UP.limit)


def test_what_was_on_its_way_when_it_was_paused_counts_and_leaves_it_paused() -> None:
    paused = CHART.step(BEGUN, PauseWebhook(at=AT, by="olga")).data
    assert (paused.state, paused.paused_by, paused.until) == ("Paused", "olga", None)
    assert CHART.step(paused, EventDelivered(at=AT)).data == Webhook(state="Paused", paused_by="olga", delivered_at=AT)
    assert (failed(paused).state, failed(paused).failures, failed(paused).until) == ("Paused", 1, None)
    assert failed(paused, status=400, attempts=REFUSALS).given_up == 1


def test_one_that_is_resumed_begins_anew() -> None:
    paused = failed(failed(), after_s=500)
    resumed = CHART.step(paused, ResumeWebhook(at=AT)).data
    assert resumed == Webhook()
    assert CHART.step(resumed, ResumeWebhook(at=AT)).fact is None


def test_an_event_that_is_replayed_is_given_up_no_longer() -> None:
    data = Webhook(given_up=2)
    assert CHART.step(data, EventReplayed(at=AT, given_up=True)).data.given_up == 1
    assert CHART.step(data, EventReplayed(at=AT, given_up=False)).fact is None


def test_a_restart_ends_what_was_under_way_and_nothing_else() -> None:
    assert CHART.step(BEGUN, NodeRestarted(at=AT)).data == Webhook()
    assert CHART.step(failed(), NodeRestarted(at=AT)).data == failed()


def test_an_attempt_that_is_never_heard_of_is_over_after_its_time() -> None:
    assert CHART.deadline(BEGUN) == AT + timedelta(seconds=15)
    assert CHART.step(BEGUN, DeadlineReached(at=AT + timedelta(seconds=15))).data.state == "Idle"
