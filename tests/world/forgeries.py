"""Forged histories: each forgery takes a good world, breaks one thing in what it left behind, and says which invariant
must object. They know nothing of where the world came from: a story told by hand, or a seed that was run.
"""

from __future__ import annotations

import msgspec

from tests.world.checker.i02_doubled import remote_starts
from tests.world.checker.i04_ends import FINAL
from tests.world.checker.wire import document, soap
from tests.world.forgeries_of_answers import (
    accepted_by_nobody,
    answered_first,
    answered_late,
    answered_twice,
    answered_with_an_error,
    answered_with_other_id,
    bound_exceeded,
    delivered_on_garbage,
    grant_from_nowhere,
    other_memory,
    other_snapshot,
    other_view,
    problem_found,
    request_answered_twice,
    request_unanswered,
    row_altered,
    row_gone,
    shown_too_soon,
    station_answered_first,
    station_never_said,
    told_too_soon,
    unanswered,
)
from tests.world.forgeries_of_energy import (
    charge_nowhere,
    estimated_at_will,
    misread,
    one_wh_less_metered,
    one_wh_more,
    progress_beyond,
    progress_kept_back,
    start_forgotten,
)
from tests.world.forging import Forgery, World
from tests.world.history import (
    AnswerArrived,
    AnswerSent,
    Committed,
    CredentialsTakenBack,
    FrameArrived,
    FrameSent,
    LineOpened,
    PeerBlocked,
    RequestArrived,
    RequestSent,
    UserBlocked,
    WorldEnded,
)

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


def key_made_two(world: World) -> None:
    """A request repeated under its Idempotency-Key makes a second transaction."""
    keyed = [e for e in world.evidence.exchanges.values() if e.request.key and b"transaction_id" in world.made(e)]
    each = world.one(keyed)
    again = msgspec.structs.replace(each.request, exchange=1_000_000)
    answer = each.answers[0].sight
    view = document(answer.body)
    transaction = view.get("transaction", view)
    transaction["transaction_id"] = "another"
    body = msgspec.json.encode(view).decode()
    world.insert_after(answer, again, msgspec.structs.replace(answer, exchange=1_000_000, body=body))


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


def lapsed_too_soon(world: World) -> None:
    lapsed = world.one(world.commits("DeadlineReached"))
    world.swap(lapsed, msgspec.structs.replace(lapsed, at=lapsed.at - 600))


def lapsed_too_late(world: World) -> None:
    lapsed = world.one(world.commits("DeadlineReached"))
    world.swap(lapsed, msgspec.structs.replace(lapsed, at=lapsed.at + 3_600))


def not_drained(world: World) -> None:
    for end in world.of(WorldEnded):
        world.swap(end, msgspec.structs.replace(end, drained=False))


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


def taken_back_and_served(world: World) -> None:
    """A partner whose credentials were taken back is let in with them."""
    each = world.one(e for e in world.evidence.exchanges.values() if e.request.protocol == "soap" and any(e.taken()))
    world.sights.insert(1, CredentialsTakenBack(at=0.0, who=each.request.to, peer=each.request.who))


def taken_back_and_written_down(world: World) -> None:
    """Nobody saw it let in, and a row says that it was."""
    row = world.one(world.commits("AuthorizationIssued"))
    taken = CredentialsTakenBack(at=row.at, who=row.who, peer=msgspec.json.decode(row.data)["peer"])
    world.sights.insert(world.place(row), taken)
    world.drop(*(each for each in world.of(AnswerSent) if each.who == row.who))


def misuse_billed(world: World) -> None:
    """The station was told that the idTag is invalid, and the Source pays all the same."""
    charges = [c for c in world.charges() if world.evidence.is_of(c, f"destination/{c.id_tag.upper()}")]
    charge = world.one(charges)
    for call in charge.starts:
        for placed, _ in call.replies:
            text = placed.sight.text.replace('"Accepted"', '"Invalid"')
            world.swap(placed.sight, msgspec.structs.replace(placed.sight, text=text))


def forged_and_told(world: World) -> None:
    """A request that is refused learns a name that it had not."""
    (_, name), _ = world.one(world.evidence.grants.items())
    _forged_ask(world, 404, f"no, but there is {name}")


