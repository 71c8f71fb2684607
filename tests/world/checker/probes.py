"""Probes: rare branches, counted in a history; a long run in which one was never met has not tried what it should.

Each is one line: its name, what it means when it is counted, and how it is seen. They judge nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import Any

import msgspec

from tests.world.checker.evidence import Call, Evidence, Fact, Placed
from tests.world.checker.wire import moment, soap
from tests.world.history import (
    ClockJumped,
    CommitFailed,
    CredentialsTakenBack,
    FaultInjected,
    LineOpened,
    NodeCrashed,
    PeerBlocked,
    UserBlocked,
)

QUEUED_S = 60.0
"""A report that is this much older than its arrival was queued by its station."""


class Probe(msgspec.Struct, frozen=True):
    name: str
    meaning: str
    count: Callable[[Evidence], int]


# -- how things are seen -----------------------------------------------------------------------------------------------


def _rows(evidence: Evidence, role: str) -> Iterator[Placed]:
    for (_, stream), rows in evidence.streams.items():
        if stream.startswith(role + "/"):
            yield from rows


def _row(spec: str, where: Callable[[Fact], bool] = lambda _: True) -> Callable[[Evidence], int]:
    """Counts rows like "role event from to" says; a place may name several with |, or any with *."""
    roles, kinds, source, target = spec.split()

    def count(evidence: Evidence) -> int:
        rows = (
            placed for role in roles.split("|") for placed in _rows(evidence, role) if _in(placed.sight.type, kinds)
        )
        moved = (p for p in rows if _in(p.sight.from_state, source) and _in(p.sight.to_state, target))
        return sum(where(evidence.fact(placed)) for placed in moved)

    return count


def _in(state: str, wanted: str) -> bool:
    return wanted == "*" or state in wanted.split("|")


def _flag(role: str, *flags: str) -> Callable[[Evidence], int]:
    """Counts transactions of a role that have all these flags at the end."""

    def count(evidence: Evidence) -> int:
        views = (view for (_, stream), view in evidence.views.items() if stream.startswith(role))
        return sum(set(flags) <= set(view.get("flags", ())) for view in views)

    return count


def _sights(*kinds: Any) -> Callable[[Evidence], int]:
    return lambda evidence: sum(1 for _ in evidence.history.of(*kinds))


def _harmed(kind: str) -> Callable[[Evidence], int]:
    return lambda evidence: sum(sight.kind == kind for sight in evidence.history.of(FaultInjected))


def _repeated(operation: str) -> Callable[[Evidence], int]:
    """Counts messages of an operation that were sent more than once."""

    def count(evidence: Evidence) -> int:
        keys = Counter(
            (each.request.who, each.said.name, each.said.request, each.said.fields.get("requestSuccess"))
            for each in evidence.soap_calls(operation) if each.said is not None
        )  # fmt: skip
        return sum(times > 1 for times in keys.values())

    return count


def _answered_again(evidence: Evidence) -> int:
    """endTransactions that a Source took, and took again: the second time from its ledger."""
    taken: Counter[tuple[str, str]] = Counter()
    for each in evidence.soap_calls("endTransaction"):
        taken[each.request.who, each.said.name if each.said else ""] += sum(1 for _ in each.taken())
    return sum(times > 1 for times in taken.values())


def _lost_grants(evidence: Evidence) -> int:
    granted = (each for each in evidence.soap_calls("authorize") if any(True for _ in each.taken()))
    return sum(each.outcome is None or each.outcome.status != 200 for each in granted)


def _refused(operation: str, code: str) -> Callable[[Evidence], int]:
    def count(evidence: Evidence) -> int:
        answers = (a for each in evidence.soap_calls(operation) for a in each.answers)
        said = (soap(answer.sight.body) for answer in answers)
        return sum(each is not None and each.fields.get("errorCode") == code for each in said)

    return count


def _queued(action: str) -> Callable[[Evidence], int]:
    """Counts a station's reports that were much older than their arrival."""

    def count(evidence: Evidence) -> int:
        epoch = moment(evidence.began.epoch)
        return sum(
            call.sight.at - (moment(call.said.payload["timestamp"]) - epoch) / timedelta(seconds=1) > QUEUED_S
            for call in evidence.calls if call.said.action == action
        )  # fmt: skip

    return count


def _resent(which: str) -> Callable[[Evidence], int]:
    """Counts charges whose start or stop was sent more than once."""
    return lambda evidence: sum(len(getattr(charge, which)) > 1 for charge in evidence.charges)


