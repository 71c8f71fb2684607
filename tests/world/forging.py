"""What a world left behind, opened up so that one thing in it can be forged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from tests.world.checker.evidence import Evidence
from tests.world.checker.parts import Call, Charge, Exchange
from tests.world.checker.wire import document
from tests.world.history import AnySight, Committed, Finals, History, Row

T = TypeVar("T")


class NothingToForge(Exception):
    """This world has nothing that the forgery could break."""


class World:
    """What a world left behind, open to changes; `pick` chooses one of several things to break."""

    def __init__(self, history: History, finals: dict[str, Finals], pick: Callable[[Sequence[Any]], Any]) -> None:
        self.sights: list[AnySight] = list(history)
        self.finals = {node: msgspec.structs.replace(each, tables=dict(each.tables)) for node, each in finals.items()}
        self.evidence = Evidence(history, finals)
        self._pick = pick

    @property
    def history(self) -> History:
        return History(self.sights)

    def one(self, things: Iterable[T]) -> T:
        """One of these. Raises `NothingToForge` if there is none."""
        found = list(things)
        if not found:
            raise NothingToForge
        chosen: T = self._pick(found)
        return chosen

    def of(self, *kinds: type[Any]) -> list[Any]:
        return [sight for sight in self.sights if isinstance(sight, kinds)]

    def swap(self, old: AnySight, new: AnySight) -> None:
        self.sights[self.place(old)] = new

    def place(self, sight: AnySight) -> int:
        return next(index for index, each in enumerate(self.sights) if each is sight)

    def drop(self, *sights: AnySight) -> None:
        gone = {id(sight) for sight in sights}
        self.sights = [sight for sight in self.sights if id(sight) not in gone]

    def insert_after(self, sight: AnySight, *new: AnySight) -> None:
        place = self.place(sight) + 1
        self.sights[place:place] = new

    def set_rows(self, node: str, table: str, rows: Iterable[Row]) -> None:
        self.finals[node].tables[table] = tuple(rows)

    def change_row(self, node: str, table: str, row: Row, **columns: Any) -> None:
        self.set_rows(node, table, [{**each, **columns} if each is row else each for each in self.rows(node, table)])

    def change_document(self, node: str, table: str, row: Row, **fields: Any) -> None:
        document = {**msgspec.json.decode(row["document"]), **fields}
        self.change_row(node, table, row, document=msgspec.json.encode(document))

    def rows(self, node: str, table: str) -> tuple[Row, ...]:
        return self.finals[node].rows(table)

    def all_rows(self, table: str) -> list[tuple[str, Row]]:
        return [(node, row) for node in self.finals for row in self.rows(node, table)]

    def record(self) -> tuple[str, Row]:
        """A Source and a charge record that it holds."""
        return self.one((node, row) for node, row in self.all_rows("ledger") if row["role"] == "source")

    def commits(self, *types: str, role: str = "") -> list[Committed]:
        rows = self.of(Committed)
        return [row for row in rows if row.type in types and row.stream.startswith(role)]

    def charges(self) -> list[Charge]:
        """Charges whose start and stop were answered."""
        return [each for each in self.evidence.charges if each.stop is not None and each.number is not None]

    def station_calls(self) -> list[Call]:
        calls = self.evidence.calls
        return [call for call in calls if len(call.replies) == len(call.arrivals) == 1 and not self.is_nodes(call)]

    def made(self, each: Exchange) -> bytes:
        """What a request by REST was answered when it was done; empty if it was not, or the answer broke off."""
        done = [answer.sight.body for answer in each.answers if 200 <= answer.sight.status < 300]
        return done[0].encode() if done and document(done[0]) else b""

    def is_nodes(self, call: Call) -> bool:
        return self.evidence.is_node(call.caller)


@dataclass(frozen=True)
class Forgery:
    """One way to break a good world, and the invariant that must be named."""

    invariant: str
    forge: Callable[[World], None]

    @property
    def name(self) -> str:
        return self.forge.__name__
