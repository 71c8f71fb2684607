"""What a rule machine prints of a failure is a program: pasted into a test of its module, it shows the bug again."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import msgspec
import pytest

from protocols.ocpp.rpc import RpcPeer
from statecharts import charge_changes, charging, destination_events, source_events, transaction_local
from statecharts.chart import ContractBroken
from tests.models import test_model_destination, test_model_local, test_model_rpc, test_model_source
from tests.models.efforts import program_of

Plant = Callable[[pytest.MonkeyPatch], None]


def energy_that_falls(patch: pytest.MonkeyPatch) -> None:
    """The newest progress counts, also one that comes late."""
    progressed = source_events.CHANGES[source_events.ProgressReported]

    def newest(data: Any, event: Any) -> Any:
        return progressed(msgspec.structs.replace(data, energy_wh=None), event)

    patch.setitem(source_events.CHANGES, source_events.ProgressReported, newest)


def result_told_once(patch: pytest.MonkeyPatch) -> None:
    """A start that was told to have failed and comes late is not told again."""
    told = destination_events.told

    def first(data: Any, kind: str, result: bool) -> Any:
        open_ones = msgspec.structs.replace(data, requests=data.waiting(kind))
        now = {request.request_identifier: request for request in told(open_ones, kind, result)}
        return tuple(now.get(request.request_identifier, request) for request in data.requests)

    patch.setattr(destination_events, "told", first)


def doubt_that_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A station that boots again and again puts off the end of its charge for ever."""

    def doubted(data: Any, event: Any) -> Any:
        return charge_changes.doubted(msgspec.structs.replace(data, doubted_until=None), event)

    patch.setitem(transaction_local.CHANGES, charging.StationDoubted, doubted)


def late_answer_taken(patch: pytest.MonkeyPatch) -> None:
    """An answer is that of the call under way, whatever its id."""
    on_answer = RpcPeer._on_answer

    def taken(self: Any, answer: Any, data: bytes) -> None:
        ours = self._outstanding.message_id if self._outstanding else answer.message_id
        on_answer(self, msgspec.structs.replace(answer, message_id=ours), data)

    frames = RpcPeer._read.__globals__["_ON_FRAME"]
    for kind in [kind for kind, turn in frames.items() if turn is on_answer]:
        patch.setitem(frames, kind, taken)


@pytest.mark.parametrize(
    ("plant", "module", "machine", "error"),
    [
        (energy_that_falls, test_model_source, "SourceLife", ContractBroken),
        (result_told_once, test_model_destination, "DestinationLife", AssertionError),
        (doubt_that_is_forgotten, test_model_local, "LocalLife", AssertionError),
        (late_answer_taken, test_model_rpc, "RpcLife", AssertionError),
    ],
)
def test_a_failing_program_shows_the_bug_where_it_is_pasted_and_runs_through_without_it(
    plant: Plant, module: ModuleType, machine: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        plant(patch)
        program = program_of(vars(module)[machine])
        assert program is not None, "the machine does not see the bug"
        with pytest.raises(error):
            exec(program, {**vars(module)})
    exec(program, {**vars(module)})
