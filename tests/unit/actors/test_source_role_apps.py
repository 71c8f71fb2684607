"""The Source towards its apps: who may ask and for whom, and how every failure reaches them as a clear cause."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio

from statecharts.directory import UserEntry
from statecharts.ports import AuthorizationRequest, Principal, TransactionView
from statecharts.station_commands import CallVerdict
from statecharts.station_reports import ConnectorStatus
from statecharts.vocabulary import (
    Answered,
    Authorize,
    AuthorizeAnswer,
    Declined,
    EndTransaction,
    NotifyRequestResult,
    PeerOutcome,
    Refusal,
    Refused,
    Unanswered,
)
from tests.support.house import APP, EPOCH, StationLine, link, open_house
from tests.support.roaming import HOME, LOCAL, Charge, Roaming

ANNAS = Principal(name="annas-app", users=frozenset({"anna"}))
BERTS = Principal(name="berts-app", users=frozenset({"bert"}))
OPERATOR = Principal(name="operator", operator=True)


def wish(user: str = "anna", destination: str = LOCAL) -> AuthorizationRequest:
    return AuthorizationRequest(
        user_identifier=user, destination=destination, local_service_identifier="CS01", connector_identifier="1"
    )


async def told(roaming: Roaming, charge: Charge, state: str, within_s: float = 600) -> TransactionView:
    """The app's view once it shows this state."""
    await roaming.home.until(charge.source, state, within_s)
    return await roaming.view(charge)


# -- whom an app may act for -------------------------------------------------------------------------------------------


async def test_an_app_acts_only_for_the_users_that_its_token_names(autojump_clock: object, roaming: Roaming) -> None:
    with pytest.raises(Refused) as caught:
        await roaming.home.source.authorize(BERTS, wish("anna"))
    assert caught.value.refusal.code == 403
    assert not roaming.there.sent
    assert (await roaming.home.source.authorize(ANNAS, wish("anna"))).state == "Ready"


