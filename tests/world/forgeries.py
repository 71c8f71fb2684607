"""Forged histories: each forgery takes a good world, breaks one thing in what it left behind, and says which invariant
must object. They know nothing of where the world came from: a story told by hand, or a seed that was run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from tests.world.checker.evidence import Call, Charge, Evidence
from tests.world.checker.i02_doubled import remote_starts
from tests.world.checker.i04_ends import FINAL
from tests.world.checker.i11_answered import gave_up_at
from tests.world.checker.wire import soap
from tests.world.history import (
    AnswerSent,
    AnySight,
    BoundSeen,
    Committed,
    Finals,
    FrameArrived,
    FrameSent,
    History,
    PeerBlocked,
    Row,
    UserBlocked,
    WorldEnded,
)

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

    def is_nodes(self, call: Call) -> bool:
        return self.evidence.is_node(call.caller)


# -- I1, I2: records ---------------------------------------------------------------------------------------------------


def record_lost(world: World) -> None:
    node, row = world.record()
    world.set_rows(node, "ledger", [each for each in world.rows(node, "ledger") if each is not row])


def record_at_somebody_else(world: World) -> None:
    node, row = world.record()
    other = world.one(each for each in world.finals if each != node)
    world.set_rows(node, "ledger", [each for each in world.rows(node, "ledger") if each is not row])
    world.set_rows(other, "ledger", [*world.rows(other, "ledger"), row])


def record_doubled(world: World) -> None:
    node, row = world.record()
    world.set_rows(node, "ledger", [*world.rows(node, "ledger"), {**row, "stream": "source/another"}])


def end_changed(world: World) -> None:
    """A second attempt says a watt-hour more than the first."""
    sent = world.one(world.evidence.soap_calls("endTransaction")).request
    said = soap(sent.body)
    assert said is not None
    text = said.inner["energyConsumed"]
    body = sent.body.replace(f">{text}<", f">{float(text) + 1}<")
    world.insert_after(sent, msgspec.structs.replace(sent, exchange=1_000_000, body=body))


def charge_counted_twice(world: World) -> None:
    numbered = [(n, r) for n, r in world.all_rows("transactions") if b"station_transaction_id" in r["document"]]
    node, row = world.one(numbered)
    world.set_rows(node, "transactions", [*world.rows(node, "transactions"), {**row, "stream": "local/999999"}])


def second_number(world: World) -> None:
    """The same start gets another number the second time."""
    charge = world.one(world.charges())
    call = charge.starts[-1]
    placed, reply = call.replies[0]
    payload = {**reply.payload, "transactionId": reply.payload["transactionId"] + 1_000}
    again = {"connection": call.sight.connection}
    ask, answer = ([2, "again", call.said.action, call.said.payload], [3, "again", payload])
    node = placed.sight.who
    world.insert_after(
        placed.sight,
        FrameSent(at=placed.sight.at, who=call.caller, text=msgspec.json.encode(ask).decode(), **again),
        FrameArrived(at=placed.sight.at, who=node, text=msgspec.json.encode(ask).decode(), **again),
        FrameSent(at=placed.sight.at, who=node, text=msgspec.json.encode(answer).decode(), **again),
    )


def remote_start_twice(world: World) -> None:
    calls = [c for c in remote_starts(world.evidence) if (c.caller, c.said.payload["idTag"]) in world.evidence.grants]
    call = world.one(calls)
    for number in range(10):
        text = msgspec.json.encode([2, f"again{number}", call.said.action, call.said.payload]).decode()
        world.insert_after(call.sight, msgspec.structs.replace(call.sight, text=text))


# -- I3, I4: lives -----------------------------------------------------------------------------------------------------


def second_active(world: World) -> None:
    """Another charge is opened where one goes on."""
    opened = world.one(world.commits("ChargeOpened"))
    fact = msgspec.json.decode(opened.data)
    fact["number"] += 1_000
    world.insert_after(opened, msgspec.structs.replace(opened, data=msgspec.json.encode(fact).decode()))


def never_closed(world: World) -> None:
    """The start of a charge comes a second time, in another transaction, while the first goes on."""
    started = world.one(s for s in world.commits("TransactionStarted") if s.to_state == "TxRunning" != s.from_state)
    first = next(s for s in world.of(Committed) if (s.who, s.stream, s.seq) == (started.who, started.stream, 1))
    role = started.stream.partition("/")[0]
    for sight in (started, first):
        world.insert_after(started, msgspec.structs.replace(sight, stream=f"{role}/999999"))


def stuck(world: World) -> None:
    """A transaction stays where it was before it ended."""
    streams = {(s.who, s.stream): s for s in world.of(Committed) if s.stream.startswith(tuple(FINAL))}
    last = world.one(s for s in streams.values() if s.to_state == "Settled" != s.from_state)
    world.drop(last)
    rows = world.rows(last.who, "journal")
    world.set_rows(last.who, "journal", [r for r in rows if (r["stream"], r["seq"]) != (last.stream, last.seq)])


def not_drained(world: World) -> None:
    for end in world.of(WorldEnded):
        world.swap(end, msgspec.structs.replace(end, drained=False))


# -- I5: energy --------------------------------------------------------------------------------------------------------


def one_wh_more(world: World) -> None:
    node, row = world.record()
    energy = msgspec.json.decode(row["document"]).get("energy_wh") or 0
    world.change_document(node, "ledger", row, energy_wh=energy + 1)


def one_wh_less_metered(world: World) -> None:
    """The station's own meter shows less than it reported."""
    charges = [c for c in world.charges() if c.truth and world.evidence.is_of(c, f"destination/{c.id_tag.upper()}")]
    truth = world.one(charges).truth
    assert truth is not None and truth.meter_stop_wh is not None
    world.swap(truth, msgspec.structs.replace(truth, meter_stop_wh=truth.meter_stop_wh - 1))


