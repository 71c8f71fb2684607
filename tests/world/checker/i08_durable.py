"""I8: what was acknowledged is durable, and what is said was written down first.

Each acknowledgement and each message that left a node is held against the rows that its disk had by then; and every row
that the disk ever had is still there at the end, byte for byte, but for what was archived or damaged by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.world.checker.evidence import Call, Evidence, Exchange, Fact, Placed
from tests.world.checker.newer import OCCUPIED
from tests.world.checker.verdict import Finding, Notes
from tests.world.checker.wire import document, moment, soap

Key = tuple[Any, ...]

FAILING = ("StationAnswered", "DeadlineReached", "ConnectorTaken")
"""What makes a request fail at its Destination."""


def check(evidence: Evidence) -> Finding:
    notes, written = Notes("I8"), Written(evidence)
    acks = sum(_acknowledged(evidence, notes, written, each) for each in evidence.exchanges.values())
    acks += sum(_answered(evidence, notes, written, call) for call in evidence.calls)
    said = sum(_said(notes, written, each) for each in evidence.exchanges.values())
    said += sum(_shown(notes, written, each) for each in evidence.exchanges.values())
    missing = len(notes.violations)
    kept = _all_kept(evidence, notes)
    notes.count("acknowledged and not durable, or said too soon", missing, acks + said)
    notes.count("rows gone", len(notes.violations) - missing, kept)
    return notes.finding()


class Written:
    """When each thing that a row of the journal says was first durable, as its place in the history."""

    def __init__(self, evidence: Evidence) -> None:
        self.first: dict[Key, int] = {}
        self.statuses: defaultdict[Key, list[tuple[int, str]]] = defaultdict(list)
        self._rows: defaultdict[Key, list[tuple[int, Key, str]]] = defaultdict(list)
        self._requests: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for node in evidence.nodes:
            for placed in evidence.ever[node]:
                fact = evidence.fact(placed)
                for key in (*_keys(node, placed, fact), *self._results(node, placed, fact)):
                    self.first.setdefault(key, placed.index)
                self._note_status(node, placed, fact)

    def _note_status(self, node: str, placed: Placed, fact: Fact) -> None:
        """A row where others had stood shows that a damaged disk has lost these: what was before them holds again."""
        stream = node, placed.sight.stream
        lost = [row for row in self._rows[stream] if row[0] >= placed.sight.seq]
        rows = self._rows[stream] = [row for row in self._rows[stream] if row[0] < placed.sight.seq]
        for where in {where: None for _, where, _ in lost}:
            before = [status for _, here, status in rows if here == where]
            self.statuses[where].append((placed.index, before[-1] if before else "Unknown"))
        if placed.sight.type == "StatusReported":
            where = node, placed.sight.stream.removeprefix("station/"), fact["connector_id"]
            rows.append((placed.sight.seq, where, str(fact["status"])))
            self.statuses[where].append((placed.index, str(fact["status"])))

    def before(self, index: int, *keys: Key) -> bool:
        """Whether any of these was durable before this place in the history."""
        return any(self.first.get(key, index) < index for key in keys)

    def _results(self, node: str, placed: Placed, fact: Fact) -> Iterator[Key]:
        """What a Destination may tell of its requests from this row on: yes once it charges, no after a failure."""
        sight = placed.sight
        if not sight.stream.startswith("destination/"):
            return
        requests = self._requests[node, sight.stream]
        if sight.type in ("StartRequested", "StopRequested"):
            requests.append(fact["request_identifier"])
        succeeded = sight.to_state in ("TxRunning", "StopTxRequested", "TxFinished", "Settled")
        failed = sight.from_state in ("StartTxRequested", "StopTxRequested") and sight.type in FAILING
        for request in requests:
            if succeeded:
                yield node, "result", request, True
            if failed:
                yield node, "result", request, False

    def statuses_between(self, first: int, last: int, *where: Any) -> set[str]:
        """What the connector's status was, as it was written down, from one place in the history to another."""
        known = [(place, status) for place, status in self.statuses[where] if place < last]
        then = [status for place, status in known if place < first]
        return {status for place, status in known if place >= first} | set(then[-1:])


def _keys(node: str, placed: Placed, fact: Fact) -> Iterator[Key]:
    """What a row makes true, as the keys that acknowledgements ask for."""
    role, _, name = placed.sight.stream.partition("/")
    yield node, placed.sight.stream, placed.sight.seq, placed.sight.to_state
    says = _SAYS.get(placed.sight.type)
    for key in says(fact, role, name) if says else ():
        yield node, *key
    if role == "destination" and placed.sight.to_state in ("TxFinished", "Settled"):
        yield node, "ended", name


def _stop_said(fact: Fact, *_: str) -> Iterator[Key]:
    stop = fact.get("stop")
    if stop:
        yield "stop", moment(stop["timestamp"]), stop["meter_stop_wh"]


def _samples_said(fact: Fact, *_: str) -> Iterator[Key]:
    for each in fact.get("samples", ()):
        yield "meter", moment(each["timestamp"]), each["value"]


