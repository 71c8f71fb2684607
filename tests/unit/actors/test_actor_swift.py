"""Turns that do without the actor's task: nothing overtakes them, and they end like any other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import trio
import trio.testing

from actors.actor import Envelope, Reply
from statecharts.vocabulary import Refused
from tests.unit.actors.test_actor_turns import POLICY, Recorder, make_system


class Swift(Recorder):
    """Takes a number without its task, and answers it when the test says so."""

    begun: Reply[Any] | None = None

    def promise(self, message: Any) -> Reply[Any]:
        if not (isinstance(message, int) and self.is_idle):
            return super().promise(message)
        self.begun = Reply[Any]()
        self.take_up(Envelope(message, self.begun))
        return self.begun

    def end(self, answer: Any) -> None:
        assert self.begun is not None
        self.taken.append(answer)
        self.begun.set(answer)
        self.finish()


@pytest.fixture
async def swift(nursery: trio.Nursery) -> Swift:
    found = make_system(nursery, Swift).actor("recorder/1")
    assert isinstance(found, Swift)
    await found.ready.wait()
    await trio.testing.wait_all_tasks_blocked()
    return found


async def test_it_is_taken_at_once_and_its_task_sleeps_on(autojump_clock: object, swift: Swift) -> None:
    assert swift.is_idle
    promise = swift.promise(1)
    assert swift.in_hand is not None and not promise.settled
    swift.end(1)
    assert (promise.result(), swift.in_hand, swift.is_idle) == (1, None, True)


async def test_what_comes_meanwhile_waits_and_is_taken_in_its_order(autojump_clock: object, swift: Swift) -> None:
    swift.promise(1)
    later = [swift.promise(message) for message in (2, "three")]
    await trio.sleep(5)
    assert (swift.taken, swift.waiting) == ([], 2)
    swift.end(1)
    assert [await each.wait() for each in later] == [2, "three"]
    assert swift.taken == [1, 2, "three"]


async def test_what_it_fails_with_ends_that_life_of_the_actor_and_its_asker_is_told(
    autojump_clock: object, swift: Swift
) -> None:
    promise, waiting = swift.promise(1), swift.promise("later")
    swift.finish(RuntimeError("a defect of ours"))
    with pytest.raises(Refused, match="internal error"):
        await promise.wait()
    assert await waiting.wait() == "later"
    assert (swift.loads, swift.taken) == (2, ["later"])


@pytest.mark.parametrize("fails_late", [False, True])
async def test_a_failure_is_noticed_also_by_a_task_that_woke_meanwhile(
    autojump_clock: object, swift: Swift, fails_late: bool
) -> None:
    swift.until = swift.clock.now() + timedelta(seconds=2)
    await swift.ask("so that it waits for its deadline")
    swift.promise(1)
    await trio.sleep(3 if fails_late else 1)
    swift.finish(RuntimeError("a defect of ours"))
    await trio.sleep(5)
    assert (swift.loads, swift.taken) == (2, ["so that it waits for its deadline", "due"])


async def test_a_deadline_that_passes_meanwhile_waits_for_its_end(autojump_clock: object, swift: Swift) -> None:
    swift.until = swift.clock.now() + timedelta(seconds=2)
    await swift.ask("so that it waits for its deadline")
    swift.promise(1)
    await trio.sleep(3)
    assert swift.taken[1:] == []
    swift.end(1)
    await trio.sleep(0.1)
    assert swift.taken[1:] == [1, "due"]


@pytest.mark.parametrize("before_s", [1.0, 50.0])
async def test_a_deadline_that_it_sets_is_kept(autojump_clock: object, swift: Swift, before_s: float) -> None:
    swift.until = swift.clock.now() + timedelta(seconds=100)
    await swift.ask("so that it waits for its deadline")
    swift.promise(1)
    swift.until = swift.clock.now() + timedelta(seconds=before_s)
    swift.end(1)
    await trio.sleep(before_s + 0.1)
    assert swift.taken[1:] == [1, "due"]


async def test_an_actor_rests_only_so_long_after_its_last_one(autojump_clock: object, swift: Swift) -> None:
    swift.rests = True
    await swift.ask("so that it may rest")
    for number in range(4):
        await trio.sleep(POLICY.rest_after_s * 0.7)
        swift.promise(number)
        swift.end(number)
    swift.promise(4)
    await trio.sleep(POLICY.rest_after_s * 3)
    swift.end(4)
    assert (swift.loads, swift.taken[1:]) == (1, [0, 1, 2, 3, 4])
    await trio.sleep(POLICY.rest_after_s * 3)
    with pytest.raises(RuntimeError, match="has left memory"):
        swift.promise("somebody")