def _resent_after_crash(evidence: Evidence) -> int:
    def crossed(calls: list[Call], node: str) -> bool:
        return any(calls[0].index < crash.index < calls[-1].index for crash in evidence.crashes[node])

    return sum(len(charge.starts) > 1 and crossed(charge.starts, charge.node) for charge in evidence.charges)


def _joined_stops(evidence: Evidence) -> int:
    """Stops that were kept for their start, which then came."""
    kept: set[tuple[str, str]] = set()
    joined = 0
    for placed in _rows(evidence, "station"):
        stop = str(evidence.fact(placed).get("stop"))
        if placed.sight.type == "StopKept":
            kept.add((placed.sight.stream, stop))
        elif placed.sight.type == "ChargeClosed" and (placed.sight.stream, stop) in kept:
            joined += 1
    return joined


def _replayed_parcels(evidence: Evidence) -> int:
    """Messages that were parked, and delivered once an operator had opened them again."""
    parked: set[str] = set()
    again = 0
    for placed in _rows(evidence, "destination"):
        if placed.sight.type == "DeliveryEnded":
            fact = evidence.fact(placed)
            again += fact["status"] == "done" and fact["message_id"] in parked
            parked |= {fact["message_id"]} if fact["status"] == "parked" else set()
    return again


def _verdicts(*statuses: str) -> Callable[[Evidence], int]:
    return lambda evidence: sum(any(s in statuses for _, s in charge.verdicts) for charge in evidence.charges)


def _unanswered(action: str) -> Callable[[Evidence], int]:
    """Counts commands to stations that were sent and never answered: their outcome is unknown."""

    def count(evidence: Evidence) -> int:
        mine = (c for c in evidence.calls if c.said.action == action and evidence.is_node(c.caller))
        return sum(not call.replies for call in mine)

    return count


def _unnumbered(evidence: Evidence) -> int:
    stops = (call for call in evidence.calls if call.said.action == "StopTransaction")
    return sum(call.said.payload["transactionId"] <= 0 for call in stops)


def _errors(evidence: Evidence) -> int:
    replies = (reply for call in evidence.calls if not evidence.is_node(call.caller) for _, reply in call.replies)
    return sum(reply.kind == 4 for reply in replies)


def _cut_short(evidence: Evidence) -> int:
    """Requests that had arrived at a node, and that it died without answering."""

    def died(arrived: int, node: str) -> bool:
        return any(crash.index > arrived for crash in evidence.crashes[node])

    open_ones = (each for each in evidence.exchanges.values() if each.arrivals and not each.answers)
    return sum(died(each.arrivals[-1].index, each.request.to) for each in open_ones)


def _again_with_key(evidence: Evidence) -> int:
    keys = Counter(
        (each.request.who, each.request.path, each.request.key)
        for each in evidence.exchanges.values() if each.request.key
    )  # fmt: skip
    return sum(times > 1 for times in keys.values())


def _taken_over(evidence: Evidence) -> int:
    """Connections that a station made while its older one was still thought to be there."""
    places = {connection: closed.index for connection, closed in evidence.closed.items()}
    newest: dict[str, int] = {}
    found = 0
    for index, sight in enumerate(evidence.history):
        if isinstance(sight, LineOpened) and not sight.forged:
            older = newest.get(sight.who)
            found += older is not None and places.get(older, index + 1) > index
            newest[sight.who] = sight.connection
    return found


def _settled_though_blocked(evidence: Evidence) -> int:
    """Charge records that went their way after their partner was blocked."""
    blocks = [(i, s) for i, s in enumerate(evidence.history) if isinstance(s, PeerBlocked) and s.blocked]
    rows = [p for role in ("source", "destination") for p in _rows(evidence, role) if p.sight.to_state == "Settled"]
    return sum(p.index > index and p.sight.who == block.who for index, block in blocks for p in rows)


def _settled_after_credentials(evidence: Evidence) -> int:
    """Charges under way when a partner's credentials were taken back, whose record still came to its Source."""
    found = 0
    for index, taken in enumerate(evidence.history):
        if isinstance(taken, CredentialsTakenBack):
            for (node, stream), rows in evidence.streams.items():
                view = evidence.views.get((node, stream), {})
                if (node, view.get("pms_identifier")) == (taken.who, taken.peer) and stream.startswith("source/"):
                    found += rows[0].index < index < rows[-1].index and rows[-1].sight.to_state == "Settled"
    return found


def _damage(evidence: Evidence) -> int:
    return sum(map(len, evidence.damaged.values()))


def _copies(evidence: Evidence) -> int:
    doubled = sum(len(call.arrivals) > 1 for call in evidence.calls)
    return doubled + sum(len(each.arrivals) > 1 for each in evidence.exchanges.values())


