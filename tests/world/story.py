"""Good histories written by hand, for those who test the checkers: what a world without any fault would leave behind.

A `Story` keeps what each of its parts needs (the journals by way of the charts, the stores' rows, the network's
sights), so that telling one reads like the protocol itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from statecharts import station
from statecharts.chart import Decision
from statecharts.events import Event
from statecharts.views import destination_cdr, source_cdr
from tests.world.checker.i09_replay import KINDS
from tests.world.history import (
    TABLES,
    AnswerArrived,
    AnswerSent,
    AnySight,
    ChargeSeen,
    Committed,
    Finals,
    FrameArrived,
    FrameSent,
    History,
    LineOpened,
    NodeStarted,
    RequestArrived,
    RequestSent,
    Row,
    WorldBegan,
    WorldEnded,
)

EPOCH = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SOAP = '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><{0}>{1}</{0}></e:Body></e:Envelope>'
CDRS: dict[str, Any] = {"source": source_cdr, "destination": destination_cdr}


def element(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"


@dataclass
class Story:
    """A world of two operators, `HOME` and `AWAY`; CS1 of AWAY has two connectors. `s` is its time in seconds."""

    s: float = 0.0
    sights: list[AnySight] = field(default_factory=list)
    data: dict[tuple[str, str], Any] = field(default_factory=dict)
    rows: defaultdict[str, dict[str, list[Row]]] = field(
        default_factory=lambda: defaultdict(lambda: {table: [] for table in TABLES})
    )
    exchanges: int = 0
    calls: int = 0

    def __post_init__(self) -> None:
        began = WorldBegan(
            at=0.0,
            who="world",
            seed=0,
            operators=("HOME", "AWAY"),
            stations={"CS1": "AWAY"},
            connectors={"CS1": 2},
            epoch=EPOCH.isoformat(),
        )
        opened = LineOpened(at=0.0, who="CS1", connection=1, to="AWAY")
        started = (NodeStarted(at=0.0, who=node, life=1) for node in ("HOME", "AWAY"))
        self.sights += [began, *started, opened]

    @property
    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.s)

    def see(self, kind: Any, who: str, **what: Any) -> None:
        self.s += 0.001
        self.sights.append(kind(at=self.s, who=who, **what))

    def over(self) -> tuple[History, dict[str, Finals]]:
        """The whole story and what the stores hold now."""
        self.see(WorldEnded, "world", drained=True)
        live = {key: msgspec.json.encode(data).decode() for key, data in self.data.items()}
        finals = {
            node: Finals(
                node=node,
                tables={table: tuple(rows) for table, rows in self.rows[node].items()},
                live={stream: text for (where, stream), text in live.items() if where == node},
            )
            for node in ("HOME", "AWAY")
        }
        return History(self.sights), finals

    # -- nodes ---------------------------------------------------------------------------------------------------------

    def commit(self, node: str, stream: str, event: Event) -> None:
        """The event as this actor's chart takes it, in the journal and the tables beside it."""
        role = stream.partition("/")[0]
        if role == "station":
            before = self.data.get((node, stream), station.Station())
            after = station.apply(before, event)
            states = station.region_state(before, event), station.region_state(after, event)
        else:
            chart, blank, _ = KINDS[role]
            before = self.data.get((node, stream), blank)
            decision: Decision[Any] = chart.step(before, event)
            assert decision.fact is not None, (stream, before.state, event, decision)
            after, states = decision.data, (before.state, decision.data.state)
        self.data[node, stream] = after
        seq = self._write(node, stream, event, *states)
        if role in KINDS:
            self._show(node, stream, role, after, seq)

    def _write(self, node: str, stream: str, event: Event, from_state: str, to_state: str) -> int:
        journal = self.rows[node]["journal"]
        seq = 1 + sum(row["stream"] == stream for row in journal)
        content = {"from_state": from_state, "to_state": to_state, "type": type(event).__name__}
        where = {"position": len(journal) + 1, "stream": stream, "seq": seq}
        data = msgspec.json.encode(event)
        journal.append({**where, **content, "data": data})
        self.see(Committed, node, **where, **content, data=data.decode())
        return int(seq)

    def _show(self, node: str, stream: str, role: str, data: Any, seq: int) -> None:
        document = msgspec.json.encode(KINDS[role][2](data, seq))
        tables = self.rows[node]
        others = [row for row in tables["transactions"] if row["stream"] != stream]
        tables["transactions"] = [*others, {"stream": stream, "role": role, "state": data.state, "document": document}]
        cdr = CDRS[role](data) if role in CDRS else None
        if cdr is not None:
            others = [row for row in tables["ledger"] if row["stream"] != stream]
            row = {"role": role, "cdr_id": cdr.cdr_id, "stream": stream, "document": msgspec.json.encode(cdr)}
            tables["ledger"] = [*others, row]

    def owe(self, node: str, stream: str, operation: str, status: str = "done") -> None:
        self.rows[node]["deliveries"].append({"transaction": stream, "operation": operation, "status": status})

    def alias(self, node: str, scope: str, name: str, stream: str) -> None:
        self.rows[node]["aliases"].append({"scope": scope, "name": name, "stream": stream})

    # -- the network ---------------------------------------------------------------------------------------------------

    def ask(self, who: str, to: str, operation: str, content: str, **more: str) -> int:
        """A SOAP request that arrives."""
        self.exchanges += 1
        body = SOAP.format(f"{operation}Request", content)
        sent = {"protocol": "soap", "to": to, "method": "POST", "path": "/services", "body": body, **more}
        self.see(RequestSent, who, exchange=self.exchanges, **sent)
        self.see(RequestArrived, to, exchange=self.exchanges)
        return self.exchanges

    def answer(self, exchange: int, operation: str, content: str = "") -> None:
        """The answer to it, which arrives."""
        sent = next(s for s in self.sights if isinstance(s, RequestSent) and s.exchange == exchange)
        body = SOAP.format(f"{operation}Response", content)
        self.see(AnswerSent, sent.to, exchange=exchange, status=200, body=body)
        self.see(AnswerArrived, sent.who, exchange=exchange, status=200, body=body)

    def rest(self, to: str, path: str, stream: str, key: str = "") -> None:
        """An app's POST, answered with this transaction as it is now."""
        self.exchanges += 1
        sent = {"protocol": "rest", "to": to, "method": "POST", "path": path, "key": key}
        self.see(RequestSent, "app", exchange=self.exchanges, **sent)
        self.see(RequestArrived, to, exchange=self.exchanges)
        row = next(row for row in self.rows[to]["transactions"] if row["stream"] == stream)
        body = row["document"].decode()
        self.see(AnswerSent, to, exchange=self.exchanges, status=201, body=body)
        self.see(AnswerArrived, "app", exchange=self.exchanges, status=201, body=body)

    def frame(self, who: str, to: str, *parts: Any) -> None:
        text = json.dumps(parts, default=lambda time: time.isoformat())
        self.see(FrameSent, who, connection=1, text=text)
        self.see(FrameArrived, to, connection=1, text=text)

    def call(self, who: str, action: str, payload: Any) -> tuple[str, str, str]:
        """An OCPP call between CS1 and AWAY; returns what `reply` wants."""
        self.calls += 1
        to = "AWAY" if who == "CS1" else "CS1"
        self.frame(who, to, 2, f"c{self.calls}", action, payload)
        return to, who, f"c{self.calls}"

    def reply(self, call: tuple[str, str, str], payload: Any) -> None:
        to, who, identifier = call
        self.frame(to, who, 3, identifier, payload)

    def charge(self, **what: Any) -> None:
        self.see(ChargeSeen, "CS1", **what)
