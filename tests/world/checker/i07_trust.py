"""I7: who may not, gets nothing.

A request with something wrong about its sender leaves no row in any journal, and its answer names nothing that it did
not name itself, nor says whether what it asks for exists. A request or frame that another repeats does nothing more. No
line is opened for who is no station of that name, and a station's word counts for its own charges alone. Honest
partners reach only what is theirs, blocked users and partners begin nothing new, a partner whose credentials were taken
back gets nothing until it presents others, and no station is asked to charge without a start request that its node had
written down.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.world.checker.evidence import Charge, Evidence, Exchange, Fact, Placed
from tests.world.checker.i02_doubled import remote_starts
from tests.world.checker.verdict import Finding, Notes, quantile
from tests.world.checker.wire import is_done
from tests.world.history import (
    AnswerArrived,
    CredentialsRenewed,
    CredentialsTakenBack,
    FrameSent,
    LineOpened,
    LineRefused,
    PeerBlocked,
    RequestSent,
    Sight,
    UserBlocked,
)

SUPPRESSED = ("Invalid", "Blocked", "Expired")


def check(evidence: Evidence) -> Finding:
    notes = Notes("I7")
    repeated = _nothing_again(evidence, notes)
    notes.count("effects from replays", len(notes.violations), repeated)
    for judge in (
        _nothing_from_forged, _nothing_told, _twins, _own_requests, _blocked_users, _blocked_peers, _taken_back, _lines,
        _misuse, _asked_for,
    ):  # fmt: skip
        judge(evidence, notes)
    frames = _own_charges_alone(evidence, notes)
    forged = [each for each in _forged(evidence) if each.arrivals]
    lines = sum(bool(line.forged) for line in evidence.history.of(LineOpened, LineRefused))
    notes.count("attacks admitted", len(notes.violations), len(forged) + repeated + lines + frames)
    times = [answer.sight.at - each.request.at for each in forged for answer in each.answers[:1]]
    notes.count("p99 time to refuse, s", quantile(times, 0.99), len(times), worst=True)
    return notes.finding()


def _forged(evidence: Evidence) -> Iterator[Exchange]:
    return (each for each in evidence.exchanges.values() if each.request.forged)


# -- who repeats -------------------------------------------------------------------------------------------------------


def _nothing_again(evidence: Evidence, notes: Notes) -> int:
    """No row that a repeated request caused says what an earlier row says; how many such requests arrived.

    That it causes one at all is right where the request itself was lost, or refused at its time. Progress is told again
    and again, and says nothing by that.
    """
    repeated = [each for each in evidence.exchanges.values() if each.request.repeats is not None]
    ids = {each.request.correlation: each for each in repeated}
    for node in evidence.nodes if ids else ():
        known: set[tuple[str, ...]] = set()
        for placed in evidence.committed[node]:
            fact = evidence.fact(placed)
            what = _asked(placed, fact)
            culprit = ids.get(fact.get("correlation_id") or "")
            if culprit is not None and what in known:
                notes.object("a request that was repeated did the same again", culprit.request, placed.sight)
            if what is not None:
                known.add(what)
    return sum(bool(each.arrivals) for each in repeated)


def _asked(placed: Placed, fact: Fact) -> tuple[str, ...] | None:
    """What a row says was asked or told, in the words of whoever did; None for what nobody asks."""
    kind, stream = placed.sight.type, placed.sight.stream
    match fact:
        case {"request": {"idempotency_key": str(key)}} | {"idempotency_key": str(key)}:
            return kind, key
        case {"request_identifier": str(name), "success": success}:
            return kind, stream, name, str(success)
        case {"request_identifier": str(name)} if kind in ("StartRequested", "StopRequested"):
            return kind, stream, name
        case {"message": dict(message)} if kind == "TransactionEnded":
            return kind, stream, msgspec.json.encode(message, order="deterministic").decode()
    return None


# -- who pretends, or reaches for what is another's --------------------------------------------------------------------


def _nothing_from_forged(evidence: Evidence, notes: Notes) -> None:
    """No row has the correlation id of a forged request, and none was answered as done."""
    ids = {each.request.correlation: each for each in _forged(evidence) if each.request.correlation}
    if ids:
        for placed in (placed for node in evidence.nodes for placed in evidence.committed[node]):
            culprit = ids.get(evidence.fact(placed).get("correlation_id") or "")
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
    """The answer to a forged request has no identifier of an authorisation or a transaction that it had not itself."""
    names = {name for _, name in evidence.grants}
    names |= {stream.partition("/")[2] for _, stream in evidence.streams if stream.startswith("source/")}
    for each in _forged(evidence):
        known = each.request.body + each.request.path
        for answer in each.answers:
            leaked = [name for name in _IDENTIFIER.findall(answer.sight.body) if name in names and name not in known]
            if leaked:
                notes.object(f"a forged request was told of {sorted(leaked)}", each.request, answer.sight)


_IDENTIFIER = re.compile(r"[\w-]{8,64}")
_LOGGED = re.compile(r'"correlation_id":"[^"]*"')
REFUSED = (200, 400, 401, 403, 404)
"""What is said to somebody who asks for too much; a node that is full, busy or on its way out says other things."""


def _twins(evidence: Evidence, notes: Notes) -> None:
    """Whether what is asked for exists, and what of the credentials is wrong, makes no difference to the answer."""
    changes = [index for index, sight in enumerate(evidence.history) if isinstance(sight, CredentialsTakenBack)]
    said: dict[tuple[str, int], tuple[Exchange, Any, str]] = {}
    for each in _forged(evidence):
        answer = each.outcome
        if not each.request.twin or answer is None or answer.status not in REFUSED or not _is_the_nodes(each, answer):
            continue
        words = _anonymous(each.request, answer)
        at_its_time = sum(index < each.arrivals[0].index for index in changes)  # an answer may change with credentials
        other, sight, others = said.setdefault((each.request.twin, at_its_time), (each, answer, words))
        if words != others:
            notes.object("two forged requests can be told apart", other.request, sight, each.request, answer)


def _is_the_nodes(each: Exchange, answer: AnswerArrived) -> bool:
    """Whether this is what the node said, whole, and not what was made of it on the way."""
    said = {(placed.sight.status, placed.sight.body) for placed in each.answers}
    return not answer.cause and (answer.status, answer.body) in said


def _anonymous(asked: RequestSent, answer: AnswerArrived) -> str:
    """An answer without what its request named, and without what it is logged under."""
    body = _LOGGED.sub("", answer.body.replace(asked.path, ""))
    return f"{answer.status} {body}"


def _own_charges_alone(evidence: Evidence, notes: Notes) -> int:
    """What a station says of another's charge stands in nothing but that station's own; how often one tried."""
    frames = [each for each in evidence.history.of(FrameSent) if each.forged]
    marks = {mark: each for each in frames for mark in _MARK.findall(each.text)}
    for node in evidence.nodes if marks else ():
        for placed in evidence.committed[node]:
            for mark in marks.keys() & set(_MARK.findall(placed.sight.data)):
                owner, culprit = _station_of(evidence, node, placed.sight.stream), marks[mark]
                if owner != culprit.who:
                    what = f"{culprit.who} changed {placed.sight.stream}, which is of {owner or 'nobody'}"
                    notes.object(what, culprit, placed.sight)
    return len(frames)


_MARK = re.compile(r"\b19\d{8}\b")
"""A meter that no honest station has: 1.9 GWh."""


def _station_of(evidence: Evidence, node: str, stream: str) -> str:
    role, _, name = stream.partition("/")
    view = evidence.views.get((node, stream), {})
    return name if role == "station" else str(view.get("local_service_identifier", ""))


# -- partners and users ------------------------------------------------------------------------------------------------


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
            until = _next(evidence, index, msgspec.structs.replace(block, blocked=False))
            for placed in _after(evidence, block.who, index, "AuthorizationRequested", "AuthorizationIssued"):
                fact = evidence.fact(placed)
                peer = fact.get("peer") or fact.get("request", {}).get("destination")
                if peer == block.peer and placed.index < until and placed.sight.at > block.at + UNDER_WAY_S:
                    notes.object(f"{peer} was blocked and got new business", block, placed.sight)


UNDER_WAY_S = 60.0
"""How long a request that was let in before the block may take until it is written down."""


def _next(evidence: Evidence, index: int, wanted: Sight) -> int:
    """Where in the history the next sight after this place is the wanted one, whenever it is; its end if none is."""
    later = (place for place in range(index + 1, len(evidence.history)) if _is(evidence.history.sights[place], wanted))
    return next(later, len(evidence.history))


def _is(sight: Sight, wanted: Sight) -> bool:
    return type(sight) is type(wanted) and msgspec.structs.replace(sight, at=wanted.at) == wanted


def _after(evidence: Evidence, node: str, index: int, *types: str) -> Iterator[Placed]:
    return (p for p in evidence.committed[node] if p.index > index and p.sight.type in types)


BY_A_PARTNER = {
    "destination": ("AuthorizationIssued",),
    "source": ("ResultNotified", "ProgressReported", "TransactionEnded"),
}
"""Rows that only a partner's request causes, by the role in which it was asked."""