def charge_nowhere(world: World) -> None:
    """A charge that was reported and acknowledged stands in no transaction and in no list."""
    charge = world.one(world.charges())
    found = world.evidence.by_number.get((charge.node, charge.number or 0), [])
    gone = {stream for stream, _ in found} | {f"destination/{charge.id_tag.upper()}"}
    rows = world.rows(charge.node, "transactions")
    world.set_rows(charge.node, "transactions", [row for row in rows if row["stream"] not in gone])
    world.set_rows(charge.node, "orphans", [])


# -- I6: transitions ---------------------------------------------------------------------------------------------------


def undeclared_move(world: World) -> None:
    row = world.one(s for s in world.commits("AuthorizationIssued", "AuthorizationGranted"))
    world.swap(row, msgspec.structs.replace(row, to_state="TxFinished"))


def row_skipped(world: World) -> None:
    row = world.one(s for s in world.of(Committed) if s.seq > 1)
    world.swap(row, msgspec.structs.replace(row, seq=row.seq + 1))


def begins_elsewhere(world: World) -> None:
    row = world.one(world.commits("TransactionEnded", "TransactionStarted", "StartRequested"))
    world.swap(row, msgspec.structs.replace(row, from_state="Expired" if row.from_state != "Expired" else "Ready"))


# -- I7: trust ---------------------------------------------------------------------------------------------------------


def forged_and_done(world: World) -> None:
    done = [each for each in world.evidence.exchanges.values() if any(True for _ in each.taken())]
    each = world.one(done)
    world.swap(each.request, msgspec.structs.replace(each.request, forged="wrong password"))


def asked_by_another(world: World) -> None:
    starts = [each.request for each in world.evidence.soap_calls("requestStartTransaction")]
    sent = world.one(starts)
    other = world.one(node for node in world.finals if node != sent.who)
    for each in starts:
        if (soap(each.body) or sent) == soap(sent.body):
            world.swap(each, msgspec.structs.replace(each, who=other))


def remote_start_unasked(world: World) -> None:
    call = world.one(remote_starts(world.evidence))
    text = msgspec.json.encode([2, "unasked", call.said.action, {**call.said.payload, "idTag": "NOBODY"}]).decode()
    world.insert_after(call.sight, msgspec.structs.replace(call.sight, text=text))


def blocked_and_served(world: World) -> None:
    row = world.one(world.commits("AuthorizationRequested"))
    user = msgspec.json.decode(row.data)["request"]["user_identifier"]
    world.sights.insert(1, UserBlocked(at=0.0, who=row.who, user=user))


def blocked_partner_served(world: World) -> None:
    row = world.one(world.commits("AuthorizationIssued"))
    block = PeerBlocked(at=row.at - 3_600, who=row.who, peer=msgspec.json.decode(row.data)["peer"])
    world.sights.insert(1, block)


def misuse_billed(world: World) -> None:
    """The station was told that the idTag is invalid, and the Source pays all the same."""
    charges = [c for c in world.charges() if world.evidence.is_of(c, f"destination/{c.id_tag.upper()}")]
    charge = world.one(charges)
    for call in charge.starts:
        for placed, _ in call.replies:
            text = placed.sight.text.replace('"Accepted"', '"Invalid"')
            world.swap(placed.sight, msgspec.structs.replace(placed.sight, text=text))


# -- I8, I9: the journal -----------------------------------------------------------------------------------------------


def answered_first(world: World) -> None:
    """A partner is answered before the row that its request caused was durable."""
    kinds = ("AuthorizationIssued", "TransactionEnded", "ResultNotified")
    row = world.one(s for s in world.commits(*kinds) if s.from_state != s.to_state)
    world.drop(row)
    world.sights.insert(len(world.sights) - 1, row)


