"""Facts between operators: owed until acknowledged, put aside only when refused for good or after 30 days."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio

from actors.context import DeliverySettings
from actors.records import StoreUnavailable
from statecharts.vocabulary import (
    Declined,
    EndTransaction,
    NotifyRequestResult,
    PeerOutcome,
    Refusal,
    Refused,
    Unanswered,
)
from tests.support.roaming import HOME, Charge, Roaming, two_operators

DAY_S = 86_400
NO = Declined(refusal=Refusal(code=404, kind="peer-refused", message="no such transaction"))
LOST = Unanswered(cause="HTTP 503")


async def charged(roaming: Roaming) -> Charge:
    """A charge whose start is known to both, stopped at the station; its CDR is owed."""
    charge = await roaming.running()
    await trio.sleep(1)
    await roaming.station.stop(charge.number, 5_000)
    return charge


async def owed(roaming: Roaming) -> tuple[int, int]:
    """What the Destination owes: (pending, parked)."""
    (peer,) = (await roaming.local.operator.peers()).items
    return peer.pending_deliveries, peer.parked_deliveries


async def test_a_charge_record_goes_until_it_is_acknowledged(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        roaming.back.down = True
        await roaming.station.stop(charge.number, 5_000)
        await trio.sleep(7 * DAY_S)
        assert await owed(roaming) == (1, 0)
        times = roaming.back.times_of(EndTransaction)
        assert len(times) > 7 * DAY_S / 1_000
        roaming.back.down = False
        await roaming.settled(charge, within_s=1_000)
        assert (await roaming.same_cdr(charge)).energy_wh == 4_000
        assert await owed(roaming) == (0, 0)


async def test_attempts_back_off_up_to_the_cap(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        roaming.back.script = [LOST] * 14
        await roaming.station.stop(charge.number, 5_000)
        await trio.sleep(DAY_S)
        times = roaming.back.times_of(EndTransaction)
        pauses = [round(later - earlier) for earlier, later in pairwise(times)]
        assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900]


async def test_what_is_owed_survives_a_restart(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.start_asked()
        roaming.back.down = True
        answer = await roaming.station.start(charge.name)
        await roaming.station.stop(answer.transaction_id, 5_000)
        await trio.sleep(2)
        await roaming.down_time(roaming.local, 600)
        roaming.back.down = False
        await roaming.settled(charge)
        assert (await roaming.same_cdr(charge)).energy_wh == 4_000
        (operation,) = (await roaming.view(charge)).operations
        assert operation.status == "succeeded"


@pytest.mark.parametrize(
    ("outcomes", "attempts", "parked"),
    [
        ([], 1, False),
        ([LOST], 2, False),
        ([Unanswered(cause="HTTP 401", alarm=True), Unanswered(cause="HTTP 403", alarm=True)], 3, False),
        ([NO], 1, True),
        ([LOST, NO], 2, True),
    ],
)
async def test_done_retried_or_parked_as_the_peer_answered(
    outcomes: list[PeerOutcome | None], attempts: int, parked: bool, autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        roaming.back.script = list(outcomes)
        await roaming.station.stop(charge.number, 5_000)
        await trio.sleep(600)
        assert len(roaming.back.of(EndTransaction)) == attempts
        assert await owed(roaming) == (0, int(parked))
        state = (await roaming.local.data(charge.destination)).state
        assert state == ("TxFinished" if parked else "Settled")


async def test_credentials_that_are_not_taken_raise_an_alarm(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        roaming.back.script = [Unanswered(cause="HTTP 401", alarm=True)]
        await roaming.station.stop(charge.number, 5_000)
        await trio.sleep(0.5)
        assert (await roaming.local.data(f"peer/{HOME}")).alarm == "HTTP 401"
        await roaming.settled(charge)
        assert (await roaming.local.data(f"peer/{HOME}")).alarm is None


async def test_a_parked_charge_record_is_shown_and_can_be_sent_again_by_the_operator(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        roaming.back.script = [NO]
        await roaming.station.stop(charge.number, 5_000)
        await trio.sleep(5)
        (letter,) = (await roaming.local.operator.deliveries(status="parked", peer=HOME)).items
        assert (letter.operation, letter.transaction) == ("EndTransaction", charge.destination)
        assert letter.error == "404: no such transaction"
        (_, (made,)) = await roaming.cdrs()
        assert made.status == "parked"

        await roaming.local.operator.replay(letter.id)
        await roaming.settled(charge)
        assert (await roaming.local.operator.deliveries(status="parked", peer=HOME)).items == ()
        assert (await roaming.same_cdr(charge)).energy_wh == 4_000
        with pytest.raises(Refused) as caught:
            await roaming.local.operator.replay(letter.id)
        assert caught.value.refusal.code == 409


async def test_after_thirty_days_it_is_parked_and_never_deleted(autojump_clock: object, nursery: trio.Nursery) -> None:
    quick = DeliverySettings(retry_cap_s=DAY_S / 2)
    async with two_operators(nursery, delivery=quick) as roaming:
        charge = await roaming.running()
        roaming.back.down = True
        await roaming.station.stop(charge.number, 5_000)
        await trio.sleep(29 * DAY_S)
        assert await owed(roaming) == (1, 0)
        await trio.sleep(2 * DAY_S)
        assert await owed(roaming) == (0, 1)
        tried = len(roaming.back.sent)
        await trio.sleep(30 * DAY_S)
        assert len(roaming.back.sent) == tried
        (letter,) = (await roaming.local.operator.deliveries(status="parked", peer=HOME)).items
        assert letter.error.startswith("undelivered for too long")

        roaming.back.down = False
        await roaming.local.operator.replay(letter.id)
        await roaming.settled(charge)
        assert (await roaming.same_cdr(charge)).energy_wh == 4_000


# -- the order of results and charge records ---------------------------------------------------------------------------


async def test_a_charge_record_waits_for_the_results_before_it(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.start_asked()
        roaming.back.script = [LOST, LOST, LOST]
        answer = await roaming.station.start(charge.name)
        await roaming.station.stop(answer.transaction_id, 5_000)
        await roaming.settled(charge)
        assert [type(request) for request in roaming.back.sent] == [NotifyRequestResult] * 4 + [EndTransaction]


async def test_a_refused_result_does_not_hold_back_the_charge_record(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.start_asked()
        roaming.back.script = [NO]
        answer = await roaming.station.start(charge.name)
        await roaming.station.stop(answer.transaction_id, 5_000)
        ended_at = trio.current_time()
        await roaming.settled(charge)
        assert roaming.back.times_of(EndTransaction)[0] - ended_at < 1
        assert await owed(roaming) == (0, 1)
        assert (await roaming.same_cdr(charge)).energy_wh == 4_000


class DeafToResults:
    """A peer that never answers a notifyRequestResult."""

    def __init__(self, roaming: Roaming) -> None:
        self.inner = roaming.back
        self.ends_at: list[float] = []

    async def call(self, request: object, timeout_s: float) -> PeerOutcome:
        if isinstance(request, NotifyRequestResult):
            return LOST
        self.ends_at.append(trio.current_time())
        return await self.inner.call(request, timeout_s)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def test_a_result_that_is_never_taken_holds_back_the_charge_record_for_a_minute(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        deaf = roaming.local.sources[HOME] = DeafToResults(roaming)
        charge = await roaming.start_asked()
        started_at = trio.current_time()
        answer = await roaming.station.start(charge.name)
        await trio.sleep(1)
        await roaming.station.stop(answer.transaction_id, 5_000)
        await roaming.settled(charge)
        assert round(deaf.ends_at[0] - started_at) == 60
        assert (await roaming.same_cdr(charge)).energy_wh == 4_000


async def test_of_several_results_the_youngest_has_its_minute(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        roaming.local.sources[HOME] = deaf = DeafToResults(roaming)
        await roaming.stop_asked(charge)
        await trio.sleep(130)
        await roaming.home.until(charge.source, "TxRunning")
        await roaming.stop_asked(charge)
        await trio.sleep(1)
        stopped_at = trio.current_time()
        await roaming.station.stop(charge.number, 5_000, reason="Remote")
        await roaming.settled(charge)
        assert round(deaf.ends_at[0] - stopped_at) == 60


# -- trouble of our own ------------------------------------------------------------------------------------------------


async def test_while_our_store_is_away_the_peer_is_not_called_again_and_again(
    autojump_clock: object, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        away_until = trio.current_time() + 30
        write = type(roaming.local.journal.store).write

        async def full(store: object, *args: object) -> object:
            if store is roaming.local.journal.store and trio.current_time() < away_until:
                raise StoreUnavailable("disk full")
            return await write(store, *args)

        roaming.back.script = [LOST] * 200
        await roaming.station.stop(charge.number, 5_000)
        monkeypatch.setattr(type(roaming.local.journal.store), "write", full)
        await trio.sleep(29)
        assert len(roaming.back.of(EndTransaction)) < 35
        roaming.back.script = []
        await roaming.settled(charge)
        assert (await roaming.same_cdr(charge)).energy_wh == 4_000
