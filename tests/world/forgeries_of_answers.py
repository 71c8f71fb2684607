"""Forgeries of what was answered, and of what the journal had by then (I8 to I11)."""

from __future__ import annotations

import msgspec

from tests.world.checker.evidence import Evidence, Exchange
from tests.world.checker.i02_doubled import remote_starts
from tests.world.checker.i11_answered import gave_up_at
from tests.world.checker.wire import document
from tests.world.forging import World
from tests.world.history import (
    AnswerSent,
    BoundSeen,
    Committed,
)

# -- I8, I9: the journal -----------------------------------------------------------------------------------------------


def answered_first(world: World) -> None:
    """A partner is answered before the row that its request caused was durable."""
    kinds = ("AuthorizationIssued", "TransactionEnded", "ResultNotified")
    row = world.one(s for s in world.commits(*kinds) if s.from_state != s.to_state)
    world.drop(row)
    world.sights.insert(len(world.sights) - 1, row)


def station_answered_first(world: World) -> None:
    charge = world.one(world.charges())
    assert charge.stop is not None
    said = charge.stop.said.payload["meterStop"]
    rows = [s for s in world.commits("TransactionStopped", "ChargeClosed", "StopKept") if str(said) in s.data]
    world.drop(*rows)
    world.sights[-1:-1] = rows


def told_too_soon(world: World) -> None:
    """A Source is told that its start succeeded before its Destination had written down that the charge began."""
    row = world.one(s for s in world.commits("TransactionStarted", role="destination/") if s.from_state != s.to_state)
    later = [s for s in world.of(Committed) if (s.who, s.stream) == (row.who, row.stream) and s.seq >= row.seq]
    world.drop(*later)
    world.sights[-1:-1] = later


def shown_too_soon(world: World) -> None:
    """An app is shown a state that the journal never had."""
    shown = [
        e for e in world.evidence.exchanges.values() if e.request.protocol == "rest" and b'"version"' in world.made(e)
    ]
    answer = world.one(shown).answers[0].sight
    view = document(answer.body)
    view.get("transaction", view)["state"] = "Forged"
    world.swap(answer, msgspec.structs.replace(answer, body=msgspec.json.encode(view).decode()))


def row_gone(world: World) -> None:
    node, row = world.one(world.all_rows("journal"))
    world.set_rows(node, "journal", [each for each in world.rows(node, "journal") if each is not row])


def row_altered(world: World) -> None:
    node, row = world.one(world.all_rows("journal"))
    world.change_row(node, "journal", row, data=bytes(row["data"]).replace(b"0", b"1", 1) + b" ")


def other_memory(world: World) -> None:
    """An actor knows something that its journal does not; a partner's is no judge, which counts failures for itself."""
    streams = [(node, stream) for node, each in world.finals.items() for stream in sorted(each.live)]
    node, stream = world.one((node, stream) for node, stream in streams if not stream.startswith("peer/"))
    live = dict(world.finals[node].live)
    live[stream] = msgspec.json.encode({**msgspec.json.decode(live[stream]), "cause": "forged"}).decode()
    world.finals[node] = msgspec.structs.replace(world.finals[node], live=live)


def other_view(world: World) -> None:
    node, row = world.one(world.all_rows("transactions"))
    world.change_document(node, "transactions", row, version=1_000)


def other_snapshot(world: World) -> None:
    row = world.one(world.commits("AuthorizationIssued", "AuthorizationRequested"))
    snapshot = {"stream": row.stream, "seq": 1, "data": b'{"data": {"state": "Settled"}}'}
    world.set_rows(row.who, "snapshots", [*world.rows(row.who, "snapshots"), snapshot])


def problem_found(world: World) -> None:
    node = world.one(node for node in world.finals if not world.evidence.damaged.get(node))
    world.finals[node] = msgspec.structs.replace(world.finals[node], problems=("journal stream x, seq 1: altered",))


