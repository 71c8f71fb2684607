"""I11: every call is answered once.

A well-formed CALL that reached the other side gets one reply with its own id within 30 s, or its connection ends; a
message that comes again gets its first answer again, and never more answers than it came. What a station of ours says
is sound: a node whose store works answers it, and not with an error. No reply has the id of a call
that was never made. A partner's or an app's request gets one answer for each time it arrived, unless its node died.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.world.checker.evidence import Call, Evidence, Exchange
from tests.world.checker.verdict import Finding, Notes, quantile
from tests.world.history import CommitFailed

RESULT = 3
ANSWER_S = 30.0
GIVES_UP_S = 20.0
"""A node that has waited so long for its store may say that it could not."""
REQUEST_S = 60.0
"""How long a request by HTTP may be under way at a node: longer than any deadline of what it waits for."""


def check(evidence: Evidence) -> Finding:
    notes = Notes("I11")
    calls = [call for call in evidence.calls if call.arrivals and evidence.is_node(_callee(evidence, call))]
    damaged = {node for node, streams in evidence.damaged.items() if streams}
    failing = damaged | {sight.who for sight in evidence.history.of(CommitFailed)}
    for call in calls:
        _answered(evidence, notes, call)
        if not call.sight.forged and evidence.is_node(_callee(evidence, call)):
            _served(notes, call, failing)
    for placed in evidence.strays:
        if evidence.is_node(placed.sight.who):
            notes.object(f"{placed.sight.who} replied to a call that was never made", placed.sight)
    for each in evidence.exchanges.values():
        _once(notes, each)
        _ever(evidence, notes, each)
    notes.count("calls unanswered or answered twice", len(notes.violations), len(calls) + len(evidence.exchanges))
    times = [took for call in calls for took in _times(call)]
    notes.count("p99 time to answer a station, s", quantile(times, 0.99), len(times), worst=True)
    return notes.finding()


def _callee(evidence: Evidence, call: Call) -> str:
    line = evidence.lines.get(call.sight.connection)
    return "" if line is None else line.to if call.caller == line.who else line.who


def _answered(evidence: Evidence, notes: Notes, call: Call) -> None:
    if len(call.replies) > len(call.arrivals):
        replies = (placed.sight for placed, _ in call.replies)
        notes.object(f"{call.said.action} {call.said.id} was answered {len(call.replies)} times", call.sight, *replies)
    results = {placed.sight.text for placed, reply in call.replies if reply.kind == RESULT}
    if len(results) > 1:
        replies = (placed.sight for placed, _ in call.replies)
        notes.object(f"{call.said.action} {call.said.id} was answered in two ways", call.sight, *replies)
    first = call.arrivals[0].sight
    until = call.replies[0][0].sight.at if call.replies else gave_up_at(evidence, call)
    if until > first.at + ANSWER_S + 1e-6:
        notes.object(f"{call.said.action} {call.said.id} was not answered in {ANSWER_S:g} s", call.sight, first)


def _served(notes: Notes, call: Call, failing: set[str]) -> None:
    """What a station of ours says is sound, and no node calls it an error but one whose store fails or takes long."""
    for placed, reply in call.replies:
        at_once = placed.sight.at < call.arrivals[0].sight.at + GIVES_UP_S
        if reply.kind != RESULT and at_once and placed.sight.who not in failing:
            notes.object(f"{call.said.action} {call.said.id} of {call.caller} got an error", call.sight, placed.sight)


def gave_up_at(evidence: Evidence, call: Call) -> float:
    """When an answer could no longer come: the connection ended, the node died, or the world did."""
    line, arrived = evidence.lines[call.sight.connection], call.arrivals[0]
    closed = evidence.closed.get(call.sight.connection)
    ends = [crash.sight.at for crash in evidence.crashes[line.to] if crash.index > arrived.index]
    return float(min([*ends, *([closed.sight.at] if closed else []), max(evidence.end_at, arrived.sight.at)]))


def _times(call: Call) -> Iterator[float]:
    if call.replies:
        yield call.replies[0][0].sight.at - call.arrivals[0].sight.at


def _ever(evidence: Evidence, notes: Notes, each: Exchange) -> None:
    """A request whose sender waited is answered, but by a node that died; a stream of events is answered for long."""
    if each.answers or not each.arrivals or each.request.path.endswith("/events"):
        return
    arrived = each.arrivals[0]
    died = any(crash.index > arrived.index for crash in evidence.crashes[each.request.to])
    heard_at = each.outcome.at if each.outcome is not None else evidence.end_at
    if not died and heard_at > arrived.sight.at + REQUEST_S:
        notes.object(f"request {each.request.exchange} was never answered", each.request, arrived.sight)


def _once(notes: Notes, each: Exchange) -> None:
    if len(each.answers) > len(each.arrivals):
        answers = (answer.sight for answer in each.answers)
        notes.object(f"request {each.request.exchange} was answered {len(each.answers)} times", each.request, *answers)
