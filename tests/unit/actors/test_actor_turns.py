"""One actor: bounded, one turn after the other, and deaf to what its askers do meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
import trio

from actors.actor import ASK_TIMEOUT_S, Actor, current_correlation_id
from actors.policies import Policy
from actors.quarantine import Quarantine
from actors.store import Store, run_inline
from actors.system import System
from statecharts.bounds import MAILBOX, Watermarks
from statecharts.vocabulary import Refused, refused
from tests.support.house import VirtualClock

POLICY = Policy(rest_after_s=60, reason="a minute is easily counted")
MARKS = Watermarks()


class Recorder(Actor):
    """Keeps what it was told; a callable is called, so that each test says what a turn does."""

    def __init__(self, key: str) -> None:
        super().__init__(key, VirtualClock(), MARKS)
        self.taken: list[Any] = []
        self.loads = 0
        self.until: datetime | None = None
        self.rests = False

    async def load(self) -> None:
        self.loads += 1

    async def turn(self, message: Any) -> Any:
        self.taken.append(message)
        return await message() if callable(message) else message

    async def due(self) -> None:
        self.until = None
        self.taken.append("due")

    def deadline(self) -> datetime | None:
        return self.until

    def may_rest(self) -> bool:
        return self.rests


def make_system(nursery: trio.Nursery, make: Callable[[str], Actor] = Recorder) -> System:
    store = Store("sqlite://", clock=VirtualClock(), run_sync=run_inline)
    system = System(nursery, VirtualClock(), Quarantine(store), Watermarks(), {"recorder": POLICY})
    system.factories["recorder"] = make
    return system


def recorder(system: System, name: str = "1") -> Recorder:
    found = system.actor(f"recorder/{name}")
    assert isinstance(found, Recorder)
    return found


async def test_an_asker_gets_the_answer_of_its_own_turn(autojump_clock: object, nursery: trio.Nursery) -> None:
    system = make_system(nursery)
    answers: list[Any] = []

    async def ask(number: int) -> None:
        answers.append((number, await system.ask("recorder/1", number)))

    async with trio.open_nursery() as askers:
        for number in range(5):
            askers.start_soon(ask, number)
    assert sorted(answers) == [(number, number) for number in range(5)]


async def test_turns_do_not_overlap(autojump_clock: object, nursery: trio.Nursery) -> None:
    system = make_system(nursery)
    inside, most = 0, 0

    async def busy() -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await trio.sleep(1)
        inside -= 1

    async with trio.open_nursery() as askers:
        for _ in range(5):
            askers.start_soon(system.ask, "recorder/1", busy)
    assert most == 1


async def test_a_full_mailbox_refuses_and_takes_again_once_there_is_room(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    actor = recorder(make_system(nursery))
    release = trio.Event()
    actor.tell(release.wait)
    await trio.sleep(0.1)
    for number in range(MAILBOX.limit):
        actor.tell(number)
    with pytest.raises(Refused) as refusal:
        await actor.ask("one too many")
    assert (refusal.value.refusal.code, refusal.value.refusal.kind) == (503, "busy")
    release.set()
    await trio.sleep(0.1)
    assert await actor.ask("room again") == "room again"
    assert actor.taken[1:-1] == list(range(MAILBOX.limit))
    assert (MAILBOX, MAILBOX.limit, MAILBOX.limit) in MARKS


async def test_an_asker_is_told_when_no_answer_comes_in_time_and_the_turn_goes_on(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    actor = recorder(make_system(nursery))
    done = trio.Event()

    async def slow() -> None:
        await trio.sleep(ASK_TIMEOUT_S + 10)
        done.set()

    began = trio.current_time()
    with pytest.raises(Refused) as refusal:
        await actor.ask(slow)
    assert refusal.value.refusal.kind == "no-answer"
    assert trio.current_time() - began == pytest.approx(ASK_TIMEOUT_S)
    await done.wait()
    assert await actor.ask("still alive") == "still alive"


async def test_an_asker_that_goes_away_cancels_no_turn(autojump_clock: object, nursery: trio.Nursery) -> None:
    actor = recorder(make_system(nursery))
    done = trio.Event()

    async def slow() -> None:
        await trio.sleep(5)
        done.set()

    with trio.move_on_after(1):
        await actor.ask(slow)
    assert not done.is_set()
    with trio.fail_after(10):
        await done.wait()


async def test_a_refusal_goes_to_its_asker_alone(autojump_clock: object, nursery: trio.Nursery) -> None:
    actor = recorder(make_system(nursery))

    async def refuse() -> None:
        raise refused(409, "no", "not now")

    actor.tell(refuse)
    with pytest.raises(Refused, match="not now"):
        await actor.ask(refuse)
    assert await actor.ask("next") == "next" and actor.loads == 1


async def test_a_turn_runs_under_its_senders_correlation_id_and_no_other(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    system = make_system(nursery)

    async def whose() -> str | None:
        return current_correlation_id()

    with structlog.contextvars.bound_contextvars(correlation_id="first"):
        assert await system.ask("recorder/1", whose) == "first"
    with structlog.contextvars.bound_contextvars(correlation_id="second"):
        assert await system.ask("recorder/1", whose) == "second"
    assert await system.ask("recorder/1", whose) is None


async def test_an_errand_runs_in_the_name_of_the_turn_that_sent_it(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    system = make_system(nursery)
    seen: list[str | None] = []

    async def errand() -> None:
        seen.append(current_correlation_id())

    async def turn() -> None:
        system.spawn(errand)

    with structlog.contextvars.bound_contextvars(correlation_id="the request"):
        await system.ask("recorder/1", turn)
    await trio.sleep(0.1)
    assert seen == ["the request"]


async def test_a_deadline_is_due_once_at_its_time_though_messages_come(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    actor = recorder(make_system(nursery))
    actor.until = actor.clock.now() + timedelta(seconds=100)
    for _ in range(9):
        await trio.sleep(11)
        await actor.ask("tick")
    assert "due" not in actor.taken
    await trio.sleep(2)
    assert actor.taken.count("due") == 1


async def test_a_deadline_that_cannot_be_kept_now_is_tried_again(autojump_clock: object, nursery: trio.Nursery) -> None:
    tries: list[float] = []

    class Forgetful(Recorder):
        async def due(self) -> None:
            tries.append(trio.current_time())
            if len(tries) < 3:
                raise refused(503, "store-unavailable", "disk full")
            self.until = None

    actor = recorder(make_system(nursery, Forgetful))
    actor.until = actor.clock.now() + timedelta(seconds=10)
    await actor.ask("look at your deadline")
    await trio.sleep(60)
    assert len(tries) == 3


async def test_an_actor_that_may_rest_leaves_memory_and_is_made_again(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    system = make_system(nursery)
    first = recorder(system)
    first.rests = True
    await first.ask("hello")
    await trio.sleep(POLICY.rest_after_s - 1)
    assert recorder(system) is first
    await trio.sleep(POLICY.rest_after_s + 1)
    assert list(system) == []
    assert await system.ask("recorder/1", "again") == "again"
    assert recorder(system) is not first


async def test_an_actor_that_may_not_rest_stays(autojump_clock: object, nursery: trio.Nursery) -> None:
    system = make_system(nursery)
    first = recorder(system)
    await trio.sleep(100 * POLICY.rest_after_s)
    assert recorder(system) is first