def _late_answers(evidence: Evidence) -> int:
    """Requests that were done by their node, and whose sender never heard of it."""
    done = (each for each in evidence.exchanges.values() if any(True for _ in each.taken()))
    return sum(each.outcome is None or each.outcome.status == 0 for each in done if each.said is not None)


BEFORE, RUNNING, OVER = "Ready|StartTxRequested|Expired", "TxRunning|StopTxRequested", "TxFinished|Settled"
AT = "destination|local"


def _yes(fact: Fact) -> bool:
    return bool(fact["success"])


def _no(fact: Fact) -> bool:
    return not fact["success"]


def _busy(evidence: Evidence) -> int:
    return _refused("authorize", "409")(evidence) + _refused("requestStartTransaction", "409")(evidence)


def _orphans(evidence: Evidence) -> int:
    return sum(not row.get("outcome") for node in evidence.nodes for row in evidence.rows(node, "orphans"))


AT_THE_SOURCE = (
    Probe("grant lost", "the Destination granted, and the Source never heard of it", _lost_grants),
    Probe("authorise timed out", "nobody answered in time", _row("source DeadlineReached Authorizing *")),
    Probe("authorise and restart", "the node died while it waited for a grant", _row("source NodeRestarted * *")),
    Probe("start unknown", "its result did not come in time", _row("source DeadlineReached StartTxRequested *")),
    Probe("stop unknown", "its result did not come in time", _row("source DeadlineReached StopTxRequested *")),
    Probe("start declined", "the Destination said no", _row(f"source RequestDeclined StartTxRequested {BEFORE}")),
    Probe("stop declined", "the Destination said no", _row("source RequestDeclined StopTxRequested TxRunning")),
    Probe("start failed", "its result was no", _row("source ResultNotified StartTxRequested Ready|Expired", _no)),
    Probe("stop failed", "its result was no", _row("source ResultNotified StopTxRequested TxRunning", _no)),
    Probe("late yes", "a start given up succeeded", _row(f"source ResultNotified Ready|Expired {RUNNING}", _yes)),
    Probe("progress first", "progress came before the result", _row(f"source ProgressReported {BEFORE} {RUNNING}")),
    Probe("end first", "the record came before the start's result", _row(f"source TransactionEnded {BEFORE} *")),
    Probe("end while stopping", "and before the stop's", _row("source TransactionEnded StopTxRequested *")),
    Probe("stop kept", "asked for before the charge ran", _row("source StopRequested StartTxRequested *")),
    Probe("kept stop sent", "when it ran", _row(f"source ResultNotified|ProgressReported {BEFORE} StopTxRequested")),
    Probe("never started", "an authorisation lapsed unused", _row("source DeadlineReached Ready Expired")),
    Probe("record awaited", "the Source waited long for its record", _flag("source", "cdr-overdue")),
    Probe("silence at home", "the Source heard nothing of a charge for long", _flag("source", "silent")),
)

AT_THE_DESTINATION = (
    Probe("no show", "nobody plugged in", _row("destination DeadlineReached StartTxRequested *")),
    Probe("remote start rejected", "by its station", _row("destination StationAnswered StartTxRequested Ready")),
    Probe("remote stop rejected", "by its station", _row(f"{AT} StationAnswered StopTxRequested TxRunning")),
    Probe("remote start unknown", "sent and never answered", _unanswered("RemoteStartTransaction")),
    Probe("remote stop unknown", "sent and never answered", _unanswered("RemoteStopTransaction")),
    Probe("stop timed out", "a station did not stop in time", _row(f"{AT} DeadlineReached StopTxRequested TxRunning")),
    Probe("start after all", "it was given up", _row("destination TransactionStarted Ready|Expired TxRunning")),
    Probe("end without start", "its start was not known", _row(f"destination TransactionStopped {BEFORE} {OVER}")),
    Probe("outrun by a card", "where a start was awaited", _row("destination ConnectorTaken StartTxRequested *")),
    Probe("reconciled by time", "closed with an estimate", _row(f"{AT} DeadlineReached {RUNNING} {OVER}")),
    Probe("reconciled by the next", "closed by the next charge", _row(f"{AT} ConnectorTaken {RUNNING} {OVER}")),
    Probe("reconciled by its station", "which knows it as over", _row(f"{AT} StationDenied {RUNNING} {OVER}")),
    Probe("late stop", "the truth came after a reconciled end", _flag("", "estimated", "late-stop")),
    Probe("late start", "a start came after its own stop", _flag("", "late-start")),
    Probe("misuse", "an authorisation was used that nobody had asked to start", _flag("destination", "misuse")),
    Probe("doubted", "a boot, or a free connector, during a charge", _row(f"{AT} StationDoubted * *")),
    Probe("doubt dispelled", "the station showed that it goes on", _row(f"{AT} StationConfirmed * *")),
    Probe("silent charge", "nothing was heard of it for long", _row(f"{AT} DeadlineReached TxRunning TxRunning")),
    Probe("record overdue", "a record was not delivered for an hour", _flag("destination", "cdr-overdue")),
    Probe("busy", "an authorise or a start was refused with 409", _busy),
)

