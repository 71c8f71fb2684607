"""One partner as operators see it, and the call that tries whether it can be reached."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
import trio

from statecharts.peers_door import LinkView
from statecharts.ports import PeerSeen
from statecharts.vocabulary import (
    Declined,
    GetLocalServicesList,
    NotifyRequestResult,
    PeerOutcome,
    Refusal,
    Refused,
    Unanswered,
)
from tests.support.house import EPOCH
from tests.support.roaming import HOME, LOCAL, Roaming


def no(kind: str, code: int = 404) -> Declined:
    return Declined(refusal=Refusal(code=code, kind=kind, message="no"))


async def test_a_partner_that_is_away_shows_since_when_why_and_when_it_is_tried_again(
    autojump_clock: object, roaming: Roaming
) -> None:
    operator, charge = roaming.local.operator, await roaming.running()
    await trio.sleep(1)
    well = await operator.peer(HOME)
    assert (well.state, well.failures, well.one_at_a_time, well.last_failure) == ("Up", 0, False, None)
    assert well.last_answered_at is not None and well.next_attempt_at is None
    roaming.back.down = True
    await roaming.station.stop(charge.number, 5_000)
    await trio.sleep(50)
    ill = await operator.peer(HOME)
    assert (ill.state, ill.one_at_a_time, ill.last_failure, ill.deliveries.pending) == ("Suspect", True, "timeout", 1)
    assert ill.failures >= 3 and ill.next_attempt_at is not None and ill.last_failed_at is not None
    assert ill.last_answered_at == well.last_answered_at < ill.last_failed_at < ill.next_attempt_at
    with pytest.raises(Refused):
        await operator.peer("XX-000")


async def test_what_is_configured_and_what_was_seen_of_a_partner_stand_side_by_side(
    autojump_clock: object, roaming: Roaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = LinkView(role="source", url="https://home.test/s", username="us", tls=True)
    roaming.local.context.links = {HOME: (link,)}
    assert (await roaming.local.operator.peer(HOME)).links == (link,)
    seen = PeerSeen(certificate_until=EPOCH, date=EPOCH + timedelta(seconds=40), dated_s=10.0)
    monkeypatch.setattr(roaming.back, "seen", lambda: seen)
    await trio.sleep(100)
    (shown,) = (await roaming.local.operator.peer(HOME)).links
    assert shown == msgspec.structs.replace(link, certificate_until=EPOCH, clock_ahead_s=30)


async def test_a_test_call_has_no_effect_on_either_side(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    await trio.sleep(1)
    before = [await house.journal.load(name) for house, name in sides(roaming, charge.source, charge.destination)]
    (at_destination,) = (await roaming.home.operator.test_peer(LOCAL)).calls
    (at_source,) = (await roaming.local.operator.test_peer(HOME)).calls
    assert isinstance(roaming.there.sent[-1], GetLocalServicesList)
    assert isinstance(roaming.back.sent[-1], NotifyRequestResult)
    assert (at_destination.works, at_destination.outcome, at_destination.reason) == (True, "answered", None)
    assert at_source.works
    assert at_source.reason is not None and at_source.reason.startswith("404: ")
    after = [await house.journal.load(name) for house, name in sides(roaming, charge.source, charge.destination)]
    assert after == before


def sides(roaming: Roaming, source: str, destination: str) -> tuple[tuple[object, str], ...]:
    return (roaming.home, source), (roaming.local, destination)


@pytest.mark.parametrize(
    ("outcome", "works", "kind"),
    [
        (Unanswered(cause="no such name", kind="name-unknown"), False, "name-unknown"),
        (Unanswered(cause="HTTP 401", kind="credentials", alarm=True), False, "credentials"),
        (Unanswered(cause="ResponseError 500: Not implemented yet", kind="error"), True, "error"),
        (Unanswered(cause="garbage"), False, "unanswered"),
        (no("peer-refused", 409), True, "peer-refused"),
        (no("peer-refused", 403), False, "peer-refused"),
        (no("peer-http"), False, "peer-http"),
        (no("peer-fault", 400), False, "peer-fault"),
    ],
)
async def test_a_test_call_says_what_is_amiss(
    autojump_clock: object, roaming: Roaming, outcome: PeerOutcome, works: bool, kind: str
) -> None:
    roaming.back.script = [outcome]
    tried = await roaming.local.operator.test_peer(HOME)
    (call,) = tried.calls
    assert (tried.works, call.works, call.outcome) == (works, works, kind)
    assert call.reason


async def test_a_test_call_of_a_partner_that_never_answers_ends_and_changes_no_link(
    autojump_clock: object, roaming: Roaming
) -> None:
    roaming.back.down = True
    began_s = trio.current_time()
    for _ in range(4):
        (call,) = (await roaming.local.operator.test_peer(HOME)).calls
        assert (call.works, call.took_s) == (False, 10.0)
    assert trio.current_time() - began_s == 40
    assert (await roaming.local.operator.peer(HOME)).state == "Up"