def told_apart(world: World) -> None:
    """Whoever has no business there learns what exists and what does not."""
    _forged_ask(world, 403, "not yours")
    _forged_ask(world, 404, "no such thing")


def _forged_ask(world: World, status: int, body: str) -> None:
    last = world.sights[-2]
    number, node = 1_000_000 + len(world.sights), world.one(world.finals)
    sent = RequestSent(
        at=last.at, who="stranger", exchange=number, protocol="rest", to=node, method="GET", path="/",
        forged="no token", twin="both",
    )  # fmt: skip
    arrived = RequestArrived(at=last.at, who=node, exchange=number)
    said = AnswerSent(at=last.at, who=node, exchange=number, status=status, body=body)
    heard = AnswerArrived(at=last.at, who="stranger", exchange=number, status=status, body=body)
    world.insert_after(last, sent, arrived, said, heard)


def done_again(world: World) -> None:
    """A request that somebody else repeats is written down once more."""
    asked = world.one(s for s in world.commits("StartRequested", "AuthorizationRequested") if _has_a_name(s))
    sent = world.one(world.of(RequestSent))
    again = msgspec.structs.replace(
        sent, exchange=1_000_000, who="stranger", correlation="again", repeats=sent.exchange
    )
    data = msgspec.json.encode({**msgspec.json.decode(asked.data), "correlation_id": "again"}).decode()
    world.insert_after(asked, again, msgspec.structs.replace(asked, data=data))


def _has_a_name(sight: Committed) -> bool:
    fact = msgspec.json.decode(sight.data)
    return bool(fact.get("request_identifier") or fact.get("request", {}).get("idempotency_key"))


def let_in(world: World) -> None:
    """Somebody who is no station gets a line."""
    opened = world.one(world.of(LineOpened))
    forged = msgspec.structs.replace(opened, who="stranger", connection=1_000_000, forged="a wrong password")
    world.insert_after(opened, forged)


def stopped_by_another(world: World) -> None:
    """The end of a charge has the meter that another station told of it."""
    stopped = world.one(s for s in world.commits("TransactionStopped") if not s.stream.startswith("station/"))
    fact = msgspec.json.decode(stopped.data)
    data = msgspec.json.encode({**fact, "meter_stop_wh": 1_900_000_001}).decode()
    payload = {"transactionId": fact["number"], "meterStop": 1_900_000_001, "timestamp": fact["timestamp"]}
    said = msgspec.json.encode([2, "f1", "StopTransaction", payload]).decode()
    frame = FrameSent(at=stopped.at, who="another", connection=1_000_000, text=said, forged="another station's charge")
    world.insert_after(stopped, frame)
    world.swap(stopped, msgspec.structs.replace(stopped, data=data))


FORGERIES: tuple[Forgery, ...] = tuple(
    Forgery(invariant, forge)
    for invariant, forges in {
        "I1": (record_lost, record_at_somebody_else),
        "I2": (record_doubled, end_changed, charge_counted_twice, second_number, remote_start_twice, key_made_two),
        "I3": (second_active, never_closed),
        "I4": (stuck, lapsed_too_soon, lapsed_too_late, not_drained),
        "I5": (
            one_wh_more, one_wh_less_metered, misread, start_forgotten, charge_nowhere, progress_beyond,
            estimated_at_will, progress_kept_back,
        ),
        "I6": (undeclared_move, row_skipped, begins_elsewhere),
        "I7": (
            forged_and_done, asked_by_another, remote_start_unasked, blocked_and_served, blocked_partner_served,
            taken_back_and_served, taken_back_and_written_down, misuse_billed, forged_and_told, told_apart, done_again,
            let_in, stopped_by_another,
        ),
        "I8": (answered_first, station_answered_first, told_too_soon, shown_too_soon, row_gone, row_altered),
        "I9": (other_memory, other_view, other_snapshot, problem_found),
        "I10": (bound_exceeded,),
        "I11": (
            unanswered, answered_with_an_error, answered_twice, answered_with_other_id, answered_late,
            request_answered_twice, request_unanswered, grant_from_nowhere, delivered_on_garbage, accepted_by_nobody,
            station_never_said,
        ),
    }.items()
    for forge in forges
)  # fmt: skip
