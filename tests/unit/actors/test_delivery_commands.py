"""Commands between operators: sent again with the same name until their deadline, and never after."""

from __future__ import annotations

import pytest
import trio

from actors.records import StoreUnavailable
from statecharts.station_commands import RemoteStartTransaction, RemoteStopTransaction
from statecharts.vocabulary import (
    Authorize,
    Declined,
    Refusal,
    Refused,
    RequestStartTransaction,
    RequestStopTransaction,
    Unanswered,
)
from tests.support.roaming import LOCAL, two_operators

START_S, STOP_S = 210, 180
NO = Declined(refusal=Refusal(code=409, kind="connector-busy", message="the connector is busy"))


async def test_a_start_is_sent_again_with_the_same_name_until_its_deadline_and_never_after(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.ready()
        roaming.there.down = True
        asked_at = trio.current_time()
        await roaming.start(charge)
        await trio.sleep(86_400)
        times = roaming.there.times_of(RequestStartTransaction)
        assert len(times) > 4
        assert times[-1] < asked_at + START_S
        assert len({request.request_identifier for request in roaming.there.of(RequestStartTransaction)}) == 1
        view = await roaming.view(charge)
        assert view.state == "Expired"
        assert "outcome unknown" in (view.operations[0].cause or "")


async def test_a_stop_is_sent_again_with_the_same_name_until_its_deadline_and_never_after(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.running()
        roaming.there.down = True
        asked_at = trio.current_time()
        await roaming.stop(charge)
        await trio.sleep(3_600)
        times = roaming.there.times_of(RequestStopTransaction)
        assert len(times) > 4
        assert times[-1] < asked_at + STOP_S
        assert len({request.request_identifier for request in roaming.there.of(RequestStopTransaction)}) == 1
        view = await roaming.view(charge)
        assert view.state == "TxRunning"
        assert "outcome unknown" in (view.cause or "")


async def test_commands_whose_time_is_over_are_not_counted_as_owed(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.ready()
        roaming.there.down = True
        await roaming.start(charge)
        await trio.sleep(60)
        (owing,) = (await roaming.home.operator.peers()).items
        assert owing.pending_deliveries == 1
        await trio.sleep(START_S)
        (lapsed,) = (await roaming.home.operator.peers()).items
        assert (lapsed.pending_deliveries, lapsed.parked_deliveries) == (0, 0)


async def test_a_command_whose_time_passed_while_the_node_was_away_is_never_sent(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.ready()
        roaming.there.down = True
        await roaming.start(charge)
        await trio.sleep(5)
        before = len(roaming.there.sent)
        await roaming.down_time(roaming.home, START_S)
        roaming.there.down = False
        await trio.sleep(600)
        assert len(roaming.there.sent) == before
        assert not roaming.station.commands
        (owing,) = (await roaming.home.operator.peers()).items
        assert owing.pending_deliveries == 0


async def test_a_restart_goes_on_with_the_same_command(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.ready()
        roaming.there.down = True
        await roaming.start(charge)
        await trio.sleep(5)
        await roaming.down_time(roaming.home, 30)
        roaming.there.down = False
        await roaming.local.until(charge.destination, "StartTxRequested")
        assert len({request.request_identifier for request in roaming.there.of(RequestStartTransaction)}) == 1
        assert len(roaming.station.commands) == 1


@pytest.mark.parametrize("restart", [False, True])
async def test_an_authorize_is_sent_once_and_never_again(
    restart: bool, autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        roaming.there.down = True
        with pytest.raises(Refused) as caught:
            await roaming.home.authorize(LOCAL)
        assert caught.value.refusal.code == 504
        if restart:
            await roaming.home.restart(nursery)
        roaming.there.down = False
        await trio.sleep(3_600)
        assert len(roaming.there.of(Authorize)) == 1


async def test_replies_that_are_lost_repeat_the_command_and_not_what_it_does(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.ready()
        roaming.there.reply_lost = [True, True]
        charge = await roaming.running(await roaming.start_asked(charge))
        await trio.sleep(10)
        roaming.there.reply_lost = [True, True]
        await roaming.stop_asked(charge)
        await trio.sleep(10)
        await roaming.station.stop(charge.number, 3_000, reason="Remote")
        await roaming.settled(charge)
        kinds = [type(command) for command in roaming.station.commands]
        assert kinds == [RemoteStartTransaction, RemoteStopTransaction]
        assert len(roaming.there.of(RequestStartTransaction)) == len(roaming.there.of(RequestStopTransaction)) == 3


async def test_a_refusal_for_good_ends_the_command_with_its_cause(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.ready()
        roaming.there.script = [NO]
        await roaming.start(charge)
        await trio.sleep(600)
        assert len(roaming.there.of(RequestStartTransaction)) == 1
        view = await roaming.view(charge)
        assert (view.state, view.cause) == ("Ready", "the connector is busy")
        assert (view.operations[0].status, view.operations[0].cause) == ("failed", "the connector is busy")


async def test_an_unknown_outcome_is_no_failure(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.ready()
        roaming.there.script = [Unanswered(cause="HTTP 502"), Unanswered(cause="HTTP 401", alarm=True)]
        await roaming.start(charge)
        await trio.sleep(0.5)
        assert (await roaming.view(charge)).state == "StartTxRequested"
        await roaming.local.until(charge.destination, "StartTxRequested")
        assert len(roaming.there.of(RequestStartTransaction)) == 3


async def test_a_stop_does_not_wait_for_the_answer_to_a_start_that_is_known_to_have_succeeded(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery) as roaming:
        charge = await roaming.ready()
        roaming.there.reply_lost = [True] * 5
        charge = await roaming.running(await roaming.start_asked(charge))
        await trio.sleep(20)
        roaming.there.reply_lost = []
        await roaming.stop(charge)
        with trio.fail_after(1):
            await roaming.local.until(charge.destination, "StopTxRequested")


async def test_a_store_that_is_away_when_one_command_lapses_delays_no_other(
    autojump_clock: object, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_operators(nursery) as roaming:
        first, second = await roaming.ready("1"), await roaming.ready("2")
        roaming.there.script = [Unanswered(cause="HTTP 503")] * 100
        begun = trio.current_time()
        write = type(roaming.home.journal.store).write

        async def away(store: object, *args: object) -> object:
            if store is roaming.home.journal.store and abs(trio.current_time() - begun - START_S) < 2:
                raise StoreUnavailable("the server is restarting")
            return await write(store, *args)

        monkeypatch.setattr(type(roaming.home.journal.store), "write", away)
        await roaming.start(first)
        await trio.sleep(150)
        await roaming.start(second)
        await trio.sleep(START_S)
        times = roaming.there.times_of(RequestStartTransaction)
        assert [at for at in times if at > begun + START_S + 5]
