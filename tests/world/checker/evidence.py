"""A history and its final stores, looked at from the sides that checkers ask about; nothing is judged here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec

from tests.world.checker import newer
from tests.world.checker.parts import Call, Charge, Exchange, Placed
from tests.world.checker.wire import frame, moment, soap
from tests.world.history import (
    AllFinals,
    AnswerArrived,
    AnswerSent,
    ChargeSeen,
    Committed,
    Finals,
    FrameArrived,
    FrameSent,
    History,
    LineClosed,
    LineOpened,
    NodeCrashed,
    RequestArrived,
    RequestSent,
    Row,
    RowDamaged,
    RowsLost,
    Sight,
)

Fact = dict[str, Any]


class Evidence:
    """One world: see the module's docstring. Everything is looked up once.

    `committed` and `streams` are the rows that the journals have, `ever` also those that were cut off at rest.
    """

    def __init__(self, history: History, finals: AllFinals) -> None:
        self.history, self.finals = history, finals
        self.began = history.began
        self.exchanges: dict[int, Exchange] = {}
        self.calls: list[Call] = []
        self.ever: defaultdict[str, list[Placed]] = defaultdict(list)
        self.committed: defaultdict[str, list[Placed]] = defaultdict(list)
        self.streams: defaultdict[tuple[str, str], list[Placed]] = defaultdict(list)
        self.closed: dict[int, Placed] = {}
        self.lines: dict[int, LineOpened] = {}
        self.crashes: defaultdict[str, list[Placed]] = defaultdict(list)
        self.damaged: dict[str, set[str]] = defaultdict(set)
        self.cuts: defaultdict[str, list[Placed]] = defaultdict(list)
        self.strays: list[Placed] = []
        self._open_calls: dict[tuple[int, str, str], Call] = {}
        self._named: dict[tuple[str, str, str], int] = {}
        for index, sight in enumerate(history):
            reader = _READERS.get(type(sight))
            if reader is not None:
                reader(self, Placed(index, sight))

    # -- reading -------------------------------------------------------------------------------------------------------

    def _request(self, placed: Placed) -> None:
        self.exchanges[placed.sight.exchange] = Exchange(placed.index, placed.sight)

    def _arrived(self, placed: Placed) -> None:
        self.exchanges[placed.sight.exchange].arrivals.append(placed)

    def _answered(self, placed: Placed) -> None:
        self.exchanges[placed.sight.exchange].answers.append(placed)

    def _heard(self, placed: Placed) -> None:
        each = self.exchanges[placed.sight.exchange]
        each.outcome, each.heard_at = placed.sight, placed.index

    def _commit(self, placed: Placed) -> None:
        if placed.sight.type == "ChargeOpened":
            fact, station = self.fact(placed), placed.sight.stream.removeprefix("station/")
            self._named[placed.sight.who, station, fact.get("reference", "")] = int(fact["number"])
        self.ever[placed.sight.who].append(placed)
        self.committed[placed.sight.who].append(placed)
        self.streams[placed.sight.who, placed.sight.stream].append(placed)

    def _line(self, placed: Placed) -> None:
        self.lines[placed.sight.connection] = placed.sight

    def _line_closed(self, placed: Placed) -> None:
        self.closed[placed.sight.connection] = placed

    def _crash(self, placed: Placed) -> None:
        self.crashes[placed.sight.who].append(placed)

    def _row_damaged(self, placed: Placed) -> None:
        self.damaged[placed.sight.who].add(placed.sight.stream)

    def _rows_lost(self, placed: Placed) -> None:
        """What was durable once is gone; its streams go on from what is left of them."""
        node, position = placed.sight.who, placed.sight.position
        self.cuts[node].append(placed)
        gone = [each for each in self.committed[node] if each.sight.position > position]
        self.committed[node] = [each for each in self.committed[node] if each.sight.position <= position]
        for stream in {each.sight.stream for each in gone}:
            self.damaged[node].add(stream)
            self.streams[node, stream] = [p for p in self.streams[node, stream] if p.sight.position <= position]
            if not self.streams[node, stream]:
                del self.streams[node, stream]

    def _frame_sent(self, placed: Placed) -> None:
        said = frame(placed.sight.text)
        if said is None:
            return
        who, connection = placed.sight.who, placed.sight.connection
        if said.kind == 2:
            key = connection, who, said.id
            if key not in self._open_calls:
                in_old_words = newer.asked(said, self._number_of(connection))
                self._open_calls[key] = Call(placed.index, placed.sight, in_old_words, newer.reference_in(said))
                self.calls.append(self._open_calls[key])
            return
        call = self._open_calls.get((connection, self._other(connection, who), said.id))
        if call is None:
            self.strays.append(placed)
        else:
            call.replies.append((placed, newer.answered(call.said, said, call.reference, self._number_of(connection))))

    def _frame_arrived(self, placed: Placed) -> None:
        said = frame(placed.sight.text)
        if said is None:
            return
        who, connection = placed.sight.who, placed.sight.connection
        caller = self._other(connection, who) if said.kind == 2 else who
        call = self._open_calls.get((connection, caller, said.id))
        if call is not None:
            (call.arrivals if said.kind == 2 else call.heard).append(placed)

    def _number_of(self, connection: int) -> newer.NumberOf:
        """What the node at the end of this line has opened for a transaction that its station calls so."""
        line = self.lines.get(connection)
        return lambda reference: self._named.get((line.to, line.who, reference)) if line else None

    def _other(self, connection: int, who: str) -> str:
        line = self.lines.get(connection)
        if line is None:
            return ""
        return line.to if who == line.who else line.who

    # -- nodes ---------------------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> tuple[str, ...]:
        return self.began.operators

    def is_node(self, who: str) -> bool:
        return who in self.began.operators

    def rows(self, node: str, table: str) -> tuple[Row, ...]:
        found = self.finals.get(node)
        return found.rows(table) if found else ()

    def documents(self, node: str, table: str) -> Iterator[tuple[Row, dict[str, Any]]]:
        """The rows of a table with the document that each holds; one that was damaged at rest is left out."""
        for row in self.rows(node, table):
            try:
                yield row, msgspec.json.decode(row["document"])
            except msgspec.DecodeError:
                continue

    def excuse(self, node: str, stream: str) -> str | None:
        """The named damage because of which this stream may be behind: altered or cut at rest, and said to be so.

        Its own, or that of the station and the partner whose actors it cannot do without.
        """
        damaged = self.damaged.get(node)
        if not damaged:
            return None
        view = self.views.get((node, stream), {})
        needed = (stream, f"station/{view.get('local_service_identifier')}", f"peer/{view.get('pms_identifier')}")
        found = next((each for each in needed if each in damaged), None)
        return f"{found} of {node} was damaged at rest" if found else None

    @cached_property
    def end_at(self) -> float:
        return self.history.sights[-1].at

    # -- what is known of the roaming ----------------------------------------------------------------------------------

    def soap_calls(self, operation: str) -> Iterator[Exchange]:
        """What partners asked of each other: nothing that somebody else had a hand in."""
        return (each for each in self.exchanges.values() if each.is_honest and each.is_about(operation))

    @cached_property
    def grants(self) -> dict[tuple[str, str], str]:
        """(Destination, authorizationIdentifier) -> the Source that it was granted to, by the answers on the wire."""
        found = {}
        for each in self.soap_calls("authorize"):
            for answer in each.taken():
                said = soap(answer.sight.body)
                if said is not None and said.name:
                    found[each.request.to, said.name] = each.request.who
        return found

    @cached_property
    def source_streams(self) -> dict[tuple[str, str, str], str]:
        """(Source, Destination, authorizationIdentifier) -> the Source's stream, by the grants that it wrote down."""
        found = {}
        for node in self.nodes:
            for row in self.rows(node, "aliases"):
                scope, _, peer = str(row["scope"]).partition("/")
                if scope == "source-authorization":
                    found[node, peer, str(row["name"])] = str(row["stream"])
        return found

    def cdr_excuse(self, destination: str, source: str, name: str) -> str | None:
        """Why this charge record may be missing at its Source: damage at rest at one of the two."""
        stream = self.source_streams.get((source, destination, name), "")
        lost = self.excuse(destination, f"destination/{name}") or self.excuse(source, stream)
        if lost is None and not stream and self.damaged.get(source):
            return f"{source} lost rows at rest, and no longer knows {name}"
        return lost

    @cached_property
    def cdrs(self) -> dict[tuple[str, str], list[tuple[Row, dict[str, Any]]]]:
        """(Source, cdr_id) -> the charge records that it holds."""
        found: defaultdict[tuple[str, str], list[tuple[Row, dict[str, Any]]]] = defaultdict(list)
        for node in self.nodes:
            for row, document in self.documents(node, "ledger"):
                if row["role"] == "source":
                    found[node, row["cdr_id"]].append((row, document))
        return dict(found)

    @cached_property
    def made(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """(Destination, cdr_id) -> the charge record as it made it."""
        found: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for node in self.nodes:
            for row, document in self.documents(node, "ledger"):
                if row["role"] == "destination":
                    found[node, row["cdr_id"]].append(document)
        return dict(found)

    @cached_property
    def views(self) -> dict[tuple[str, str], dict[str, Any]]:
        """(node, stream) -> the transaction as it stands in the node's list."""
        return {
            (node, row["stream"]): document
            for node in self.nodes
            for row, document in self.documents(node, "transactions")
        }

    # -- what is known of the charges ----------------------------------------------------------------------------------

    @cached_property
    def charges(self) -> tuple[Charge, ...]:
        """Every charge that a station spoke of, or saw itself, with its starts and stops."""
        return tuple(_charges(self))

    @cached_property
    def by_number(self) -> dict[tuple[str, int], list[tuple[str, dict[str, Any]]]]:
        """(node, transactionId) -> the streams and views of the transactions that have this number."""
        found: defaultdict[tuple[str, int], list[tuple[str, dict[str, Any]]]] = defaultdict(list)
        for (node, stream), view in self.views.items():
            number = view.get("station_transaction_id")
            if number is not None and number > 0:
                found[node, number].append((stream, view))
        return dict(found)

    @cached_property
    def beside(self) -> dict[tuple[str, str], set[tuple[datetime, str]]]:
        """(node, station) -> the readings (time, value) that are kept beside the journal, as nobody's or as orphans."""
        found: defaultdict[tuple[str, str], set[tuple[datetime, str]]] = defaultdict(set)
        for node in self.nodes:
            for table in ("meter_values", "orphans"):
                for row in self.rows(node, table):
                    samples = msgspec.json.decode(row["body"]).get("samples", ())
                    found[node, row["station"]] |= {(moment(each["timestamp"]), each["value"]) for each in samples}
        return dict(found)

    @cached_property
    def judged(self) -> dict[tuple[str, int], str]:
        """(node, transactionId) -> the stream of the transaction that a charge was judged to be, newest word."""
        found = {}
        for node in self.nodes:
            for placed in self.committed[node]:
                if placed.sight.type == "ChargeJudged":
                    fact = self.fact(placed)
                    found[node, fact["number"]] = str(fact["transaction"])
        return found

    @cached_property
    def opened(self) -> dict[tuple[str, str, int, datetime, int], int]:
        """(node, station, connector, began, meter start) -> the number that the node wrote down for such a start."""
        found = {}
        for node in self.nodes:
            for placed in self.committed[node]:
                if placed.sight.type == "ChargeOpened":
                    fact, station = self.fact(placed), placed.sight.stream.removeprefix("station/")
                    start = fact["start"]
                    key = node, station, start["connector_id"], moment(start["timestamp"]), start["meter_start_wh"]
                    found[key] = int(fact["number"])
        return found

    def number_of(self, charge: Charge) -> int | None:
        """The charge's number: the one it was told, else the one that was written down and never told."""
        key = charge.node, charge.station, charge.connector, charge.began, charge.meter_start
        return charge.number if charge.number is not None else self.opened.get(key) or self.named(charge)

    def named(self, charge: Charge) -> int | None:
        """The number that was opened for it by the station's own name for it (OCPP 2.x)."""
        names = (call.reference for call in (*charge.starts, *charge.stops) if call.reference)
        return next((n for name in names if (n := self._named.get((charge.node, charge.station, name)))), None)

    def is_of(self, charge: Charge, stream: str) -> bool:
        """Whether the charge belongs to this transaction."""
        number = self.number_of(charge)
        return number is not None and self.judged.get((charge.node, number)) == stream

    def fact(self, placed: Placed) -> Fact:
        """What a row of the journal holds."""
        found: Fact = msgspec.json.decode(placed.sight.data)
        return found


_READERS: dict[type[Sight], Any] = {
    RequestSent: Evidence._request,
    RequestArrived: Evidence._arrived,
    AnswerSent: Evidence._answered,
    AnswerArrived: Evidence._heard,
    Committed: Evidence._commit,
    LineOpened: Evidence._line,
    LineClosed: Evidence._line_closed,
    NodeCrashed: Evidence._crash,
    RowDamaged: Evidence._row_damaged,
    RowsLost: Evidence._rows_lost,
    FrameSent: Evidence._frame_sent,
    FrameArrived: Evidence._frame_arrived,
}


Key = tuple[str, int, datetime, int]


def _charges(evidence: Evidence) -> Iterable[Charge]:
    found: dict[Key, Charge] = {}
    for call in evidence.calls:
        if call.said.action == "StartTransaction":
            _charge_of(evidence, found, call).starts.append(call)
    for seen in evidence.history.of(ChargeSeen):
        began = moment(seen.started_at)
        key = seen.who, seen.connector_id, began, seen.meter_start_wh
        node = evidence.began.stations[seen.who]
        charge = found.get(key) or Charge(seen.who, node, seen.connector_id, seen.id_tag, began, seen.meter_start_wh)
        charge.truth = found.setdefault(key, charge).truth = seen
    stops = _by_station(call for call in evidence.calls if call.said.action == "StopTransaction")
    for charge in found.values():
        charge.stops = [call for call in stops.get(charge.station, ()) if _ends(call, charge)]
    return found.values()


def _charge_of(evidence: Evidence, found: dict[Key, Charge], call: Call) -> Charge:
    said, station = call.said.payload, call.caller
    began = moment(said["timestamp"])
    key = station, said["connectorId"], began, said["meterStart"]
    node = evidence.began.stations[station]
    return found.setdefault(key, Charge(station, node, key[1], said["idTag"], began, said["meterStart"]))


def _by_station(calls: Iterable[Call]) -> dict[str, list[Call]]:
    found: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        found[call.caller].append(call)
    return dict(found)


def _ends(call: Call, charge: Charge) -> bool:
    said = call.said.payload
    if charge.truth is not None and charge.truth.stopped_at is not None:
        same_time = moment(said["timestamp"]) == moment(charge.truth.stopped_at)
        return same_time and said["meterStop"] == charge.truth.meter_stop_wh
    return said["transactionId"] > 0 and said["transactionId"] in [number for number, _ in charge.verdicts]


__all__ = ["Call", "Charge", "Evidence", "Exchange", "Fact", "Finals", "Placed"]