NOT_READ = (401, 429, 503)
"""Answers of a node that has not looked at what is asked."""


def _taken_back(evidence: Evidence, notes: Notes) -> None:
    """From when a partner's credentials are taken back until it has others nothing comes of its requests; those that
    were sent before that and come after it have the old ones.
    """
    before, tried = len(notes.violations), 0
    for index, taken in enumerate(evidence.history):
        if not isinstance(taken, CredentialsTakenBack):
            continue
        until = _next(evidence, index, CredentialsRenewed(at=taken.at, who=taken.peer, peer=taken.who))
        for each in evidence.exchanges.values():
            asked = each.request
            if (asked.who, asked.to, asked.protocol) == (taken.peer, taken.who, "soap") and each.index < until:
                tried += any(arrival.index > index for arrival in each.arrivals)
                for answer in each.answers:
                    if answer.index > index and answer.sight.status not in NOT_READ:
                        notes.object("credentials opened that were taken back", taken, asked, answer.sight)
        for placed in _caused_by(evidence, taken.who, taken.peer):
            if index < placed.index < until:
                notes.object("credentials had an effect that were taken back", taken, placed.sight)
    notes.count("effects of credentials taken back", len(notes.violations) - before, tried)


def _caused_by(evidence: Evidence, node: str, partner: str) -> Iterator[Placed]:
    """Rows of a node that only a request of this partner can have caused."""
    for (owner, stream), rows in evidence.streams.items():
        kinds = BY_A_PARTNER.get(stream.partition("/")[0], ())
        if owner == node and kinds and evidence.views.get((node, stream), {}).get("pms_identifier") == partner:
            yield from (placed for placed in rows if placed.sight.type in kinds)


def _lines(evidence: Evidence, notes: Notes) -> None:
    """Whoever is no station of that name gets no line."""
    for line in evidence.lines.values():
        if line.forged:
            notes.object(f"{line.to} let in a station with {line.forged}", line)


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
        for placed in evidence.ever[node]:
            sight = placed.sight
            if sight.type == "StartRequested":
                written[node, sight.stream.partition("/")[2]].append(placed.index)
            elif sight.type == "LocalStartRequested":
                written[node, evidence.fact(placed)["opening"]["id_tag"]].append(placed.index)
    for call in remote_starts(evidence):
        before = [index for index in written[call.caller, call.said.payload["idTag"]] if index < call.index]
        if not before:
            notes.object(f"{call.caller} sent a remote start that nothing in its journal asks for", call.sight)