def _event_said(fact: Fact, *_: str) -> Iterator[Key]:
    """An event of OCPP 2.x of a transaction that nobody pays for yet: its readings, and its end."""
    event = fact["event"]
    yield from _samples_said(event)
    for each in event.get("samples", ()) if event["kind"] == "Ended" else ():
        yield "stop", moment(event["timestamp"]), int(each["value"])


_SAYS: dict[str, Callable[[Fact, str, str], Iterable[Key]]] = {
    "AuthorizationIssued": lambda fact, *_: [("AuthorizationIssued", fact["id"])],
    "StartRequested": lambda fact, role, _: [("StartRequested", role, fact["request_identifier"])],
    "StopRequested": lambda fact, role, _: [("StopRequested", role, fact["request_identifier"])],
    "ResultNotified": lambda fact, *_: [("ResultNotified", fact["request_identifier"], fact["success"])],
    "ProgressReported": lambda fact, *_: [("report", fact["content"]["authorization_identifier"])],
    "TransactionEnded": lambda fact, *_: [
        (kind, fact["message"]["authorization_identifier"]) for kind in ("report", "TransactionEnded")
    ],
    "ChargeJudged": lambda fact, _, name: [("judged", name, fact["number"], fact["id_tag_info"]["status"])],
    "TransactionStopped": lambda fact, *_: [("stop", moment(fact["timestamp"]), fact["meter_stop_wh"])],
    "StopKept": _stop_said,
    "ChargeClosed": _stop_said,
    "MeterRead": _samples_said,
    "TransactionHeard": _event_said,
    "Booted": lambda _, __, name: [("Booted", name)],
}


# -- what partners were answered ---------------------------------------------------------------------------------------


def _acknowledged(evidence: Evidence, notes: Notes, written: Written, each: Exchange) -> int:
    if each.said is None:
        return 0
    proof = _PROOFS.get(each.said.operation)
    taken = list(each.taken()) if proof else []
    for answer in taken:
        assert proof is not None
        keys = tuple(proof(each, answer))
        if not written.before(answer.index, *keys):
            what = f"{answer.sight.who} acknowledged {each.said.operation} and had not written it down"
            notes.object(what, each.request, answer.sight)
    return len(taken)


def _grant(each: Exchange, answer: Placed) -> Iterator[Key]:
    said = soap(answer.sight.body)
    yield each.request.to, "AuthorizationIssued", said.name if said else ""


def _request(kind: str) -> Callable[[Exchange, Placed], Iterator[Key]]:
    def keys(each: Exchange, _: Placed) -> Iterator[Key]:
        assert each.said is not None
        yield each.request.to, kind, "destination", each.said.request

    return keys


def _result(each: Exchange, _: Placed) -> Iterator[Key]:
    assert each.said is not None
    success = each.said.fields.get("requestSuccess") in ("true", "1")
    yield each.request.to, "ResultNotified", each.said.request, success


def _report(each: Exchange, _: Placed) -> Iterator[Key]:
    """Progress after the end says nothing new, and leaves nothing but the end itself."""
    assert each.said is not None
    yield each.request.to, "report", each.said.name


def _end(each: Exchange, _: Placed) -> Iterator[Key]:
    assert each.said is not None
    yield each.request.to, "TransactionEnded", each.said.name


_PROOFS: dict[str, Callable[[Exchange, Placed], Iterator[Key]]] = {
    "authorize": _grant,
    "requestStartTransaction": _request("StartRequested"),
    "requestStopTransaction": _request("StopRequested"),
    "notifyRequestResult": _result,
    "transactionProgressUpdate": _report,
    "endTransaction": _end,
}


# -- what was said of oneself ------------------------------------------------------------------------------------------


def _said(notes: Notes, written: Written, each: Exchange) -> int:
    """A request that left a node says only what its journal said already."""
    if each.said is None or not each.is_honest:
        return 0
    who, success = each.request.who, each.said.fields.get("requestSuccess") in ("true", "1")
    needed: dict[str, Key] = {
        "requestStartTransaction": (who, "StartRequested", "source", each.said.request),
        "endTransaction": (who, "ended", each.said.name),
        "notifyRequestResult": (who, "result", each.said.request, success),
    }
    key = needed.get(each.said.operation)
    if key is not None and not written.before(each.index, key):
        notes.object(f"{who} sent {each.said.operation} before its journal had the reason", each.request)
    return key is not None


# -- what apps were shown ----------------------------------------------------------------------------------------------


def _shown(notes: Notes, written: Written, each: Exchange) -> int:
    """A transaction that an app or an operator was shown is as the journal had it: `version` is its newest row."""
    shown = 0
    for answer in each.answers if each.request.protocol == "rest" else ():
        for view in _transactions(document(answer.sight.body)):
            shown += 1
            row = (answer.sight.who, f"{view['role']}/{view['transaction_id']}", view["version"], view["state"])
            if not written.before(answer.index, row):
                what = f"{row[0]} showed {row[1]} as {row[3]} in version {row[2]}, which was not written down"
                notes.object(what, each.request, answer.sight)
    return shown


