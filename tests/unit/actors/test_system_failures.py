"""Actors that fail: rebuilt from the journal, told apart from their neighbours, put aside when it does not end."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
import trio

from actors.actor import RETRY_S
from actors.policies import TRANSACTION as POLICY
from actors.records import Append, Appended, StoreUnavailable
from actors.transaction import TransactionActor
from statecharts.charging import MeterRead, StopAsked
from statecharts.chart import ContractBroken
from statecharts.ports import CdrView
from statecharts.station_reports import BootNotification, ConnectorStatus, Heartbeat, StopTransaction
from statecharts.vocabulary import EndTransaction, Refused
from tests.support.books import CARD, STRANGER, actor, book, going_on, local, locals_of, orphans
from tests.support.crashes import write_by
from tests.support.house import House, StationLine
from tests.support.roaming import Roaming


class Disk:
    """The journal of a house, which can be made to fail. `written` counts what went through."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.written = 0
        self._append, self._history = house.journal.append, house.journal.history
        write_by(self.append, house.journal, monkeypatch)
        monkeypatch.setattr(house.journal, "history", self.history)

    async def append(self, append: Append) -> Appended:
        self.check()
        self.written += 1
        return await self._append(append)

    async def history(self, stream: str, form: str | None) -> Any:
        self.check()
        return await self._history(stream, form)

    def check(self) -> None:
        if self.full:
            raise StoreUnavailable("no space left on device")


def breaks(house: House, key: str, monkeypatch: pytest.MonkeyPatch, when: type = object) -> TransactionActor[Any]:
    """Makes this transaction fail on every event of a type, and returns it."""
    found = house.context.system.actor(key)
    assert isinstance(found, TransactionActor)
    turn = found.turn

    async def break_down(message: Any) -> Any:
        if isinstance(message, when):
            raise RuntimeError("a defect of ours")
        return await turn(message)

    monkeypatch.setattr(found, "turn", break_down)
    monkeypatch.setattr(found, "_read", lambda _: None)
    return found


def quarantined(house: House) -> set[str]:
    return house.context.system.quarantined


async def ask_to_stop(house: House, number: int) -> str:
    """Asks for something that needs a turn, and says how it was refused."""
    with pytest.raises(Refused) as refusal:
        await house.context.system.ask(f"local/{number}", StopAsked(at=house.clock.now()))
    return refusal.value.refusal.kind


# -- failing -----------------------------------------------------------------------------------------------------------