async def test_anothers_transaction_is_shown_and_moved_like_none(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.ready()
    source, seen = roaming.home.source, []
    for ask in (
        source.transaction(BERTS, charge.transaction_id),
        source.start(BERTS, charge.transaction_id, None),
        source.stop(BERTS, charge.transaction_id, None),
        source.transaction(BERTS, "no-such-transaction"),
    ):
        with pytest.raises(Refused) as caught:
            await ask
        seen.append(caught.value.refusal)
    assert len(set(seen)) == 1 and seen[0].code == 404
    with pytest.raises(Refused):
        await source.by_authorization(BERTS, charge.name)
    assert (await source.by_authorization(ANNAS, charge.name)).transaction_id == charge.transaction_id
    pages = [await _listed(roaming, who) for who in (ANNAS, BERTS, OPERATOR)]
    assert pages == [1, 0, 1]


async def _listed(roaming: Roaming, who: Principal) -> int:
    page = await roaming.home.source.transactions(who, state=None, user_identifier=None, cursor=None, limit=9)
    return len(page.items)


USERS = (
    UserEntry(identifier="blocked", blocked=True),
    UserEntry(identifier="early", valid_from=EPOCH + timedelta(days=1)),
    UserEntry(identifier="late", valid_until=EPOCH),
    UserEntry(identifier="elsewhere", allowed_operators=("FR-002",)),
    UserEntry(identifier="here", allowed_operators=(LOCAL,)),
)


@pytest.mark.parametrize(("user", "why"), [
    ("blocked", "blocked"), ("early", "not valid before"), ("late", "expired"),
    ("elsewhere", "may not charge at operator IE-001"), ("nobody", "not known"),
])  # fmt: skip
async def test_a_user_who_may_not_charge_is_refused_before_anybody_is_asked(
    user: str, why: str, autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with open_house(HOME, nursery, users=USERS) as home, open_house(LOCAL, nursery) as local:
        there, _ = link(home, local)
        await StationLine(local, "CS01").come_online()
        with pytest.raises(Refused) as caught:
            await home.source.authorize(APP, wish(user))
        assert caught.value.refusal.code == 403 and why in caught.value.refusal.message
        assert not there.sent
        assert (await home.source.authorize(APP, wish("here"))).state == "Ready"


async def test_a_destination_that_is_no_partner_is_unknown(autojump_clock: object, roaming: Roaming) -> None:
    with pytest.raises(Refused) as caught:
        await roaming.home.source.authorize(APP, wish(destination="XX-000"))
    assert (caught.value.refusal.code, caught.value.refusal.message) == (400, "PMS Unknown: XX-000")


# -- authorising -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "code", "kind"),
    [
        (Declined(refusal=Refusal(code=409, kind="peer-refused", message="busy")), 409, "peer-refused"),
        (Unanswered(cause="HTTP 502"), 504, "peer-unanswered"),
        (Answered(answer=AuthorizeAnswer(authorization_identifier="")), 502, "no-identifier"),
    ],
)
async def test_a_refusal_reaches_the_app_and_names_no_authorisation(
    outcome: PeerOutcome, code: int, kind: str, autojump_clock: object, roaming: Roaming
) -> None:
    roaming.there.script = [outcome]
    with pytest.raises(Refused) as caught:
        await roaming.home.authorize(LOCAL)
    assert (caught.value.refusal.code, caught.value.refusal.kind) == (code, kind)
    page = await roaming.home.source.transactions(APP, state=None, user_identifier=None, cursor=None, limit=9)
    (view,) = page.items
    assert (view.state, view.authorization_identifier) == ("Refused", None)


async def test_a_restart_while_authorising_refuses(
    autojump_clock: object, nursery: trio.Nursery, roaming: Roaming
) -> None:
    roaming.there.down = True
    async with trio.open_nursery() as asker:
        asker.start_soon(roaming.home.authorize, LOCAL)
        await trio.sleep(5)
        asker.cancel_scope.cancel()
    await roaming.home.restart(nursery)
    await trio.sleep(1)
    page = await roaming.home.source.transactions(APP, state=None, user_identifier=None, cursor=None, limit=9)
    (view,) = page.items
    assert view.state == "Refused" and "restarted" in (view.cause or "")
    assert len(roaming.there.of(Authorize)) == 1


async def test_an_app_that_hangs_up_ends_its_waiting_and_not_the_authorisation(
    autojump_clock: object, roaming: Roaming
) -> None:
    roaming.there.slow_s = 1.0
    with trio.move_on_after(0.5):
        await roaming.home.authorize(LOCAL)
    await trio.sleep(1)
    page = await roaming.home.source.transactions(APP, state=None, user_identifier=None, cursor=None, limit=9)
    assert [view.state for view in page.items] == ["Ready"]


async def test_a_repeated_grant_is_refused_and_the_first_transaction_unharmed(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    roaming.there.script = [Answered(answer=AuthorizeAnswer(authorization_identifier=charge.name))]
    with pytest.raises(Refused) as caught:
        await roaming.home.authorize(LOCAL)
    assert (caught.value.refusal.code, caught.value.refusal.kind) == (502, "repeated-grant")
    await roaming.station.stop(charge.number, 5_000)
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000


# -- starting and stopping ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "cause"),
    [
        (CallVerdict.REJECTED, "the station refused to start"),
        (CallVerdict.ERROR, "the station could not start"),
        (CallVerdict.NEVER_SENT, "the station cannot be reached"),
    ],
)
async def test_a_start_that_failed_at_the_station_reaches_the_app_as_its_cause(
    verdict: CallVerdict, cause: str, autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.ready()
    roaming.station.verdicts = [verdict]
    await roaming.start(charge)
    await roaming.local.until(charge.destination, "Ready")
    view = await told(roaming, charge, "Ready")
    assert view.cause == cause
    assert (view.operations[0].status, view.operations[0].cause) == ("failed", cause)
    charge = await roaming.running(await roaming.start_asked(charge))
    assert (await roaming.view(charge)).cause is None, "the next attempt succeeds"


async def test_a_station_that_went_away_is_named_as_the_cause(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.ready()
    await roaming.station.go_offline()
    await roaming.start(charge)
    await trio.sleep(1)
    assert "cannot be reached" in ((await told(roaming, charge, "Ready")).cause or "")


@pytest.mark.parametrize("verdict", [CallVerdict.ACCEPTED, CallVerdict.UNKNOWN])
async def test_a_station_that_never_starts_is_told_by_the_deadline(
    verdict: CallVerdict, autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.ready()
    roaming.station.verdicts = [verdict]
    await roaming.start(charge)
    await trio.sleep(140)
    assert (await roaming.view(charge)).state == "StartTxRequested", "unknown is not failed"
    view = await told(roaming, charge, "Ready", 60)
    assert "did not start in time" in (view.cause or "")
    (notify,) = roaming.back.of(NotifyRequestResult)
    assert not notify.request_success


async def test_a_start_that_comes_after_its_deadline_still_counts(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.start_asked()
    await trio.sleep(200)
    assert (await roaming.view(charge)).state == "Ready"
    charge = await roaming.running(charge)
    assert [notify.request_success for notify in roaming.back.of(NotifyRequestResult)] == [False, True]
    await roaming.station.stop(charge.number, 5_000)
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000


@pytest.mark.parametrize(
    ("verdict", "cause"),
    [
        (CallVerdict.REJECTED, "the station refused to stop"),
        (CallVerdict.ERROR, "the station could not stop"),
        (CallVerdict.NEVER_SENT, "the station cannot be reached"),
        (CallVerdict.UNKNOWN, "the station did not stop in time"),
    ],
)
async def test_a_stop_that_failed_reaches_the_app_and_the_charge_goes_on(
    verdict: CallVerdict, cause: str, autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    roaming.station.verdicts = [verdict]
    await roaming.stop(charge)
    view = await told(roaming, charge, "TxRunning")
    assert view.cause == cause
    assert view.operations[-1].status == "failed"
    await roaming.stop_asked(charge)
    await roaming.station.stop(charge.number, 5_000)
    await roaming.settled(charge)


async def test_a_stop_asked_for_while_starting_is_kept_and_sent(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.start_asked()
    view = await roaming.stop(charge)
    assert view.state == "StartTxRequested" and view.operations[-1].kind == "stop"
    answer = await roaming.station.start(charge.name)
    await roaming.local.until(charge.destination, "StopTxRequested")
    await roaming.station.stop(answer.transaction_id, 1_100)
    await roaming.settled(charge)


async def test_progress_alone_proves_a_start_whose_result_was_lost(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.start_asked()
    roaming.back.script = [Unanswered(cause="HTTP 503")]
    answer = await roaming.station.start(charge.name)
    await roaming.station.meter(answer.transaction_id, 1_300)
    view = await told(roaming, charge, "TxRunning", 0.9)
    assert view.energy_wh == 300


async def test_a_silent_charge_is_flagged_to_the_app(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    await trio.sleep(86_400 + 60)
    view = await roaming.view(charge)
    assert view.state == "TxRunning" and "silent" in view.flags


async def test_the_driver_who_unplugs_ends_the_charge_on_both_sides(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    await roaming.station.stop(charge.number, 5_000, reason="EVDisconnected")
    await roaming.station.status(1, ConnectorStatus.AVAILABLE)
    await roaming.settled(charge)
    assert len(roaming.back.of(EndTransaction)) == 1
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000


# -- lost answers, one after the other ---------------------------------------------------------------------------------

CALLS = 7
"""Authorize, start, its result, progress, stop, its result, the end."""


async def whole_charge(roaming: Roaming) -> Charge:
    charge = await roaming.running()
    await roaming.station.meter(charge.number, 2_000)
    await trio.sleep(1)
    await roaming.stop_asked(charge)
    await roaming.station.stop(charge.number, 5_000, reason="Remote")
    await roaming.settled(charge)
    return charge


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("lost", range(1, CALLS))
async def test_whichever_answer_is_lost_the_charge_ends_alike_and_nothing_is_doubled(
    lost: int, times: int, autojump_clock: object, roaming: Roaming
) -> None:
    counter = LosesAnswers(lost, times)
    counter.spoil(roaming)
    charge = await whole_charge(roaming)
    await trio.sleep(30)
    cdr = await roaming.same_cdr(charge)
    assert (cdr.energy_wh, cdr.cdr_id) == (4_000, f"{LOCAL}/{charge.name}")
    assert [type(command).__name__ for command in roaming.station.commands] == [
        "RemoteStartTransaction",
        "RemoteStopTransaction",
    ]
    view = await roaming.view(charge)
    assert [(o.kind, o.status) for o in view.operations] == [("start", "succeeded"), ("stop", "succeeded")]
    assert view.flags == ()
    assert counter.lost == times or counter.was_progress
    for house in (roaming.home, roaming.local):
        (peer,) = (await house.operator.peers()).items
        assert (peer.pending_deliveries, peer.parked_deliveries) == (0, 0)


class LosesAnswers:
    """Loses the answer of the k-th different message, that many times, whichever of both operators sends it."""

    def __init__(self, k: int, times: int) -> None:
        self.k, self.times, self.lost = k, times, 0
        self.seen: list[object] = []
        self.was_progress = False

    def spoil(self, roaming: Roaming) -> None:
        for client in (roaming.there, roaming.back):
            client.reply_lost = Answers(self, client)

    def loses(self, message: object) -> bool:
        if message not in self.seen:
            self.seen.append(message)
        hit = self.seen.index(message) == self.k and self.lost < self.times
        self.lost += hit
        self.was_progress |= hit and type(message).__name__ == "TransactionProgressUpdate"
        return hit


class Answers:
    """Looks like a client's list of answers to lose, and decides each anew."""

    def __init__(self, counter: LosesAnswers, client: object) -> None:
        self.counter, self.client = counter, client

    def pop(self, _: int) -> bool:
        return self.counter.loses(self.client.sent[-1])