def _transactions(shown: Any) -> Iterator[dict[str, Any]]:
    """Every transaction in an answer: alone, beside its operation, or in a list."""
    match shown:
        case {"transaction_id": _, "version": _, "role": _, "state": _}:
            yield shown
        case {"transaction": dict(inner)}:
            yield from _transactions(inner)
        case {"items": list(items)}:
            for item in items:
                yield from _transactions(item)


# -- what stations were answered ---------------------------------------------------------------------------------------


def _answered(evidence: Evidence, notes: Notes, written: Written, call: Call) -> int:
    prove = _REPORTS.get(call.said.action)
    if prove is None or evidence.is_node(call.caller):
        return 0
    results = list(call.results)
    for placed, payload in results:
        if not prove(evidence, written, call, placed, payload):
            what = f"{placed.sight.who} answered {call.said.action} of {call.caller} and had not written it down"
            notes.object_unless(_taken_back(evidence, call, placed), what, call.sight, placed.sight)
    return len(results)


def _taken_back(evidence: Evidence, call: Call, placed: Placed) -> str | None:
    """Why readings of nobody's may be gone: no row of a journal names them, so they are looked for at the end alone."""
    node = placed.sight.who
    cut = call.said.action == "MeterValues" and any(each.index > placed.index for each in evidence.cuts[node])
    return f"the newest commits of {node} were taken back at rest" if cut else None


def _proves_start(_: Evidence, written: Written, call: Call, placed: Placed, payload: Any) -> bool:
    number, status = payload["transactionId"], payload["idTagInfo"]["status"]
    return written.before(placed.index, (placed.sight.who, "judged", call.caller, number, status))


def _proves_stop(_: Evidence, written: Written, call: Call, placed: Placed, __: Any) -> bool:
    said = call.said.payload
    return written.before(placed.index, (placed.sight.who, "stop", moment(said["timestamp"]), said["meterStop"]))


def _proves_boot(_: Evidence, written: Written, call: Call, placed: Placed, __: Any) -> bool:
    return written.before(placed.index, (placed.sight.who, "Booted", call.caller))


def _proves_status(evidence: Evidence, written: Written, call: Call, placed: Placed, _: Any) -> bool:
    """What a connector says that the place does not have is answered and not kept."""
    said = call.said.payload
    if not 0 <= said["connectorId"] <= evidence.began.connectors[call.caller]:
        return True
    where = placed.sight.who, call.caller, said["connectorId"]
    known = written.statuses_between(call.index, placed.index, *where)
    return bool(known & set(OCCUPIED)) if said["status"] == "Occupied" else said["status"] in known


def _proves_meter(evidence: Evidence, written: Written, call: Call, placed: Placed, _: Any) -> bool:
    """Readings stand in a transaction, or, being nobody's, in the tables beside the journal at the end."""
    node, station = placed.sight.who, call.caller
    sampled = ((each["timestamp"], each["sampledValue"]) for each in call.said.payload["meterValue"])
    values = [(moment(at), sample["value"]) for at, samples in sampled for sample in samples]
    beside = evidence.beside.get((node, station), set())
    inside = all(written.before(placed.index, (node, "meter", *value)) or value in beside for value in values)
    return inside or any(str(row["stream"]).endswith(f"/{station}") for row in evidence.rows(node, "archive"))


_REPORTS: dict[str, Callable[[Evidence, Written, Call, Placed, Any], bool]] = {
    "StartTransaction": _proves_start,
    "StopTransaction": _proves_stop,
    "BootNotification": _proves_boot,
    "StatusNotification": _proves_status,
    "MeterValues": _proves_meter,
}


# -- what is left at the end -------------------------------------------------------------------------------------------


def _all_kept(evidence: Evidence, notes: Notes) -> int:
    """Every row that was durable once is in the journal, or was archived with its stream, or damaged by name."""
    rows = 0
    for node in evidence.nodes:
        left = {(row["stream"], row["seq"]): row for row in evidence.rows(node, "journal")}
        archived: dict[str, int] = {}
        for row in evidence.rows(node, "archive"):
            archived[row["stream"]] = max(archived.get(row["stream"], 0), row["last_seq"])
        for placed in evidence.committed[node]:
            sight = placed.sight
            rows += 1
            row_left = left.get((sight.stream, sight.seq))
            if sight.seq > archived.get(sight.stream, 0) and (row_left is None or not _same(row_left, sight)):
                what = f"row {sight.stream}/{sight.seq} of {node} is {'altered' if row_left else 'gone'}"
                notes.object_unless(evidence.excuse(node, sight.stream), what, sight)
    return rows


def _same(row: dict[str, Any], sight: Any) -> bool:
    columns = (row["position"], row["type"], row["from_state"], row["to_state"])
    same = columns == (sight.position, sight.type, sight.from_state, sight.to_state)
    return same and bytes(row["data"]).decode() == sight.data