async def test_a_failing_actor_is_rebuilt_from_its_journal_and_its_neighbours_notice_nothing(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = [(await line.start(CARD, connector_id=c)).transaction_id for c in (1, 2)]
    before = await local(line, broken)
    failing = breaks(line.house, f"local/{broken}", monkeypatch, StopAsked)
    neighbour = await local(line, sound)
    failing.data = failing.kind.form.blank.data
    assert await ask_to_stop(line.house, broken) == "internal-error"
    assert await local(line, broken) == before
    assert await local(line, sound) == neighbour
    assert await line.say(Heartbeat())


async def test_an_actor_that_fails_again_and_again_is_put_aside_with_the_message_that_broke_it(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = [(await line.start(CARD, connector_id=c)).transaction_id for c in (1, 2)]
    breaks(line.house, f"local/{broken}", monkeypatch, StopAsked)
    kinds = [await ask_to_stop(line.house, broken) for _ in range(POLICY.restarts + 2)]
    assert kinds == ["internal-error"] * (POLICY.restarts + 1) + ["quarantined"]
    await trio.sleep(1)
    (case,) = await line.house.context.system.quarantine.cases()
    assert (case.actor, case.message_type) == (f"local/{broken}", "StopAsked")
    assert (await local(line, sound)).state == "TxRunning"


async def test_failures_that_are_far_apart_never_add_up(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    breaks(line.house, f"local/{number}", monkeypatch, StopAsked)
    for _ in range(POLICY.restarts + 2):
        assert await ask_to_stop(line.house, number) == "internal-error"
        await trio.sleep(POLICY.within_s / POLICY.restarts + 1)
    assert quarantined(line.house) == set()


async def test_whoever_waits_for_an_actor_that_is_put_aside_is_told(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    breaks(line.house, f"local/{number}", monkeypatch, StopAsked)
    kinds: list[str] = []

    async def ask() -> None:
        kinds.append(await ask_to_stop(line.house, number))

    async with trio.open_nursery() as askers:
        for _ in range(2 * POLICY.restarts):
            askers.start_soon(ask)
    assert sorted(kinds) == ["internal-error"] * (POLICY.restarts + 1) + ["quarantined"] * (POLICY.restarts - 1)


async def test_a_broken_transaction_takes_nothing_from_its_station(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = (await line.start(CARD)).transaction_id
    breaks(line.house, f"local/{broken}", monkeypatch)
    await line.say(BootNotification(vendor="V", model="M"))
    await line.meter(broken, 2_000)
    await line.stop(broken, 3_000)
    assert [orphan.kind for orphan in await orphans(line)] == ["StopTransaction", "MeterValues"]
    assert await going_on(line) == []
    number = (await line.start(STRANGER)).transaction_id
    assert (await local(line, number)).state == "TxRunning"


async def test_a_start_for_a_broken_authorisation_is_recorded_as_local_and_not_accepted(
    autojump_clock: object, roaming: Roaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge = await roaming.start_asked()
    breaks(roaming.local, charge.destination, monkeypatch)
    answer = await roaming.station.start(charge.name)
    assert answer.id_tag_info.status == "Invalid"
    await roaming.station.stop(answer.transaction_id, 4_000)
    (kept,) = await locals_of(roaming.local)
    assert (kept.state, kept.energy_wh) == ("Settled", 3_000)


async def test_a_broken_contract_stops_the_actor_before_anything_is_written(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    disk = Disk(line.house, monkeypatch)
    before = await local(line, number)
    naive = MeterRead(at=line.house.clock.now().replace(tzinfo=None), timestamp=line.house.clock.now(), meter_wh=2_000)
    with pytest.raises(ContractBroken):
        before_kind = line.house.context.system.actor(f"local/{number}")
        assert isinstance(before_kind, TransactionActor)
        before_kind.kind.chart.step(before, naive)
    with pytest.raises(Refused) as refusal:
        await line.house.context.system.ask(f"local/{number}", naive)
    assert refusal.value.refusal.code == 500
    assert disk.written == 0 and await local(line, number) == before


# -- the store is away -------------------------------------------------------------------------------------------------


async def test_a_full_disk_refuses_and_changes_nothing_until_there_is_room(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(line.house, monkeypatch)
    at = line.house.clock.now()
    disk.full = True
    for _ in range(2 * POLICY.restarts):
        with pytest.raises(Refused) as refusal:
            await line.start(CARD, at=at)
        assert (refusal.value.refusal.code, refusal.value.refusal.kind) == (503, "store-unavailable")
        assert "space" not in refusal.value.refusal.message
    assert actor(line).data.charges == {}
    disk.full = False
    answer = await line.start(CARD, at=at)
    assert list(await book(line)) == [answer.transaction_id] and quarantined(line.house) == set()


async def test_a_stop_during_an_outage_is_refused_and_counts_once_when_it_comes_again(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    disk = Disk(line.house, monkeypatch)
    at = line.house.clock.now()
    disk.full = True
    with pytest.raises(Refused):
        await line.stop(number, 3_000, at=at)
    disk.full = False
    assert (await local(line, number)).state == "TxRunning"
    await line.stop(number, 3_000, at=at)
    data = await local(line, number)
    assert (data.charge.energy_wh, data.corrections) == (2_000, 0) and await orphans(line) == ()


async def test_a_station_that_came_and_went_while_the_store_was_away_leaves_no_trace(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await line.go_offline()
    disk, again = Disk(line.house, monkeypatch), StationLine(line.house, line.identity)
    await trio.sleep(1)
    seq = actor(line).seq
    disk.full = True
    with pytest.raises(Refused):
        await again.come_online(boot=False)
    disk.full = False
    await again.go_offline()
    await trio.sleep(1)
    facts = await line.house.journal.load(f"station/{line.identity}")
    assert [fact.type for fact in facts if fact.seq > seq] == []


async def test_a_status_that_could_not_be_kept_is_kept_when_the_store_is_back_for_no_station_says_it_again(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(line.house, monkeypatch)
    await line.status(1, ConnectorStatus.UNAVAILABLE)
    disk.full = True
    for status in (ConnectorStatus.FAULTED, ConnectorStatus.AVAILABLE):
        with pytest.raises(Refused):
            await line.status(1, status)
    await trio.sleep(60)
    disk.full = False
    assert actor(line).data.evse(1).state == ConnectorStatus.UNAVAILABLE
    await trio.sleep(2)
    assert actor(line).data.evse(1).state == ConnectorStatus.AVAILABLE
    written = disk.written
    await trio.sleep(60)
    assert disk.written == written


async def test_a_node_that_starts_while_the_store_is_away_goes_on_once_it_is_back(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    disk = Disk(line.house, monkeypatch)
    disk.full = True
    await line.house.restart(nursery)
    await trio.sleep(3 * POLICY.within_s)
    disk.full = False
    await trio.sleep(5)
    again = StationLine(line.house, "CS01")
    await again.come_online(boot=False)
    await again.stop(number, 3_000)
    assert (await local(again, number)).state == "Settled" and quarantined(line.house) == set()


async def test_whoever_asks_an_actor_that_cannot_load_is_refused_at_once_and_what_it_was_told_waits(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    key = actor(line).data.charges[number].transaction
    disk = Disk(line.house, monkeypatch)
    disk.full = True
    await line.house.restart(nursery)
    system, now = line.house.context.system, line.house.clock.now()
    for _ in range(3):
        asked_at = trio.current_time()
        with pytest.raises(Refused) as refusal:
            await system.ask(key, StopAsked(at=now))
        assert refusal.value.refusal.kind == "store-unavailable" and trio.current_time() - asked_at <= RETRY_S
    system.tell(key, StopAsked(at=now))
    assert await system.drain(RETRY_S) is False, "what it was told is kept"
    disk.full = False
    await line.house.until(key, "StopTxRequested", within_s=5)


async def test_questions_during_an_outage_leave_no_actors_behind_that_wait_for_the_store(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, now = line.house.context.system, line.house.clock.now()
    disk = Disk(line.house, monkeypatch)
    disk.full = True
    for number in range(100):
        with pytest.raises(Refused, match="no space left"):
            await system.ask(f"local/{number}", StopAsked(at=now))
    await trio.sleep(RETRY_S)
    assert not [each.key for each in system if each.key.startswith("local/")]


async def test_a_grant_that_comes_while_the_store_is_away_counts_once_it_is_back(
    autojump_clock: object, roaming: Roaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, there = Disk(roaming.home, monkeypatch), roaming.home.destinations[roaming.local.name]
    call = there.call

    async def granted_as_the_disk_fills_up(*args: Any) -> Any:
        outcome = await call(*args)
        disk.full = True
        return outcome

    monkeypatch.setattr(there, "call", granted_as_the_disk_fills_up)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(roaming.ready)
        await trio.sleep(5)
        assert disk.full
        disk.full = False
        await trio.sleep(2 * RETRY_S)
        assert [view.state for view in (await roaming.home.context.ledger.transactions(limit=5)).items] == ["Ready"]


async def test_a_deadline_that_passes_while_the_store_is_away_is_kept_afterwards(
    autojump_clock: object, roaming: Roaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge = await roaming.start_asked()
    disk = Disk(roaming.local, monkeypatch)
    disk.full = True
    await trio.sleep(600)
    assert (await roaming.local.data(charge.destination)).state == "StartTxRequested"
    disk.full = False
    await roaming.local.until(charge.destination, "Ready", within_s=5)


# -- rest and return ---------------------------------------------------------------------------------------------------


async def test_a_final_transaction_leaves_memory_and_is_rebuilt_as_it_was(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    await roaming.station.stop(charge.number, 3_000)
    await roaming.settled(charge)
    before = await roaming.local.data(charge.destination)
    await trio.sleep(POLICY.rest_after_s + 1)
    assert charge.destination not in {each.key for each in roaming.local.context.system}
    assert await roaming.local.data(charge.destination) == before
    await roaming.station.meter(charge.number, 9_000)
    assert (await roaming.local.data(charge.destination)).corrections == 1


async def test_deadlines_survive_a_restart(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.start_asked()
    await trio.sleep(100)
    await roaming.down_time(roaming.local, 10)
    await trio.sleep(30)
    assert (await roaming.local.data(charge.destination)).state == "StartTxRequested"
    await trio.sleep(15)
    assert (await roaming.local.data(charge.destination)).state == "Ready"


async def test_a_deadline_that_passed_while_the_node_was_down_is_due_at_once(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked()
    await roaming.down_time(roaming.local, 500)
    await roaming.local.until(charge.destination, "Ready", within_s=2)


async def test_the_correlation_id_of_a_request_goes_to_the_other_operator_and_into_the_journal(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.ready()
    with structlog.contextvars.bound_contextvars(correlation_id="the app's start"):
        await roaming.start(charge)
    await roaming.local.until(charge.destination, "StartTxRequested")
    facts = await roaming.local.journal.load(charge.destination)
    assert b"the app's start" in facts[1].data
    answer = await roaming.station.start(charge.name)
    await roaming.station.stop(answer.transaction_id, 2_000)
    await roaming.settled(charge)
    assert len(roaming.back.of(EndTransaction)) == 1
    cdr: CdrView = await roaming.same_cdr(charge)
    assert cdr.energy_wh == 1_000


async def test_a_stop_that_was_kept_for_a_broken_transaction_says_all_that_the_station_said(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    breaks(line.house, f"local/{number}", monkeypatch)
    stop = StopTransaction(transaction_id=number, meter_stop_wh=3_000, timestamp=line.house.clock.now(), id_tag=CARD)
    for _ in range(3):
        await line.say(stop)
    (orphan,) = await orphans(line)
    assert (orphan.station, orphan.kind) == ("CS01", "StopTransaction")
