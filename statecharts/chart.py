"""Charts: declared once, validated by `transitions`, compiled to a flat table, run as a pure function.

A chart is a list of rows, each one sentence of the design: in these states, on this event, (when this holds), go there
or stay or refuse, and want these effects. `transitions` builds a machine from the rows, which is what the tests compare
with; `compile_table` reads that machine into `{state: {event type: rows}}`, and `Chart.step` walks it. A step changes
nothing: it returns a `Decision` that the actor makes durable and carries out.

Every state x event pair is decided. A pair without a row is refused, and because a fact must never be refused, a chart
in which some fact has no unconditional row in some state cannot be built at all. Every state that is not final or
resting has a deadline. Contracts are checked on each step, in production too: a broken one stops the actor before
anything of the step is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec
from transitions import Machine

from statecharts.events import DeadlineReached, Effect, Event, Fact
from statecharts.vocabulary import Refusal


class Stateful(Protocol):
    """What every chart's data has: the name of the current state."""

    @property
    def state(self) -> str: ...


D = TypeVar("D", bound=Stateful)

Guard = Callable[[Any, Any], bool]
Change = Callable[[Any, Any], Mapping[str, Any]]
Effects = Callable[[Any, Any, Any], Iterable[Effect]]


class ChartError(Exception):
    """A chart is wrong as declared: an undecided fact, a state without a deadline, an unknown state."""


class ContractBroken(Exception):
    """A step would break what must hold: a defect of ours, never something to be ridden over."""


