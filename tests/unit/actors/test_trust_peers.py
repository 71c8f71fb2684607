"""Trust between operators: a peer is who it is, sees and changes only its own, and says only what was agreed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from statecharts.vocabulary import (
    Authorize,
    EndTransaction,
    NotifyRequestResult,
    Refusal,
    Refused,
    RequestStartTransaction,
    RequestStopTransaction,
    RoamingRequest,
    ServiceType,
    TransactionProgressUpdate,
    TransactionStatus,
)
from tests.support.house import EPOCH, StationLine, link, open_house
from tests.support.roaming import HOME, LOCAL, Charge, Roaming, content, end

STRANGER = "FR-002"


async def refusal(door: Any, peer: str, request: RoamingRequest) -> Refusal:
    with pytest.raises(Refused) as caught:
        await door(peer, request)
    return caught.value.refusal


def authorize(pms_identifier: str = HOME, **other: Any) -> Authorize:
    known = {"user_identifier": "anna", "service_type": ServiceType.EV_CHARGING, "local_service_identifier": "CS01"}
    return Authorize(pms_identifier=pms_identifier, **{**known, **other})


def progress(charge: Charge, **other: Any) -> TransactionProgressUpdate:
    said = content(charge, transaction_status=TransactionStatus.ACTIVE, end_timestamp=None, **other)
    return TransactionProgressUpdate(
        authorization_identifier=charge.name, start_transaction_timestamp=EPOCH, transaction_data=said
    )


# -- who asks ----------------------------------------------------------------------------------------------------------


async def test_the_pms_identifier_must_be_the_authenticated_peer(autojump_clock: object, roaming: Roaming) -> None:
    assert (await refusal(roaming.local.destination, HOME, authorize(STRANGER))).code == 403
    assert (await roaming.local.operator.transactions(role=None, state=None, cursor=None, limit=9)).items == ()


async def test_to_a_destination_we_always_send_our_own_identifier(autojump_clock: object, roaming: Roaming) -> None:
    await roaming.ready()
    (sent,) = roaming.there.of(Authorize)
    assert (sent.pms_identifier, sent.user_identifier) == (HOME, "anna")


@pytest.mark.parametrize(
    "ask",
    [
        lambda name: RequestStartTransaction(request_identifier="r-1", authorization_identifier=name),
        lambda name: RequestStopTransaction(request_identifier="r-1", authorization_identifier=name),
    ],
    ids=["start", "stop"],
)
@pytest.mark.parametrize("begun", [False, True], ids=["ready", "running"])
async def test_a_destination_answers_for_anothers_transaction_as_for_none(
    ask: Callable[[str], RoamingRequest], begun: bool, autojump_clock: object, roaming: Roaming
) -> None:
    charge = await (roaming.running() if begun else roaming.ready())
    before, commands = await roaming.local.data(charge.destination), list(roaming.station.commands)
    others = await refusal(roaming.local.destination, STRANGER, ask(charge.name))
    nobodys = await refusal(roaming.local.destination, STRANGER, ask("FFFFFFFFFFFF"))
    assert others == nobodys and others.code == 404
    assert await roaming.local.data(charge.destination) == before
    assert roaming.station.commands == commands


@pytest.mark.parametrize("what", ["notify", "progress", "end"])
async def test_a_source_answers_about_anothers_transaction_as_about_none(
    what: str, autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked()
    nobody = Charge(transaction_id="none", name="FFFFFFFFFFFF")
    (started,) = roaming.there.of(RequestStartTransaction)
    told: dict[str, Callable[[Charge, str], RoamingRequest]] = {
        "notify": lambda _, request: NotifyRequestResult(request_identifier=request, request_success=True),
        "progress": lambda of, _: progress(of),
        "end": lambda of, _: end(of),
    }
    before = await roaming.view(charge)
    others = await refusal(roaming.home.source, STRANGER, told[what](charge, started.request_identifier))
    nobodys = await refusal(roaming.home.source, STRANGER, told[what](nobody, "no-such-request"))
    assert others == nobodys and others.code == 404
    assert await roaming.view(charge) == before


async def test_two_destinations_may_give_the_same_identifier_and_end_only_their_own(
    autojump_clock: object, nursery: trio.Nursery, roaming: Roaming
) -> None:
    async with open_house(STRANGER, nursery) as other:
        link(roaming.home, other)

        line = StationLine(other, "CS01")
        await line.come_online()
        other.ids.minted = ["0A1B2C3D4E5F"]
        roaming.local.ids.minted = ["0A1B2C3D4E5F"]
        mine = await roaming.running()
        theirs = await roaming.home.authorize(STRANGER)
        assert theirs.authorization_identifier == mine.name == "0A1B2C3D4E5F"
        await roaming.station.stop(mine.number, 5_000)
        await roaming.settled(mine)
        view = await roaming.home.operator.transaction("source", theirs.transaction_id)
        assert view.state == "Ready"


# -- what is said ------------------------------------------------------------------------------------------------------

FOREIGN = [
    {"user_identifier": "eve"},
    {"local_operator_identifier": STRANGER},
    {"home_operator_identifier": STRANGER},
    {"local_service_identifier": "CS99"},
    {"service_type": ServiceType.PARKING},
    {"authorization_identifier": "FFFFFFFFFFFF"},
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda foreign: next(iter(foreign)))
async def test_an_end_about_somebody_else_is_refused_kept_and_shown_and_bills_nothing(
    foreign: dict[str, Any], autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    assert (await refusal(roaming.home.source, LOCAL, end(charge, **foreign))).code == 403
    view = await roaming.view(charge)
    assert (view.state, view.flags, view.cdr, view.energy_wh) == ("TxRunning", ("foreign-end",), None, None)
    kept = [fact.type for fact in await roaming.home.journal.load(charge.source)]
    assert kept[-1] == "TransactionEnded"
    await roaming.station.stop(charge.number, 5_000)
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda foreign: next(iter(foreign)))
async def test_progress_about_somebody_else_is_refused_kept_and_shown(
    foreign: dict[str, Any], autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    assert (await refusal(roaming.home.source, LOCAL, progress(charge, **foreign))).code == 403
    view = await roaming.view(charge)
    assert (view.state, view.flags, view.energy_wh) == ("TxRunning", ("foreign-progress",), None)
    assert [fact.type for fact in await roaming.home.journal.load(charge.source)][-1] == "ProgressReported"


async def test_a_false_end_is_refused_the_second_time_too(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    for _ in range(2):
        assert (await refusal(roaming.home.source, LOCAL, end(charge, user_identifier="eve"))).code == 403
    assert (await roaming.home.operator.cdrs()).items == ()


# -- blocked and revoked -----------------------------------------------------------------------------------------------


async def test_a_source_asks_a_blocked_destination_for_nothing_new(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.ready()
    await roaming.home.operator.block_peer(LOCAL, True)
    for ask in (roaming.home.authorize(LOCAL), roaming.start(charge)):
        with pytest.raises(Refused) as caught:
            await ask
        assert (caught.value.refusal.code, caught.value.refusal.kind) == (403, "peer-blocked")
    assert len(roaming.there.sent) == 1
    await roaming.home.operator.block_peer(LOCAL, False)
    await roaming.start_asked(charge)


async def test_a_destination_grants_a_blocked_source_nothing_new(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.ready()
    await roaming.local.operator.block_peer(HOME, True)
    assert (await refusal(roaming.local.destination, HOME, authorize())).code == 403
    await roaming.start(charge)
    view = await roaming.home.until(charge.source, "Ready")
    assert "no new business" in (view.cause or "")
    assert not roaming.station.commands


async def test_what_is_under_way_with_a_blocked_peer_goes_on_to_its_charge_record(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked()
    await roaming.home.operator.block_peer(LOCAL, True)
    await roaming.local.operator.block_peer(HOME, True)
    (asked,) = roaming.there.of(RequestStartTransaction)
    await roaming.local.destination(HOME, asked)
    charge = await roaming.running(charge)
    await roaming.station.meter(charge.number, 2_000)
    await roaming.stop_asked(charge)
    await roaming.station.stop(charge.number, 5_000, reason="Remote")
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000


async def test_a_block_outlives_a_restart(autojump_clock: object, nursery: trio.Nursery, roaming: Roaming) -> None:
    await roaming.local.operator.block_peer(HOME, True)
    await roaming.local.restart(nursery)
    (peer,) = (await roaming.local.operator.peers()).items
    assert peer.state == "Blocked"
    await roaming.station.come_online()
    assert (await refusal(roaming.local.destination, HOME, authorize())).code == 403


async def test_revoked_credentials_keep_what_is_owed(
    autojump_clock: object, nursery: trio.Nursery, roaming: Roaming
) -> None:
    charge = await roaming.running()
    await trio.sleep(1)
    client = roaming.local.sources.pop(HOME)
    await roaming.local.restart(nursery)
    await roaming.station.come_online(boot=False)
    await roaming.station.stop(charge.number, 5_000)
    await trio.sleep(86_400)
    counts = await roaming.local.context.outbox.counts(HOME)
    assert {status.value: count for status, count in counts.items() if count} == {"done": 1, "pending": 1}
    (shown,) = (await roaming.local.operator.peers()).items
    assert (shown.pms_identifier, shown.pending_deliveries) == (HOME, 1)
    roaming.local.sources[HOME] = client
    await roaming.local.restart(nursery)
    await roaming.settled(charge, within_s=1_000)
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000


async def test_a_replayed_message_of_the_past_has_no_second_effect(
    autojump_clock: object, nursery: trio.Nursery, roaming: Roaming
) -> None:
    charge = await roaming.stop_asked()
    await roaming.station.stop(charge.number, 5_000, reason="Remote")
    await roaming.settled(charge)
    await roaming.home.restart(nursery)
    await roaming.local.restart(nursery)
    await trio.sleep(86_400)
    view, commands = await roaming.view(charge), list(roaming.station.commands)
    for message in list(roaming.back.sent):
        await roaming.home.source(LOCAL, message)
    for message in roaming.there.of(RequestStartTransaction) + roaming.there.of(RequestStopTransaction):
        await roaming.local.destination(HOME, message)
    await trio.sleep(600)
    assert await roaming.view(charge) == view
    assert roaming.station.commands == commands
    assert len(roaming.back.of(EndTransaction)) == 1
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000
