"""I7: who may not, gets nothing.

A request with something wrong about its sender leaves no row in any journal, and its answer names nothing that it did
not name itself. Honest partners reach only what is theirs, blocked users and partners begin nothing new, and no station
is asked to charge without a start request that its node had written down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.world.checker.evidence import Charge, Evidence, Exchange, Placed
from tests.world.checker.i02_doubled import remote_starts
from tests.world.checker.verdict import Finding, Notes, quantile
from tests.world.checker.wire import is_done
from tests.world.history import LineOpened, PeerBlocked, UserBlocked

SUPPRESSED = ("Invalid", "Blocked", "Expired")


def check(evidence: Evidence) -> Finding:
    notes = Notes("I7")
    forged = [each for each in evidence.exchanges.values() if each.request.forged]
    for judge in (_nothing_from_forged, _nothing_told, _own_requests, _blocked_users, _blocked_peers, _lines, _misuse):
        judge(evidence, notes)
    _asked_for(evidence, notes)
    lines = sum(bool(line.forged) for line in evidence.history.of(LineOpened))
    notes.count("attacks admitted", len(notes.violations), len(forged) + lines)
    times = [answer.sight.at - each.request.at for each in forged for answer in each.answers[:1]]
    notes.count("p99 time to refuse, s", quantile(times, 0.99), len(times), worst=True)
    return notes.finding()


def _forged(evidence: Evidence) -> Iterator[Exchange]:
    return (each for each in evidence.exchanges.values() if each.request.forged)


def _nothing_from_forged(evidence: Evidence, notes: Notes) -> None:
    """No row has the correlation id of a forged request, and none was answered as done."""
    ids = {each.request.correlation: each for each in _forged(evidence) if each.request.correlation}
    if ids:
        for placed in (placed for node in evidence.nodes for placed in evidence.committed[node]):
            culprit = ids.get(evidence.fact(placed).get("correlation_id", ""))
            if culprit is not None:
                notes.object(
                    f"a forged request ({culprit.request.forged}) was written down", culprit.request, placed.sight
                )
    for each in _forged(evidence):
        for answer in each.answers:
            if _succeeded(each, answer):
                notes.object(f"a forged request ({each.request.forged}) was done", each.request, answer.sight)


def _succeeded(each: Exchange, answer: Placed) -> bool:
    if each.request.protocol == "soap":
        return is_done(answer.sight.status, answer.sight.body)
    return bool(200 <= answer.sight.status < 300)


def _nothing_told(evidence: Evidence, notes: Notes) -> None:
    """The answer to a forged request has no identifier of an authorisation that the request had not."""
    names = {name for _, name in evidence.grants}
    for each in _forged(evidence):
        for answer in each.answers:
            leaked = [name for name in names if name in answer.sight.body and name not in each.request.body]
            if leaked:
                notes.object(f"a forged request was told of {sorted(leaked)}", each.request, answer.sight)


def _own_requests(evidence: Evidence, notes: Notes) -> None:
    """What a Destination wrote down as asked for was asked for by the Source that has the grant."""
    askers: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for operation in ("requestStartTransaction", "requestStopTransaction"):
        for each in evidence.soap_calls(operation):
            if each.said is not None and not each.request.forged:
                askers[each.request.to, each.said.request].add(each.request.who)
    for (node, stream), rows in evidence.streams.items():
        if not stream.startswith("destination/"):
            continue
        owner = evidence.grants.get((node, stream.removeprefix("destination/")))
        for placed in rows:
            if placed.sight.type in ("StartRequested", "StopRequested"):
                who = askers[node, evidence.fact(placed)["request_identifier"]]
                if owner is not None and owner not in who:
                    notes.object(f"{stream} of {owner} was asked for by {sorted(who) or 'nobody'}", placed.sight)


def _blocked_users(evidence: Evidence, notes: Notes) -> None:
    for index, block in enumerate(evidence.history):
        if isinstance(block, UserBlocked):
            for placed in _after(evidence, block.who, index, "AuthorizationRequested"):
                if evidence.fact(placed)["request"]["user_identifier"] == block.user:
                    notes.object(f"{block.user} was blocked and got a new transaction", block, placed.sight)


def _blocked_peers(evidence: Evidence, notes: Notes) -> None:
    """Blocked is decided when the peer's actor has written it down; what was asked before may still be under way."""
    for index, block in enumerate(evidence.history):
        if isinstance(block, PeerBlocked) and block.blocked:
            until = _unblocked(evidence, index, block)
            for placed in _after(evidence, block.who, index, "AuthorizationRequested", "AuthorizationIssued"):
                fact = evidence.fact(placed)
                peer = fact.get("peer") or fact.get("request", {}).get("destination")
                if peer == block.peer and placed.index < until and placed.sight.at > block.at + UNDER_WAY_S:
                    notes.object(f"{peer} was blocked and got new business", block, placed.sight)


UNDER_WAY_S = 60.0
"""How long a request that was let in before the block may take until it is written down."""


def _unblocked(evidence: Evidence, index: int, block: PeerBlocked) -> int:
    later = enumerate(evidence.history)
    again = (
        place for place, each in later
        if place > index and isinstance(each, PeerBlocked) and not each.blocked
        and (each.who, each.peer) == (block.who, block.peer)
    )  # fmt: skip
    return next(again, len(evidence.history))


def _after(evidence: Evidence, node: str, index: int, *types: str) -> Iterator[Placed]:
    return (p for p in evidence.committed[node] if p.index > index and p.sight.type in types)


def _lines(evidence: Evidence, notes: Notes) -> None:
    """Nothing that came over a forged line is answered with a result."""
    forged = {line.connection: line for line in evidence.lines.values() if line.forged}
    for call in evidence.calls:
        if call.sight.connection in forged and not evidence.is_node(call.caller):
            for placed, _ in call.results:
                notes.object("a forged station was answered", forged[call.sight.connection], call.sight, placed.sight)


def _misuse(evidence: Evidence, notes: Notes) -> None:
    """A start that the station was told not to accept is billed to no Source."""
    for charge in evidence.charges:
        stream = f"destination/{charge.id_tag.upper()}"
        if refused_start(charge) and evidence.is_of(charge, stream):
            notes.object(f"{charge} was refused and belongs to {stream}", *(call.sight for call in charge.starts))


def refused_start(charge: Charge) -> bool:
    return bool(charge.verdicts) and all(status in SUPPRESSED for _, status in charge.verdicts)


def _asked_for(evidence: Evidence, notes: Notes) -> None:
    """Every remote start follows a start request that was on disk before it left."""
    written: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for node in evidence.nodes:
        opened: dict[str, str] = {}
        for placed in evidence.committed[node]:
            sight = placed.sight
            if sight.type == "Opened":
                opened[sight.stream] = evidence.fact(placed)["id_tag"]
            elif sight.type in ("StartRequested", "LocalStartRequested"):
                tag = opened.get(sight.stream, sight.stream.partition("/")[2])
                written[node, tag].append(placed.index)
    for call in remote_starts(evidence):
        before = [index for index in written[call.caller, call.said.payload["idTag"]] if index < call.index]
        if not before:
            notes.object(f"{call.caller} sent a remote start that nothing in its journal asks for", call.sight)