class Outcome(StrEnum):
    """What a row does. REPEATED is a stay that leaves no trace in the journal: it says nothing new."""

    MOVED = "move"
    STAYED = "stay"
    REPEATED = "repeat"
    REFUSED = "refuse"


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One line of a chart. `note` says in a few words when the row applies, for people and diagrams.

    `then` gets (data before, data after, event) and returns the effects; `answer` is what the asker is told.
    """

    event: type[Event]
    sources: tuple[str, ...]
    target: str | None
    outcome: Outcome
    when: Guard | None = None
    note: str = ""
    then: Effects | None = None
    refusal: Refusal | None = None
    recorded: bool = True
    answer: Any = None

    def __call__(self, *_: object) -> None:
        """Does nothing: rows hang in the `transitions` machine as callbacks, so that the table can be read back."""


def _sources(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (str(names),) if isinstance(names, str) else tuple(str(name) for name in names)


def move(event: type[Event], source: str | tuple[str, ...], target: str, **kw: Any) -> Row:
    """Go to another state (or enter the same one anew) and write the event down."""
    return Row(event, _sources(source), str(target), Outcome.MOVED, **kw)


def stay(event: type[Event], source: str | tuple[str, ...], **kw: Any) -> Row:
    """Remain, and write the event down: it says something new."""
    return Row(event, _sources(source), None, Outcome.STAYED, **kw)


def repeat(event: type[Event], source: str | tuple[str, ...], **kw: Any) -> Row:
    """Remain and write nothing: this was known already. Answered as the first one was."""
    return Row(event, _sources(source), None, Outcome.REPEATED, recorded=False, **kw)


def refuse(
    event: type[Event],
    source: str | tuple[str, ...],
    code: int,
    kind: str,
    message: str,
    *,
    recorded: bool = False,
    **kw: Any,
) -> Row:
    """Say no. With `recorded` the refused event is kept in the journal for people to see."""
    refusal = Refusal(code=code, kind=kind, message=message)
    return Row(event, _sources(source), None, Outcome.REFUSED, refusal=refusal, recorded=recorded, **kw)


@dataclass(frozen=True, slots=True)
class State:
    """A state and what it is for. `deadline` reads the data for when the state is over.

    `final` states owe nothing any more; `resting` ones belong to things that last (a peer, a connector).
    """

    name: str
    meaning: str
    deadline: Callable[[Any], datetime] | None = None
    final: bool = False
    resting: bool = False


@dataclass(frozen=True, slots=True)
class Contract:
    """Something that must hold: `before(data, event)`, `always(data)` or `after(before, after, event)`."""

    name: str
    before: Callable[[Any, Any], bool] | None = None
    always: Callable[[Any], bool] | None = None
    after: Callable[[Any, Any, Any], bool] | None = None


class Decision(msgspec.Struct, Generic[D], frozen=True):
    """What one step wants: the data as it will be, the fact to write down (None: nothing), effects, and the answer."""

    outcome: Outcome
    data: D
    fact: Event | None = None
    effects: tuple[Effect, ...] = ()
    refusal: Refusal | None = None
    answer: Any = None


Table = dict[str, dict[type[Event], tuple[Row, ...]]]


def build_machine(states: Iterable[State], initial: str, rows: Iterable[Row]) -> Machine:
    """The chart as a `transitions` machine, moved by one method per event: `model.StartRequested(data, event)`."""
    transitions = [
        {
            "trigger": row.event.__name__,
            "source": source,
            "dest": row.target,
            "conditions": [row.when] if row.when else None,
            "before": row,
        }
        for row in rows
        for source in row.sources
    ]
    names = [str(state.name) for state in states]
    return Machine(model=None, states=names, initial=str(initial), transitions=transitions, auto_transitions=False)


def compile_table(machine: Machine) -> Table:
    """The machine's transitions as a flat table, candidates in their order: the first whose guard holds is taken.

    What comes after a row without a guard can never be taken, and is left out.
    """
    table: Table = {name: {} for name in machine.states}
    for event in machine.events.values():
        for source, candidates in event.transitions.items():
            rows = tuple(cast(Row, candidate.before[0]) for candidate in candidates)
            table[source][rows[0].event] = tuple(_reachable(rows))
    return table


def _reachable(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        yield row
        if row.when is None:
            return


@dataclass(frozen=True, eq=False)
class Chart(Generic[D]):
    """One statechart over data of type `D`; see the module's docstring for what building it checks.

    `evolve` says per event what it changes in the data (field name -> new value); it may read the state that is being
    entered as `data.state`, for the step and for the replay of a journal alike.
    """

    name: str
    initial: str
    states: tuple[State, ...]
    rows: tuple[Row, ...]
    evolve: Mapping[type[Event], Change] = field(default_factory=dict)
    contracts: tuple[Contract, ...] = ()
    machine: Machine = field(init=False)
    table: Table = field(init=False)
    by_name: Mapping[str, State] = field(init=False)
    events: Mapping[str, type[Event]] = field(init=False)

    def __post_init__(self) -> None:
        self._refuse(self._unknown_states())
        object.__setattr__(self, "machine", build_machine(self.states, self.initial, self.rows))
        object.__setattr__(self, "table", compile_table(self.machine))
        object.__setattr__(self, "by_name", {str(state.name): state for state in self.states})
        object.__setattr__(self, "events", {row.event.__name__: row.event for row in self.rows})
        self._refuse((*self._undecided_facts(), *self._dropped_facts(), *self._timeless_states()))

    def _refuse(self, problems: Iterable[str]) -> None:
        told = "; ".join(problems)
        if told:
            raise ChartError(f"chart {self.name}: {told}")

    def _unknown_states(self) -> Iterator[str]:
        known = {state.name for state in self.states}
        for row in self.rows:
            for name in (*row.sources, row.target or self.initial):
                if name not in known:
                    yield f"a row for {row.event.__name__} names the state {name}, which is not declared"

    def _undecided_facts(self) -> Iterator[str]:
        for state, event, rows in self.pairs():
            if issubclass(event, Fact) and (not rows or rows[-1].when is not None or rows[-1].refusal is not None):
                yield f"fact {event.__name__} is not decided in {state}"

    def _dropped_facts(self) -> Iterator[str]:
        for row in self.rows:
            if issubclass(row.event, Fact) and row.refusal is not None and not row.recorded:
                yield f"fact {row.event.__name__} is refused without being written down"

    def _timeless_states(self) -> Iterator[str]:
        for state in self.states:
            timed = state.deadline is not None
            if not (timed or state.final or state.resting):
                yield f"state {state.name} has no deadline"
            if timed and DeadlineReached not in self.table[state.name]:
                yield f"state {state.name} does not say what its deadline does"

    def pairs(self) -> Iterator[tuple[str, type[Event], tuple[Row, ...]]]:
        """Every state with every event of this chart, and the rows that decide the pair (none: it is refused)."""
        for state in self.table:
            for event in self.events.values():
                yield state, event, self.table[state].get(event, ())

    def deadline(self, data: D) -> datetime | None:
        """When the current state is over; None where it has no end."""
        read = self.by_name[data.state].deadline
        return read(data) if read else None

    def is_final(self, data: D) -> bool:
        return self.by_name[data.state].final

    def row_for(self, data: D, event: Event) -> Row | None:
        """The row that decides this event now."""
        for row in self.table[data.state].get(type(event), ()):
            if row.when is None or row.when(data, event):
                return row
        return None

    def step(self, data: D, event: Event) -> Decision[D]:
        """Decides one event. Pure: the same data and event give the same decision. Raises `ContractBroken`."""
        row = self.row_for(data, event)
        if row is None:
            return Decision(Outcome.REFUSED, data, refusal=self._wrong_state(data, event))
        for contract in self.contracts:
            if contract.before is not None and not contract.before(data, event):
                raise ContractBroken(f"{self.name}, before {type(event).__name__} in {data.state}: {contract.name}")
        if not row.recorded:
            return Decision(
                row.outcome, data, effects=_effects(row, data, data, event), refusal=row.refusal, answer=row.answer
            )
        after = self.replay(data, event, row.target or data.state)
        self._check(data, after, event)
        return Decision(row.outcome, after, event, _effects(row, data, after, event), row.refusal, row.answer)

    def replay(self, data: D, event: Event, to_state: str) -> D:
        """The data after an event that is known to have led to `to_state`: how a journal is read back."""
        entered = data if to_state == data.state else msgspec.structs.replace(data, state=to_state)  # type: ignore[type-var]
        change = self.evolve.get(type(event))
        return msgspec.structs.replace(entered, **change(entered, event)) if change else entered  # type: ignore[type-var]

    def _check(self, before: D, after: D, event: Event) -> None:
        for contract in self.contracts:
            holds = (contract.always is None or contract.always(after)) and (
                contract.after is None or contract.after(before, after, event)
            )
            if not holds:
                raise ContractBroken(
                    f"{self.name}, {before.state} -{type(event).__name__}-> {after.state}: {contract.name}"
                )

    def _wrong_state(self, data: D, event: Event) -> Refusal:
        asked = "".join(f" {c.lower()}" if c.isupper() else c for c in type(event).__name__).strip()
        message = f"not possible while the {self.name} is {data.state}: {asked}"
        return Refusal(code=409, kind="wrong-state", message=message)


def _effects(row: Row, before: Any, after: Any, event: Event) -> tuple[Effect, ...]:
    return tuple(row.then(before, after, event)) if row.then else ()
