"""What every store promises of first answers: kept for their time, over a restart, never too many."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from actors import answers as room
from actors.answers import Answers, open_answers
from actors.journal import Journal
from actors.records import StoreUnavailable, StreamCorrupt
from statecharts.bounds import ANSWERS_KEPT, ANSWERS_WAITING, Watermarks
from statecharts.doors import FirstAnswer
from statecharts.limits import ANSWERS_WRITTEN
from tests.contracts.conftest import Backend
from tests.contracts.samples import StoppedClock, execute

KEPT_S = 3_600
CREATED = FirstAnswer(request=b"\0\1", status=201, headers={"Location": "/x"}, body=b'{"a":1}')


@pytest.fixture
def answers(journal: Journal) -> Answers:
    """Answers that are written and swept only when a test says so."""
    return Answers(journal.store, KEPT_S, Watermarks())


async def test_an_answer_is_known_at_once_and_comes_back_as_it_was(answers: Answers) -> None:
    answers.keep("app", "start/1", CREATED)
    assert await answers.find("app", "start/1") == CREATED
    await answers.flush()
    assert await answers.find("app", "start/1") == CREATED


async def test_a_key_is_an_apps_own(answers: Answers) -> None:
    answers.keep("app", "start/1", CREATED)
    await answers.flush()
    assert await answers.find("other", "start/1") is None
    assert await answers.find("app", "stop/1") is None


async def test_what_was_written_outlives_the_node(backend: Backend, tmp_path: Path) -> None:
    if not backend.durable:
        pytest.skip("what is in memory is gone with it")
    async with (
        backend.open(tmp_path) as journal,
        open_answers(journal.store, kept_s=KEPT_S, watermarks=Watermarks()) as answers,
    ):
        answers.keep("app", "start/1", CREATED)  # the end of the block writes it
    async with backend.open(tmp_path) as journal:
        assert await Answers(journal.store, KEPT_S, Watermarks()).find("app", "start/1") == CREATED


async def test_an_answer_is_written_soon_without_being_asked_for(journal: Journal) -> None:
    async with open_answers(journal.store, kept_s=KEPT_S, watermarks=Watermarks()) as answers:
        answers.keep("app", "start/1", CREATED)
        with trio.fail_after(5):
            while await Answers(journal.store, KEPT_S, Watermarks()).find("app", "start/1") is None:  # noqa: ASYNC110
                await trio.sleep(0.05)


async def test_an_answer_is_given_for_its_time_and_then_swept(answers: Answers, clock: StoppedClock) -> None:
    for number in range(3):
        answers.keep("app", f"start/{number}", CREATED)
    await answers.flush()
    clock.time += timedelta(seconds=KEPT_S - 1)
    assert await answers.find("app", "start/1") == CREATED
    assert await answers.sweep() == 0
    clock.time += timedelta(seconds=1)
    assert await answers.find("app", "start/1") is None
    assert await answers.sweep() == 3


async def test_a_key_whose_answer_has_expired_may_have_a_new_one(answers: Answers, clock: StoppedClock) -> None:
    answers.keep("app", "start/1", CREATED)
    await answers.flush()
    clock.time += timedelta(seconds=KEPT_S)
    newer = msgspec.structs.replace(CREATED, status=409)
    answers.keep("app", "start/1", newer)
    await answers.flush()
    assert await answers.find("app", "start/1") == newer


async def test_the_oldest_leave_when_there_are_too_many(
    answers: Answers, clock: StoppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "ANSWERS_KEPT", msgspec.structs.replace(ANSWERS_KEPT, limit=2))
    for number in range(5):
        answers.keep("app", f"start/{number}", CREATED)
        clock.time += timedelta(seconds=1)
    await answers.flush()
    assert await answers.sweep() == 3
    found = [await answers.find("app", f"start/{number}") is not None for number in range(5)]
    assert found == [False, False, False, True, True]


async def test_what_cannot_wait_is_not_kept(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ANSWERS_WAITING", msgspec.structs.replace(ANSWERS_WAITING, limit=1))
    answers.keep("app", "start/1", CREATED)
    answers.keep("app", "start/2", CREATED)
    assert await answers.find("app", "start/1") == CREATED
    assert await answers.find("app", "start/2") is None


async def test_a_store_that_is_away_loses_nothing_that_waits(
    answers: Answers, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailable("gone")

    answers.keep("app", "start/1", CREATED)
    with monkeypatch.context() as patch:
        patch.setattr(journal.store, "write", away)
        await answers.flush()
    await answers.flush()
    assert await Answers(journal.store, KEPT_S, Watermarks()).find("app", "start/1") == CREATED


async def test_many_are_written_in_pieces_and_what_was_not_written_waits_on(
    answers: Answers, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, pieces = journal.store.write, list[int]()

    async def write_two(work: Any, rows: list[Any]) -> Any:
        pieces.append(len(rows))
        if len(pieces) == 3:
            raise StoreUnavailable("gone")
        return await write(work, rows)

    monkeypatch.setattr(room, "ANSWERS_WRITTEN", msgspec.structs.replace(ANSWERS_WRITTEN, limit=2))
    for number in range(7):
        answers.keep("app", f"start/{number}", CREATED)
    with monkeypatch.context() as patch:
        patch.setattr(journal.store, "write", write_two)
        await answers.flush()
        assert pieces == [2, 2, 2]
        await answers.flush()
    assert pieces == [2, 2, 2, 2, 1]
    others = Answers(journal.store, KEPT_S, Watermarks())
    assert [await others.find("app", f"start/{number}") for number in range(7)] == [CREATED] * 7


async def test_an_altered_answer_is_never_given(answers: Answers, journal: Journal) -> None:
    answers.keep("app", "start/1", CREATED)
    await answers.flush()
    await journal.store.write(execute, "UPDATE answers SET status = 200")
    with pytest.raises(StreamCorrupt):
        await answers.find("app", "start/1")
