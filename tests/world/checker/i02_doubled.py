"""I2: nothing is done twice.

At most one charge record per id at a partner and per charge at a station; the same content with every attempt; the same
number for the same start, and no number for two; no more remote starts than start requests.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.world.checker.evidence import Call, Evidence, Exchange
from tests.world.checker.i03_active import CREDIBLE_SINCE
from tests.world.checker.verdict import Finding, Notes
from tests.world.checker.wire import document, moment
from tests.world.ground import EPOCH


def check(evidence: Evidence) -> Finding:
    notes = Notes("I2")
    for judge in (_records, _ends_taken, _contents, _charges, _starts, _numbers, _remote_starts, _keys):
        judge(evidence, notes)
    notes.count("CDRs doubled", len(notes.violations), sum(map(len, evidence.cdrs.values())))
    return notes.finding()


def _records(evidence: Evidence, notes: Notes) -> None:
    for (source, cdr_id), rows in evidence.cdrs.items():
        if len(rows) > 1:
            notes.object(f"{source} has {len(rows)} charge records {cdr_id}")


def _ends_taken(evidence: Evidence, notes: Notes) -> None:
    """One stream takes one end, and one authorisation has one stream."""
    ends: defaultdict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for node in evidence.nodes:
        for placed in evidence.committed[node]:
            sight = placed.sight
            if sight.type == "TransactionEnded" and sight.to_state == "Settled" != sight.from_state:
                content = evidence.fact(placed)["message"]["transaction_data"]
                key = node, content["local_operator_identifier"], content["authorization_identifier"]
                ends[key].append(sight)
    for (source, destination, name), taken in ends.items():
        if len(taken) > 1:
            notes.object(f"{source} took the end of {destination}/{name} {len(taken)} times", *taken)


def _contents(evidence: Evidence, notes: Notes) -> None:
    said: dict[tuple[str, str], Exchange] = {}
    for each in evidence.soap_calls("endTransaction"):
        assert each.said is not None
        first = said.setdefault((each.request.who, each.said.name), each)
        assert first.said is not None
        if (first.said.fields, first.said.inner) != (each.said.fields, each.said.inner):
            excuse = evidence.excuse(each.request.who, f"destination/{each.said.name}")
            what = f"endTransaction of {each.said.name} changed between attempts"
            notes.object_unless(excuse, what, first.request, each.request)


def _charges(evidence: Evidence, notes: Notes) -> None:
    for (node, number), found in evidence.by_number.items():
        if len(found) > 1:
            notes.object(f"charge {number} of {node} is counted in {', '.join(sorted(stream for stream, _ in found))}")


def _starts(evidence: Evidence, notes: Notes) -> None:
    """One charge has one number. Whose clock cannot be believed begins another by saying the same once it is over; a
    node whose disk forgot the number may give another.
    """
    opened = _opened(evidence)
    for charge in evidence.charges:
        results = (result for call in charge.starts for result in call.results)
        answers = [(placed.sight, payload["transactionId"]) for placed, payload in results]
        over_at = min((placed.sight.at for call in charge.stops for placed, _ in call.results), default=math.inf)
        told = [
            (sight, number)
            for sight, number in answers
            if sight.at <= over_at
            or CREDIBLE_SINCE <= charge.began <= opened.get((charge.node, number), EPOCH + timedelta(seconds=sight.at))
        ]
        numbers = {number for _, number in told}
        if len(numbers) > 1:
            remembered = {number for sight, number in told if not _forgotten(evidence, sight, number)}
            excuse = evidence.excuse(charge.node, f"station/{charge.station}") if len(remembered) <= 1 else None
            notes.object_unless(excuse, f"{charge} got the numbers {sorted(numbers)}", *(sight for sight, _ in told))


def _forgotten(evidence: Evidence, answer: Any, number: int) -> bool:
    """Whether the node no longer has the row by which it gave this number before it said so."""
    rows = [placed for placed in evidence.ever[answer.who] if placed.sight.type == "ChargeOpened"]
    given = [row for row in rows if row.sight.at <= answer.at and evidence.fact(row)["number"] == number]
    return bool(given) and given[-1] not in evidence.committed[answer.who]


def _opened(evidence: Evidence) -> dict[tuple[str, int], datetime]:
    """When each number was given, by the later of the node's two clocks: DESIGN.md 2.6 asks what is ahead of them.

    A node whose machine's clock was set back while it was down does not know how long it was away.
    """
    opened: dict[tuple[str, int], datetime] = {}
    for node in evidence.nodes:
        for placed in evidence.ever[node]:
            if placed.sight.type == "ChargeOpened":
                fact = evidence.fact(placed)
                later = timedelta(seconds=max(0.0, fact.get("ahead_s", 0.0)))
                opened.setdefault((node, fact["number"]), moment(fact["at"]) + later)
    return opened


def _numbers(evidence: Evidence, notes: Notes) -> None:
    owners: defaultdict[tuple[str, int], list[Any]] = defaultdict(list)
    for charge in evidence.charges:
        for number in {number for number, _ in charge.verdicts}:
            owners[charge.node, number].append(charge)
    for (node, number), charges in owners.items():
        if len(charges) > 1:
            what = f"{node} gave the number {number} to {', '.join(map(repr, charges))}"
            reasons = (evidence.excuse(node, f"station/{charge.station}") for charge in charges)
            notes.object_unless(next(filter(None, reasons), None), what)


def remote_starts(evidence: Evidence) -> Iterator[Call]:
    """Every RemoteStartTransaction that a node sent."""
    calls = (call for call in evidence.calls if call.said.action == "RemoteStartTransaction")
    return (call for call in calls if evidence.is_node(call.caller))


def _keys(evidence: Evidence, notes: Notes) -> None:
    """A request repeated under its Idempotency-Key is answered with the same transaction and operation.

    It may be another who repeats it, who has overheard it.
    """
    made: dict[tuple[str, ...], tuple[Any, Any]] = {}
    for each in evidence.exchanges.values():
        asked, first_asked = each.request, evidence.exchanges.get(each.request.repeats or 0, each).request
        for answer in each.answers if asked.key else ():
            result = _made(answer.sight)
            key = first_asked.who, asked.to, asked.path, asked.key, asked.body
            if result is None:
                continue
            first, shown = made.setdefault(key, (result, answer.sight))
            is_kept = _is_kept(evidence, asked.to, shown.at, answer.sight.at)
            if result != first and (is_kept or result[0] != first[0]):
                what = f"{asked.who} repeated {asked.path} under {asked.key} and got {result} after {first}"
                notes.object(what, shown, asked, answer.sight)


KEPT_S = 86_400.0
"""How long a node keeps its answers."""

WRITTEN_IN_S = 60.0
"""Within what time it writes them down, half a minute of a slow disk and several commits included."""


def _is_kept(evidence: Evidence, node: str, answered_at: float, asked_again_at: float) -> bool:
    """Whether the first answer must be there still. Without it the transaction is shown as it is now, with the
    operation that is its newest."""
    lost = any(0 <= crash.sight.at - answered_at < WRITTEN_IN_S for crash in evidence.crashes[node])
    return not lost and asked_again_at - answered_at < KEPT_S


def _made(sight: Any) -> tuple[str, str] | None:
    """The transaction, and the operation if it names one, in an answer that something was done."""
    made = document(sight.body) if 200 <= sight.status < 300 else None
    if not isinstance(made, dict):
        return None
    transaction, operation = made.get("transaction", made), made.get("operation") or {}
    return transaction.get("transaction_id", ""), operation.get("request_identifier", "")


def _remote_starts(evidence: Evidence, notes: Notes) -> None:
    asked: Counter[tuple[str, str]] = Counter()
    for node in evidence.nodes:
        for sight in (placed.sight for placed in evidence.ever[node] if placed.sight.type == "StartRequested"):
            asked[node, sight.stream.removeprefix("destination/")] += 1
    sent: defaultdict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in remote_starts(evidence):
        sent[call.caller, call.said.payload["idTag"]].append(call)
    for (node, name), calls in sent.items():
        if (node, name) in evidence.grants and len(calls) > asked[node, name]:
            what = f"{node} sent {len(calls)} remote starts for {name}, of which {asked[node, name]} were asked for"
            notes.object(what, *(call.sight for call in calls))
