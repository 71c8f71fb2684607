"""What a checker says: violations with their evidence, and figures with their n."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from tests.world.history import Sight, line_of


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """An invariant that did not hold: which (I1 to I12), what is wrong in one sentence, and what shows it."""

    invariant: str
    what: str
    evidence: tuple[Sight, ...] = ()

    def __str__(self) -> str:
        return "\n    ".join([f"{self.invariant}: {self.what}", *map(line_of, self.evidence)])


class Excuse(msgspec.Struct, frozen=True, kw_only=True):
    """Something that would be a violation but for a named damage: listed, never silent."""

    invariant: str
    what: str
    reason: str


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A number and out of how many. `worst` figures add up as the highest of all worlds, the others as sums."""

    name: str
    value: float
    n: int
    worst: bool = False


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one checker found."""

    violations: tuple[Violation, ...] = ()
    excuses: tuple[Excuse, ...] = ()
    figures: tuple[Figure, ...] = ()


class Notes:
    """Collects one checker's finding while it goes along."""

    def __init__(self, invariant: str) -> None:
        self.invariant = invariant
        self.violations: list[Violation] = []
        self.excuses: list[Excuse] = []
        self.figures: list[Figure] = []

    def object(self, what: str, *evidence: Sight) -> None:
        self.violations.append(Violation(invariant=self.invariant, what=what, evidence=evidence))

    def object_unless(self, reason: str | None, what: str, *evidence: Sight) -> None:
        """A violation, unless there is a reason why it is none."""
        if reason is None:
            self.object(what, *evidence)
        else:
            self.excuses.append(Excuse(invariant=self.invariant, what=what, reason=reason))

    def count(self, name: str, value: float, n: int, *, worst: bool = False) -> None:
        self.figures.append(Figure(name=name, value=value, n=n, worst=worst))

    def finding(self) -> Finding:
        return Finding(violations=tuple(self.violations), excuses=tuple(self.excuses), figures=tuple(self.figures))


def summed(figures: Iterable[Figure]) -> tuple[Figure, ...]:
    """Figures of many worlds as one each, in the order in which their names first came."""
    found: dict[str, Figure] = {}
    for figure in figures:
        known = found.get(figure.name)
        found[figure.name] = figure if known is None else _added(known, figure)
    return tuple(found.values())


def _added(one: Figure, other: Figure) -> Figure:
    value = max(one.value, other.value) if one.worst else one.value + other.value
    return Figure(name=one.name, value=value, n=one.n + other.n, worst=one.worst)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies, by nearest rank; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
