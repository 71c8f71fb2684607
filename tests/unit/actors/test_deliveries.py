"""The ledger of deliveries: what is owed, what is late, and dead letters that an operator has sent again."""

from __future__ import annotations

import pytest
import trio

from statecharts.peers_door import DeliveryView, Replayed
from statecharts.vocabulary import Declined, EndTransaction, Refusal, Refused
from tests.support.roaming import HOME, Charge, Roaming

NO = Declined(refusal=Refusal(code=404, kind="peer-refused", message="no such transaction"))


async def record_of(roaming: Roaming, charge: Charge) -> DeliveryView:
    page = await roaming.local.operator.deliveries(transaction=charge.destination, operation="EndTransaction")
    (found,) = page.items
    return await roaming.local.operator.delivery(found.id)


async def refusal_of(roaming: Roaming, delivery_id: int) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await roaming.local.operator.replay(delivery_id)
    return caught.value.refusal.code, caught.value.refusal.kind


async def test_a_record_that_nobody_takes_is_pending_then_overdue_then_acknowledged(
    autojump_clock: object, roaming: Roaming
) -> None:
    operator, charge = roaming.local.operator, await roaming.running()
    roaming.back.down = True
    await roaming.station.stop(charge.number, 5_000)
    await trio.sleep(60)
    shown = await record_of(roaming, charge)
    assert (shown.peer, shown.status, shown.overdue, shown.error) == (HOME, "pending", False, "timeout")
    assert shown.attempts > 0 and shown.next_at is not None and shown.record is not None
    assert (shown.record.cdr.energy_wh, shown.record.acknowledged_at) == (4_000, None)
    assert (await operator.deliveries(overdue=True)).items == ()

    await trio.sleep(3_600)
    (late,) = (await operator.deliveries(overdue=True, peer=HOME)).items
    assert (late.id, late.overdue) == (shown.id, True)
    (totals,) = (await operator.delivery_totals()).items
    assert (totals.pms_identifier, totals.pending, totals.overdue, totals.ledger["overdue"]) == (HOME, 1, 1, 1)
    assert totals.oldest_overdue_at == shown.created_at

    roaming.back.down = False
    await roaming.settled(charge, within_s=1_000)
    done = await record_of(roaming, charge)
    assert (done.status, done.overdue, done.next_at) == ("done", False, None)
    assert done.record is not None and done.record.acknowledged_at is not None
    (totals,) = (await operator.delivery_totals()).items
    assert (totals.pending, totals.overdue, totals.oldest_overdue_at) == (0, 0, None)
    assert totals.ledger["acknowledged"] == 1 and totals.done == 2


async def test_a_replay_is_repeated_without_harm_and_never_makes_a_second_record(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    roaming.back.script = [NO]
    await roaming.station.stop(charge.number, 5_000)
    await trio.sleep(5)
    letter = await record_of(roaming, charge)
    assert letter.status == "parked"
    roaming.back.down = True
    for _ in range(3):
        assert (await roaming.local.operator.replay(letter.id)).status == "pending"
        await trio.sleep(1)
    roaming.back.down = False
    await roaming.settled(charge, within_s=1_000)
    assert await refusal_of(roaming, letter.id) == (409, "wrong-state")
    assert await refusal_of(roaming, 99) == (404, "unknown-delivery")
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000


async def test_a_replay_of_what_has_arrived_after_all_is_acknowledged_and_counts_once(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    await trio.sleep(1)
    roaming.back.reply_lost = [True]
    roaming.back.script = [None, NO]
    await roaming.station.stop(charge.number, 5_000)
    await trio.sleep(60)
    letter = await record_of(roaming, charge)
    assert letter.status == "parked", "it has arrived, and was refused when it was told again"
    await roaming.local.operator.replay(letter.id)
    await trio.sleep(60)
    assert (await record_of(roaming, charge)).status == "done"
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000
    assert sum(isinstance(request, EndTransaction) for request in roaming.back.sent) == 3


async def test_all_dead_letters_of_a_partner_go_again_as_many_as_are_asked_for(
    autojump_clock: object, roaming: Roaming
) -> None:
    operator, charges = roaming.local.operator, []
    for _ in range(2):
        charge = await roaming.running()
        roaming.back.script = [NO]
        await roaming.station.stop(charge.number, 5_000)
        await trio.sleep(5)
        charges.append(charge)
    assert await operator.replay_parked(HOME, "NotifyRequestResult", 9) == Replayed(replayed=0, left=0)
    once = await operator.replay_parked(HOME, "EndTransaction", 1)
    assert (once.replayed, once.left) == (1, 1)
    await roaming.settled(charges[0])
    rest = await operator.replay_parked(HOME, None, 9)
    assert (rest.replayed, rest.left) == (1, 0)
    await roaming.settled(charges[1])
    assert len((await roaming.cdrs())[0]) == 2
