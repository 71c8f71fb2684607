"""Who says what of the same charges, and whether it is the same: what stations metered, and what operators billed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Charge(NamedTuple):
    """One charge as somebody has it in his books; `name` is its authorizationIdentifier."""

    name: str
    energy_wh: int


@dataclass(frozen=True, slots=True)
class Books:
    """`metered` are the stations' own, `ledgers` the charge records of each operator, `settled` what apps were told."""

    metered: Collection[Charge]
    ledgers: dict[str, Collection[Charge]]
    settled: Collection[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the books differ: `findings` in words, the rest counted over all ledgers."""

    lost: int
    doubled: int
    invented: int
    unexplained_wh: int
    findings: tuple[str, ...]


def judged(books: Books) -> Verdict:
    """Holds every ledger against what the stations metered, charge by charge."""
    truth = Counter(charge.name for charge in books.metered)
    metered_wh = {charge.name: charge.energy_wh for charge in books.metered}
    lost = doubled = invented = unexplained_wh = 0
    findings = [f"stations: {name} was metered {count} times" for name, count in truth.items() if count > 1]
    findings += [f"apps: {name} is settled, and no station knows of it" for name in books.settled if name not in truth]
    for whose, ledger in books.ledgers.items():
        counted = Counter(charge.name for charge in ledger)
        missing, foreign = truth.keys() - counted.keys(), counted.keys() - truth.keys()
        twice = [name for name, count in counted.items() if count > 1]
        lost, invented, doubled = lost + len(missing), invented + len(foreign), doubled + len(twice)
        findings += [f"{whose}: {name} is lost" for name in sorted(missing)]
        findings += [f"{whose}: {name} was never metered" for name in sorted(foreign)]
        findings += [f"{whose}: {name} is there {counted[name]} times" for name in twice]
        findings += [f"{whose}: {each.name} has {each.energy_wh} Wh, metered were {metered_wh[each.name]}"
                     for each in _of_other_energy(ledger, metered_wh)]  # fmt: skip
        unexplained_wh += sum(abs(difference) for difference in _differences(ledger, metered_wh).values())
    return Verdict(lost, doubled, invented, unexplained_wh, tuple(findings))


def _of_other_energy(ledger: Collection[Charge], metered_wh: dict[str, int]) -> Iterator[Charge]:
    return (each for each in ledger if each.energy_wh != metered_wh.get(each.name, each.energy_wh))


def _differences(ledger: Collection[Charge], metered_wh: dict[str, int]) -> Counter[str]:
    """Billed less metered, charge by charge: what is billed twice or never metered counts in full."""
    difference = Counter({name: -energy_wh for name, energy_wh in metered_wh.items()})
    for each in ledger:
        difference[each.name] += each.energy_wh
    return difference