BETWEEN_OPERATORS = (
    Probe("end again", "an endTransaction was answered again from the ledger", _answered_again),
    Probe("end resent", "an endTransaction was sent more than once", _repeated("endTransaction")),
    Probe("result resent", "a notifyRequestResult was sent more than once", _repeated("notifyRequestResult")),
    Probe("start resent", "a requestStartTransaction was sent more than once", _repeated("requestStartTransaction")),
    Probe("parked", "refused for good", _row("destination DeliveryEnded * *", lambda fact: fact["status"] == "parked")),
    Probe("parked, then replayed", "an operator opened a parked message, and it arrived", _replayed_parcels),
    Probe("partner down", "it did not answer ten times in a row", _row("peer CallFailed * Down")),
    Probe("partner back", "it answered again", _row("peer CallAnswered Suspect|Down Up")),
    Probe("settled though blocked", "a record went its way after its partner was blocked", _settled_though_blocked),
    Probe("settled with new credentials", "taken back while it was under way", _settled_after_credentials),
    Probe("done and not heard", "a partner did what was asked, and its answer was lost", _late_answers),
)

AT_STATIONS = (
    Probe("offline start", "a start was queued while its station was offline", _queued("StartTransaction")),
    Probe("offline stop", "a stop was queued while its station was offline", _queued("StopTransaction")),
    Probe("start repeated", "a station sent the same start again", _resent("starts")),
    Probe("start repeated after a crash", "to a node that had died in between", _resent_after_crash),
    Probe("stop repeated", "a station sent the same stop again", _resent("stops")),
    Probe("stop without number", "a station stopped a charge whose number it never learned", _unnumbered),
    Probe("stop joined", "a stop that came first was joined with its start", _joined_stops),
    Probe("orphan", "a report that belongs to nothing was kept for the operator", _orphans),
    Probe("card refused", "a card was not accepted", _verdicts("Invalid", "Blocked", "Expired")),
    Probe("card charge", "a charge of a card of ours", _row("local TransactionStarted * TxRunning")),
    Probe("operator's start", "an operator had a charge started", _row("local LocalStartRequested * *")),
    Probe("line taken over", "a station came again before its old line was known to be gone", _taken_over),
    Probe("error to a station", "a station was answered with a CALLERROR", _errors),
)

IN_THE_WORLD = (
    Probe("crash", "a node died", _sights(NodeCrashed)),
    Probe("request cut short", "a node died with a request in its hands", _cut_short),
    Probe("power lost", "a node's host lost its power in the middle of a commit", _harmed("host-power")),
    Probe("disk full", "a commit was refused by the disk", _sights(CommitFailed)),
    Probe("damaged at rest", "a row was altered or lost while its node was dead", _damage),
    Probe("clock jump", "a clock jumped", _sights(ClockJumped)),
    Probe("came twice", "a message was delivered more than once", _copies),
    Probe("key used again", "an app repeated a request under its Idempotency-Key", _again_with_key),
    Probe("user blocked", "a user was blocked meanwhile", _sights(UserBlocked)),
    Probe("credentials taken back", "those of a partner, meanwhile", _sights(CredentialsTakenBack)),
    Probe("partner blocked", "a partner was blocked meanwhile", _sights(PeerBlocked)),
)

PROBES: tuple[Probe, ...] = (*AT_THE_SOURCE, *AT_THE_DESTINATION, *BETWEEN_OPERATORS, *AT_STATIONS, *IN_THE_WORLD)


def counted(evidence: Evidence) -> dict[str, int]:
    """How often each probe was met in this world."""
    return {probe.name: probe.count(evidence) for probe in PROBES}


def never_met(counts: Iterable[dict[str, int]]) -> tuple[str, ...]:
    """The probes that stayed at 0 over all these worlds."""
    sums: Counter[str] = Counter()
    for each in counts:
        sums.update(each)
    return tuple(probe.name for probe in PROBES if not sums[probe.name])
