"""The operator's own starts and stops at a station, with no roaming partner."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio

from statecharts.ports import TransactionView
from statecharts.station_commands import CallVerdict, RemoteStartTransaction, RemoteStopTransaction
from statecharts.vocabulary import Refused
from tests.support.books import CARD, free, going_on, locals_of, restarted
from tests.support.crashes import Blade, Writing, disk_full, write_by
from tests.support.house import StationLine

START_S, STOP_S = 150, 120


async def begin(line: StationLine, connector_id: int = 1) -> TransactionView:
    return await line.house.operator.start_local("CS01", connector_id, CARD)


async def state(line: StationLine, view: TransactionView) -> str:
    return (await line.house.operator.transaction("local", view.transaction_id)).state


async def running(line: StationLine) -> tuple[TransactionView, int]:
    view = await begin(line)
    await trio.sleep(1)
    number = (await line.start(CARD)).transaction_id
    assert await state(line, view) == "TxRunning"
    return view, number


async def test_the_operator_starts_and_stops_a_charge(autojump_clock: object, line: StationLine) -> None:
    view, number = await running(line)
    await line.house.operator.stop("local", view.transaction_id)
    await trio.sleep(1)
    assert line.commands == [
        RemoteStartTransaction(id_tag=CARD, connector_id=1),
        RemoteStopTransaction(transaction_id=number),
    ]
    await line.stop(number, 3_000, reason="Remote")
    (ended,) = await locals_of(line.house)
    assert (ended.transaction_id, ended.state, ended.energy_wh) == (view.transaction_id, "Settled", 2_000)


async def test_a_start_that_never_comes_lapses_and_frees_the_connector(
    autojump_clock: object, line: StationLine
) -> None:
    view = await begin(line)
    assert await free(line) == (2,)
    await trio.sleep(START_S + 1)
    assert await state(line, view) == "Expired" and await free(line) == (1, 2)


async def test_a_start_that_the_station_refuses_frees_the_connector(autojump_clock: object, line: StationLine) -> None:
    line.verdicts = [CallVerdict.REJECTED]
    view = await begin(line)
    await trio.sleep(1)
    assert await state(line, view) == "Expired" and await free(line) == (1, 2)


async def test_a_start_request_survives_a_restart(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    view = await begin(line)
    await trio.sleep(1)
    again = await restarted(line, nursery)
    with pytest.raises(Refused):
        await begin(again)
    await again.start(CARD.lower())
    assert await state(again, view) == "TxRunning" and again.commands == []


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
async def test_a_start_request_cut_short_by_a_crash_ends_and_frees_the_connector(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery, written: bool
) -> None:
    blade = Blade(line.house, written=written)
    for cut_at in (1, 2, 3):
        blade.appends, blade.cut_at = 0, cut_at
        with trio.move_on_after(5):
            await begin(line)
        blade.cut_at = None
        line = await restarted(line, nursery)
        await trio.sleep(START_S + 1)
        assert {view.state for view in await locals_of(line.house)} <= {"Expired"}
        assert await free(line) == (1, 2)


@pytest.fixture
def writing(line: StationLine, monkeypatch: pytest.MonkeyPatch) -> Writing:
    found = Writing(line.house.journal.append)
    write_by(found.append, line.house.journal, monkeypatch)
    return found


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_client_that_hangs_up_leaves_no_start_that_never_ends(
    autojump_clock: object, line: StationLine, writing: Writing, nth: int
) -> None:
    with trio.CancelScope() as client:
        writing.at(nth, client.cancel)
        await begin(line)
        await trio.sleep(1)
    await trio.sleep(START_S + 1)
    assert {view.state for view in await locals_of(line.house)} <= {"Expired"}
    assert await free(line) == (1, 2)


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_start_one_of_whose_writes_failed_comes_to_an_end(
    autojump_clock: object, line: StationLine, writing: Writing, nth: int
) -> None:
    writing.at(nth, disk_full)
    with suppress(Refused):
        await begin(line)
    await trio.sleep(START_S + 2)
    assert {view.state for view in await locals_of(line.house)} <= {"Expired"}
    assert await free(line) == (1, 2)


async def test_a_station_that_does_not_stop_goes_on_and_may_be_asked_again(
    autojump_clock: object, line: StationLine
) -> None:
    view, number = await running(line)
    await line.house.operator.stop("local", view.transaction_id)
    await trio.sleep(STOP_S + 1)
    assert await state(line, view) == "TxRunning"
    await line.house.operator.stop("local", view.transaction_id)
    await line.stop(number, 2_000)
    assert await state(line, view) == "Settled"


async def test_another_card_on_the_connector_ends_the_wait(autojump_clock: object, line: StationLine) -> None:
    view = await begin(line)
    number = (await line.start("NOBODY")).transaction_id
    assert await state(line, view) == "Expired"
    assert await going_on(line) == [number]


async def test_a_card_at_the_other_connector_is_another_charge(autojump_clock: object, line: StationLine) -> None:
    view = await begin(line)
    await line.start(CARD, connector_id=2)
    assert await state(line, view) == "StartTxRequested"
    assert len(await locals_of(line.house)) == 2


@pytest.mark.parametrize(
    ("identity", "connector_id", "id_tag", "code"),
    [("CS99", 1, CARD, 404), ("CS01", 0, CARD, 400), ("CS01", 3, CARD, 400), ("CS01", 1, "NOBODY", 409)],
)
async def test_what_cannot_be_started_is_refused_and_leaves_no_trace(
    autojump_clock: object, line: StationLine, identity: str, connector_id: int, id_tag: str, code: int
) -> None:
    with pytest.raises(Refused) as refusal:
        await line.house.operator.start_local(identity, connector_id, id_tag)
    assert refusal.value.refusal.code == code
    assert await locals_of(line.house) == [] and line.commands == [] and await free(line) == (1, 2)


async def test_a_busy_connector_cannot_be_started(autojump_clock: object, line: StationLine) -> None:
    await line.start("NOBODY")
    with pytest.raises(Refused) as refusal:
        await begin(line)
    assert refusal.value.refusal.code == 409 and line.commands == []


async def test_a_charge_by_card_is_stopped_by_the_operator(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    await line.house.operator.stop("local", str(number))
    await trio.sleep(1)
    assert line.commands == [RemoteStopTransaction(transaction_id=number)]
