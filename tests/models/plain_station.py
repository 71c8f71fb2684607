"""A station's connectors and its book of charges in plain words: what its actor is judged by.

A connector is what its station says it is; OCPP 1.6 section 4.9 says which change is to be expected. At most one charge
goes on at a connector: whoever starts there ends what went on before.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from statecharts.bounds import CHARGES_KEPT
from tests.charts.test_evse_rows import LETTERS, SPECIFIED

FOLLOWS = {LETTERS[before]: {LETTERS[after] for after in letters} for before, letters in SPECIFIED.items()}
CARD = "CARD0001"


@dataclass
class PlainConnector:
    status: str = "Available"
    surprises: int = 0

    def say(self, status: str) -> None:
        if status != self.status:
            self.surprises += status not in FOLLOWS[self.status]
            self.status = status


@dataclass
class PlainCharge:
    connector_id: int
    id_tag: str
    start_wh: int
    began_at: float
    last_wh: int
    open: bool = True
    stop_wh: int | None = None
    energy_wh: int | None = None
    named: bool = False

    def end(self, wh: int) -> None:
        """The first end stands; what comes later is a correction. A register that ran backwards tells no energy."""
        if self.open:
            self.energy_wh = wh - self.start_wh if wh >= self.start_wh else None
        self.open = False


@dataclass
class PlainStation:
    connectors: dict[int, PlainConnector] = field(default_factory=lambda: {n: PlainConnector() for n in (1, 2)})
    charges: dict[int, PlainCharge] = field(default_factory=dict)
    orphans: int = 0

    def started(self, number: int, connector_id: int, id_tag: str, wh: int, at: float) -> None:
        for charge in self.charges.values():
            if charge.open and charge.connector_id == connector_id:
                charge.end(charge.last_wh)
        self.charges[number] = PlainCharge(connector_id, id_tag, wh, at, wh)
        over = [number for number, charge in self.charges.items() if not charge.open]
        for forgotten in over[: -CHARGES_KEPT.limit]:
            del self.charges[forgotten]

    def metered(self, number: int, wh: int) -> None:
        charge = self.charges[number]
        charge.named = True
        charge.last_wh = max(charge.last_wh, wh) if charge.open else charge.last_wh

    def stopped(self, number: int, wh: int) -> None:
        charge = self.charges[number]
        charge.stop_wh = wh
        charge.end(wh)

    def meant(self, id_tag: str | None, wh: int) -> int | None:
        """The charge that a stop without a number means: the only one that it can mean.

        Without an idTag not one on whose connector another has begun since, nor while another connector charges of
        whose start nothing came, nor one whose number the station has used itself or whose register has shown more.
        """
        unstopped = [n for n, c in self.charges.items() if c.stop_wh is None and id_tag in (None, c.id_tag)]
        if id_tag is None:
            unstopped = [n for n in unstopped if not self._followed(self.charges[n])]
        found = [n for n in unstopped if self.charges[n].open] or unstopped
        if len(found) != 1 or (id_tag is None and self._speaks_against(self.charges[found[0]], wh)):
            return None
        return found[0]

    def _followed(self, charge: PlainCharge) -> bool:
        here = (c for c in self.charges.values() if c.connector_id == charge.connector_id)
        return any(charge.began_at < other.began_at for other in here)

    def _speaks_against(self, charge: PlainCharge, wh: int) -> bool:
        known = {charge.connector_id} | {c.connector_id for c in self.charges.values() if c.open}
        others = [each.status for n, each in self.connectors.items() if n not in known]
        unknown = any(status in ("Charging", "SuspendedEV", "SuspendedEVSE") for status in others)
        return unknown or charge.named or wh < charge.last_wh

    @property
    def free(self) -> tuple[int, ...]:
        busy = {charge.connector_id for charge in self.charges.values() if charge.open}
        ready = (n for n, connector in self.connectors.items() if connector.status in ("Available", "Preparing"))
        return tuple(n for n in ready if n not in busy)