# -- I10, I11 ----------------------------------------------------------------------------------------------------------


def bound_exceeded(world: World) -> None:
    node = world.one(world.finals)
    bounds = (BoundSeen(name="actor_mailbox", highest=257, limit=256),)
    world.finals[node] = msgspec.structs.replace(world.finals[node], bounds=bounds)


def answered_with_an_error(world: World) -> None:
    """A node has an error for what its station said, though nothing is wrong with it."""
    call = world.one(call for call in world.station_calls() if not call.sight.forged)
    ((placed, reply),) = call.replies
    text = msgspec.json.encode([4, reply.id, "InternalError", "no", {}]).decode()
    world.swap(placed.sight, msgspec.structs.replace(placed.sight, text=text))


def unanswered(world: World) -> None:
    """A call got no reply, though its line held for long enough."""
    world.sights[-1] = msgspec.structs.replace(world.sights[-1], at=world.sights[-1].at + 3_600)
    lasting = Evidence(world.history, world.finals)
    calls = [call for call in lasting.calls if call.arrivals and len(call.replies) == 1 and not world.is_nodes(call)]
    call = world.one(call for call in calls if gave_up_at(lasting, call) > call.arrivals[0].sight.at + 31)
    world.drop(call.replies[0][0].sight)


def request_unanswered(world: World) -> None:
    end, dead = world.sights[-1], world.evidence.crashes
    calls = [e for e in world.evidence.exchanges.values() if e.answers and not dead[e.request.to]]
    each = world.one(e for e in calls if not e.request.path.endswith("/events"))
    world.drop(*(answer.sight for answer in each.answers), *([each.outcome] if each.outcome else []))
    world.sights[-1] = msgspec.structs.replace(end, at=end.at + 3_600)


def grant_from_nowhere(world: World) -> None:
    """The answer to an authorise never came, and its grant was taken all the same."""
    each = world.one(e for e in world.evidence.soap_calls("authorize") if any(True for _ in e.taken()))
    _never_came(world, each)


def delivered_on_garbage(world: World) -> None:
    """A charge record is taken for delivered on an answer that says nothing."""
    ends = list(world.evidence.soap_calls("endTransaction"))
    name = world.one(ends).said
    for each in ends:
        if each.said and name and each.said.name == name.name and each.outcome is not None:
            world.swap(each.outcome, msgspec.structs.replace(each.outcome, body="<garbage/>"))


def accepted_by_nobody(world: World) -> None:
    sent = world.one(world.evidence.soap_calls("requestStartTransaction")).said
    for each in world.evidence.soap_calls("requestStartTransaction"):
        if each.said and sent and each.said.request == sent.request:
            _never_came(world, each)


def _never_came(world: World, each: Exchange) -> None:
    if each.outcome is not None:
        world.swap(each.outcome, msgspec.structs.replace(each.outcome, status=0, body="", cause="lost"))


def station_never_said(world: World) -> None:
    """A command counts as accepted, and its station never answered."""
    call = world.one(call for call in remote_starts(world.evidence) if len(call.heard) == 1)
    world.drop(call.heard[0].sight)


def answered_twice(world: World) -> None:
    call = world.one(world.station_calls())
    sight = call.replies[0][0].sight
    world.insert_after(sight, sight)


def answered_with_other_id(world: World) -> None:
    call = world.one(world.station_calls())
    sight = call.replies[0][0].sight
    world.swap(sight, msgspec.structs.replace(sight, text=sight.text.replace(call.said.id, "another")))


def answered_late(world: World) -> None:
    call = world.one(world.station_calls())
    sight = call.replies[0][0].sight
    world.swap(sight, msgspec.structs.replace(sight, at=sight.at + 31))


def request_answered_twice(world: World) -> None:
    sight = world.one(world.of(AnswerSent))
    copies = sum(1 for each in world.evidence.exchanges[sight.exchange].arrivals)
    world.insert_after(sight, *[sight] * copies)
