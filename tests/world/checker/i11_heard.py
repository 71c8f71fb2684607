"""I11, the other side of it: what a node took for an answer was one, and to that very request.

A grant, an acceptance, a refusal, a delivery that is done and what a station said to a command stand in the journal
only after the answer that says so had arrived: never another one's, never garbage, never one that did not come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.world.checker.evidence import Call, Evidence, Exchange, Fact, Placed
from tests.world.checker.verdict import Finding, Notes
from tests.world.checker.wire import frame, is_declined, is_done, soap

VERDICTS = ("Accepted", "Rejected", "Error")
DELIVERED = {"NotifyRequestResult": "notifyRequestResult", "EndTransaction": "endTransaction"}


class Heard:
    """The answers that arrived at each node, by what they answer."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._answers: defaultdict[tuple[str, ...], list[Exchange]] = defaultdict(list)
        self._commands: defaultdict[tuple[str, str, str], list[Call]] = defaultdict(list)
        for each in evidence.exchanges.values():
            if each.said is not None and each.outcome is not None:
                who, said = each.request.who, each.said
                key = said.request or said.name or said.fields.get("userIdentifier", "")
                self._answers[who, said.operation, key].append(each)
        for call in evidence.calls:
            if evidence.is_node(call.caller):
                key = str(call.said.payload.get("idTag") or call.said.payload.get("transactionId"))
                self._commands[call.caller, call.said.action, key].append(call)

    def done(self, index: int, *key: str) -> Iterator[Exchange]:
        """Exchanges whose answer had arrived by then and says that it was done."""
        for each in self._answers[key]:
            outcome = each.outcome
            if outcome is not None and each.heard_at < index and is_done(outcome.status, outcome.body):
                said = soap(outcome.body)
                if said is not None and said.operation == key[1]:
                    yield each

    def declined(self, index: int, *key: str) -> Iterator[Exchange]:
        for each in self._answers[key]:
            outcome = each.outcome
            if outcome is not None and each.heard_at < index and is_declined(outcome.status, outcome.body):
                yield each

    def verdicts(self, index: int, *key: str) -> set[str]:
        """What a station had said to such commands by then, in the journal's words."""
        replies = (p for call in self._commands[key[0], key[1], key[2]] for p in call.heard if p.index < index)
        return {_verdict(placed) for placed in replies}


def _verdict(placed: Placed) -> str:
    said = frame(placed.sight.text)
    if said is None or said.kind == 4:
        return "Error"
    return "Accepted" if said.payload.get("status") == "Accepted" else "Rejected"


def check(evidence: Evidence) -> Finding:
    notes, heard, answers = Notes("I11"), Heard(evidence), 0
    for (node, stream), rows in evidence.streams.items():
        opened = evidence.fact(rows[0])
        for placed in rows:
            judge = _JUDGES.get(placed.sight.type)
            if judge is not None:
                answers += 1
                reason = judge(heard, placed, evidence.fact(placed), opened)
                if reason:
                    notes.object(f"{stream} of {node} took {reason}", placed.sight)
    notes.count("answers taken that never came", len(notes.violations), answers)
    return notes.finding()


def _granted(heard: Heard, placed: Placed, fact: Fact, opened: Fact) -> str:
    name, user = fact["authorization_identifier"], opened["request"]["user_identifier"]
    exchanges = heard.done(placed.index, placed.sight.who, "authorize", user)
    answers = [soap(each.outcome.body) for each in exchanges if each.outcome and _same_asker(each, fact)]
    return "" if any(said and said.name == name for said in answers) else f"a grant of {name} that nobody gave it"


def _same_asker(each: Exchange, fact: Fact) -> bool:
    return each.request.correlation in ("", fact.get("correlation_id") or "")


def _accepted(heard: Heard, placed: Placed, fact: Fact, _: Fact) -> str:
    request = fact["request_identifier"]
    operations = ("requestStartTransaction", "requestStopTransaction")
    found = (each for op in operations for each in heard.done(placed.index, placed.sight.who, op, request))
    return "" if any(True for _ in found) else f"request {request} for accepted, and no answer said so"


def _declined(heard: Heard, placed: Placed, fact: Fact, _: Fact) -> str:
    request = fact["request_identifier"]
    operations = ("requestStartTransaction", "requestStopTransaction")
    found = (each for op in operations for each in heard.declined(placed.index, placed.sight.who, op, request))
    return "" if any(True for _ in found) else f"request {request} for declined, and no answer said so"


def _delivered(heard: Heard, placed: Placed, fact: Fact, _: Fact) -> str:
    """`message_id` is notify/<peer>/<name>/<request>/<result> or end/<peer>/<name>."""
    operation, parts = DELIVERED.get(fact["operation"], ""), fact["message_id"].split("/")
    if fact["status"] != "done" or not operation:
        return ""
    key = parts[-2] if operation == "notifyRequestResult" else parts[-1]
    found = heard.done(placed.index, placed.sight.who, operation, key)
    return "" if any(True for _ in found) else f"its {operation} for delivered, and no answer said so"


def _station_said(heard: Heard, placed: Placed, fact: Fact, opened: Fact) -> str:
    verdict, purpose = fact["outcome"]["verdict"], fact["purpose"]
    if verdict not in VERDICTS:
        return ""
    role, _, name = placed.sight.stream.partition("/")
    if role == "operation":
        return _operator_heard(heard, placed, verdict, opened)
    action = "RemoteStartTransaction" if purpose == "start" else "RemoteStopTransaction"
    tag = name if role == "destination" else str(opened.get("opening", {}).get("id_tag"))
    view = heard.evidence.views.get((placed.sight.who, placed.sight.stream), {})
    key = tag if purpose == "start" else str(view.get("station_transaction_id"))
    said = heard.verdicts(placed.index, placed.sight.who, action, key)
    return "" if verdict in said else f"{action} for {verdict}, and its station said {sorted(said) or 'nothing'}"


def _operator_heard(heard: Heard, placed: Placed, verdict: str, opened: Fact) -> str:
    """Of what operators ask, starts and stops alone have one name and one key in all versions."""
    action, asked = opened["command"], opened["shown"]
    if action not in ("RemoteStartTransaction", "RemoteStopTransaction"):
        return ""
    key = str(asked["id_tag"] if action == "RemoteStartTransaction" else asked["transaction_id"])
    said = heard.verdicts(placed.index, placed.sight.who, action, key)
    return "" if verdict in said else f"{action} for {verdict}, and its station said {sorted(said) or 'nothing'}"


_JUDGES: dict[str, Any] = {
    "AuthorizationGranted": _granted,
    "RequestAccepted": _accepted,
    "RequestDeclined": _declined,
    "DeliveryEnded": _delivered,
    "StationAnswered": _station_said,
}