def station_answered_first(world: World) -> None:
    charge = world.one(world.charges())
    assert charge.stop is not None
    said = charge.stop.said.payload["meterStop"]
    rows = [s for s in world.commits("TransactionStopped", "ChargeClosed", "StopKept") if str(said) in s.data]
    world.drop(*rows)
    world.sights[-1:-1] = rows


def row_gone(world: World) -> None:
    node, row = world.one(world.all_rows("journal"))
    world.set_rows(node, "journal", [each for each in world.rows(node, "journal") if each is not row])


def row_altered(world: World) -> None:
    node, row = world.one(world.all_rows("journal"))
    world.change_row(node, "journal", row, data=bytes(row["data"]).replace(b"0", b"1", 1) + b" ")


def other_memory(world: World) -> None:
    """An actor knows something that its journal does not; a partner's is no judge, which counts failures for itself."""
    streams = [(node, stream) for node, each in world.finals.items() for stream in sorted(each.live)]
    node, stream = world.one((node, stream) for node, stream in streams if not stream.startswith("peer/"))
    live = dict(world.finals[node].live)
    live[stream] = msgspec.json.encode({**msgspec.json.decode(live[stream]), "cause": "forged"}).decode()
    world.finals[node] = msgspec.structs.replace(world.finals[node], live=live)


def other_view(world: World) -> None:
    node, row = world.one(world.all_rows("transactions"))
    world.change_document(node, "transactions", row, version=1_000)


def other_snapshot(world: World) -> None:
    row = world.one(world.commits("AuthorizationIssued", "AuthorizationRequested"))
    snapshot = {"stream": row.stream, "seq": 1, "data": b'{"data": {"state": "Settled"}}'}
    world.set_rows(row.who, "snapshots", [*world.rows(row.who, "snapshots"), snapshot])


def problem_found(world: World) -> None:
    node = world.one(node for node in world.finals if not world.evidence.damaged.get(node))
    world.finals[node] = msgspec.structs.replace(world.finals[node], problems=("journal stream x, seq 1: altered",))


# -- I10, I11 ----------------------------------------------------------------------------------------------------------


def bound_exceeded(world: World) -> None:
    node = world.one(world.finals)
    bounds = (BoundSeen(name="actor_mailbox", highest=257, limit=256),)
    world.finals[node] = msgspec.structs.replace(world.finals[node], bounds=bounds)


def unanswered(world: World) -> None:
    """A call got no reply, though its line held for long enough."""
    world.sights[-1] = msgspec.structs.replace(world.sights[-1], at=world.sights[-1].at + 3_600)
    lasting = Evidence(world.history, world.finals)
    calls = [call for call in lasting.calls if call.arrivals and len(call.replies) == 1 and not world.is_nodes(call)]
    call = world.one(call for call in calls if gave_up_at(lasting, call) > call.arrivals[0].sight.at + 31)
    world.drop(call.replies[0][0].sight)


def answered_twice(world: World) -> None:
    call = world.one(world.station_calls())
    sight = call.replies[0][0].sight
    world.insert_after(sight, sight)


def answered_with_other_id(world: World) -> None:
    call = world.one(world.station_calls())
    sight = call.replies[0][0].sight
    world.swap(sight, msgspec.structs.replace(sight, text=sight.text.replace(call.said.id, "another")))


def answered_late(world: World) -> None:
    call = world.one(world.station_calls())
    sight = call.replies[0][0].sight
    world.swap(sight, msgspec.structs.replace(sight, at=sight.at + 31))


def request_answered_twice(world: World) -> None:
    sight = world.one(world.of(AnswerSent))
    copies = sum(1 for each in world.evidence.exchanges[sight.exchange].arrivals)
    world.insert_after(sight, *[sight] * copies)


@dataclass(frozen=True)
class Forgery:
    """One way to break a good world, and the invariant that must be named."""

    invariant: str
    forge: Callable[[World], None]

    @property
    def name(self) -> str:
        return self.forge.__name__


FORGERIES: tuple[Forgery, ...] = tuple(
    Forgery(invariant, forge)
    for invariant, forges in {
        "I1": (record_lost, record_at_somebody_else),
        "I2": (record_doubled, end_changed, charge_counted_twice, second_number, remote_start_twice),
        "I3": (second_active, never_closed),
        "I4": (stuck, not_drained),
        "I5": (one_wh_more, one_wh_less_metered, charge_nowhere),
        "I6": (undeclared_move, row_skipped, begins_elsewhere),
        "I7": (
            forged_and_done, asked_by_another, remote_start_unasked, blocked_and_served, blocked_partner_served,
            misuse_billed,
        ),
        "I8": (answered_first, station_answered_first, row_gone, row_altered),
        "I9": (other_memory, other_view, other_snapshot, problem_found),
        "I10": (bound_exceeded,),
        "I11": (unanswered, answered_twice, answered_with_other_id, answered_late, request_answered_twice),
    }.items()
    for forge in forges
)  # fmt: skip
