"""What a world does to a station's messages and connections befalls these, and is seen as it was."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.faults import Faults, Frame, FrameFate
from tests.world.history import FrameArrived, FrameSent, LineClosed, LineOpened, NodeCrashed
from tests.world.plan import Local, Plan, StationPlan
from tests.world.world import Outcome, play

STATION, NODE = "CS01", "NL-MOT"
PLAN = Plan(
    seed=5,
    operators=(NODE,),
    stations=(StationPlan(identity=STATION, operator=NODE, connectors=1),),
    local=(Local(id_tag="CARD", station=STATION, connector=1, begins_s=30, lasts_s=600),),
)


class OnStart(Faults):
    """The first StartTransaction, or the answer to it, has this fate."""

    def __init__(self, fate: FrameFate, *, answer: bool = False) -> None:
        super().__init__()
        self.fate: FrameFate | None = fate
        self._answer, self._asked = answer, ""

    def of_frame(self, frame: Frame) -> FrameFate:
        is_start = '"StartTransaction"' in frame.text
        is_answer = bool(self._asked) and frame.sender == NODE and self._asked in frame.text
        if is_start and not self._asked:
            self._asked = frame.text.split('"')[1]
        if self.fate is not None and (is_answer if self._answer else is_start):
            fate, self.fate = self.fate, None
            return fate
        return super().of_frame(frame)


class NoDial(Faults):
    """The station gets no connection for the first three times."""

    tries = 0

    def of_dial(self, station: str, node: str) -> bool:
        self.tries += 1
        return self.tries > 3


def texts(outcome: Outcome, kind: type, who: str, word: str) -> list[Any]:
    return [sight for sight in outcome.history.of(kind) if sight.who == who and word in sight.text]


def locals_of(outcome: Outcome) -> list[str]:
    return [row["state"] for row in outcome.finals[NODE].rows("transactions")]


@pytest.mark.parametrize(
    ("fate", "answer", "sent", "arrived"),
    [
        (FrameFate(), False, 1, 1),
        (FrameFate(arrives_after_s=()), False, 2, 1),
        (FrameFate(arrives_after_s=(0.0, 5.0)), False, 1, 2),
        (FrameFate(arrives_after_s=(5.0,)), False, 1, 1),
        (FrameFate(arrives_after_s=(45.0,)), False, 2, 2),
        (FrameFate(breaks=True), False, 2, 1),
        (FrameFate(arrives_after_s=()), True, 2, 2),
        (FrameFate(breaks=True), True, 2, 2),
    ],
)
def test_a_start_that_is_harmed_is_said_again_and_there_is_one_charge(
    fate: FrameFate, answer: bool, sent: int, arrived: int
) -> None:
    outcome = play(PLAN, OnStart(fate, answer=answer))
    assert outcome.failures == () and outcome.drained
    assert locals_of(outcome) == ["Settled"]
    assert len(texts(outcome, FrameSent, STATION, '"StartTransaction"')) == sent
    assert len(texts(outcome, FrameArrived, NODE, '"StartTransaction"')) == arrived
    opened = [*outcome.history.of(LineOpened)]
    assert len(opened) == (2 if fate.breaks else 1) == len([*outcome.history.of(LineClosed)])


def test_a_station_without_a_connection_tries_again() -> None:
    outcome = play(PLAN, NoDial())
    assert outcome.failures == () and locals_of(outcome) == ["Settled"]
    assert len([*outcome.history.of(LineOpened)]) == 1


class DiesSoon(Faults):
    """Each of the first lives ends at a step of its tasks, wherever that is."""

    def dies_at_step(self, node: str, life: int) -> int | None:
        return {1: 150, 2: 100}.get(life)


def test_a_node_that_dies_in_the_middle_of_anything_finds_its_station_again() -> None:
    outcome = play(PLAN, DiesSoon())
    assert outcome.failures == () and outcome.drained and locals_of(outcome) == ["Settled"]
    assert [sight.point for sight in outcome.history.of(NodeCrashed)] == ["step 150", "step 100"]
    assert len([*outcome.history.of(LineOpened)]) > 1
