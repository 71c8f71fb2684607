"""What every outbox promises to those who deliver from it."""

from __future__ import annotations

from actors.journal import Journal
from actors.outbox import Outbox
from actors.records import Delivery, DeliveryClosed, DeliveryStatus
from tests.contracts.samples import NOON, StoppedClock, after, append, delivery, execute

IE = "IE-001"


async def owe(journal: Journal, *message_ids: str, stream: str = "source/1", **more: object) -> tuple[Delivery, ...]:
    seq = len(await journal.load(stream))
    owed = tuple(delivery(message_id, transaction=stream, **more) for message_id in message_ids)
    return (await journal.append(append(stream, seq, deliveries=owed))).deliveries


def ids(deliveries: tuple[Delivery, ...]) -> list[str]:
    return [each.message_id for each in deliveries]


async def test_what_is_owed_comes_back_as_it_was_written(journal: Journal, outbox: Outbox) -> None:
    owed = await owe(journal, "a", body=b"\0\xff", expires_at=after(60))
    assert await outbox.pending(IE, 10, NOON) == owed
    assert await outbox.pending("NL-MOT", 10, NOON) == ()


async def test_those_due_first_are_given_in_the_order_of_their_ids(journal: Journal, outbox: Outbox) -> None:
    a, b, _c, _d = await owe(journal, "a", "b", "c", "d")
    await outbox.record_attempt(a.id, 1, after(300), "timeout")
    await outbox.record_attempt(b.id, 1, after(30), "timeout")
    assert ids(await outbox.pending(IE, 3, NOON)) == ["b", "c", "d"]
    assert ids(await outbox.pending(IE, 9, NOON)) == ["a", "b", "c", "d"]


async def test_an_attempt_is_remembered(journal: Journal, outbox: Outbox) -> None:
    (owed,) = await owe(journal, "a")
    await outbox.record_attempt(owed.id, 3, after(8), "503 from the peer")
    (tried,) = await outbox.pending(IE, 1, NOON)
    assert (tried.attempts, tried.next_at, tried.last_error) == (3, after(8), "503 from the peer")


async def test_a_delivery_closes_together_with_its_fact(journal: Journal, outbox: Outbox) -> None:
    done, parked, still = await owe(journal, "done", "parked", "still")
    closed = (
        DeliveryClosed(id=done.id, status=DeliveryStatus.DONE),
        DeliveryClosed(id=parked.id, status=DeliveryStatus.PARKED, error="404 unknown"),
    )
    await journal.append(append("source/1", 1, closed=closed))
    assert await outbox.pending(IE, 9, NOON) == (still,)
    (put_aside,) = (await outbox.page(NOON, peer=IE, status="parked", limit=9)).items
    assert (put_aside.message_id, put_aside.last_error) == ("parked", "404 unknown")
    assert await outbox.counts(IE) == {"pending": 1, "done": 1, "parked": 1, "lapsed": 0}


async def test_what_is_acknowledged_stays_so(journal: Journal, outbox: Outbox) -> None:
    (owed,) = await owe(journal, "a")
    for seq, status in enumerate((DeliveryStatus.DONE, DeliveryStatus.PARKED), start=1):
        await journal.append(append("source/1", seq, closed=(DeliveryClosed(id=owed.id, status=status),)))
    await outbox.record_attempt(owed.id, 7, after(9), "late")
    assert not await outbox.park(owed.id, "late")
    assert not await outbox.replay(owed.id)
    assert (await outbox.counts(IE))[DeliveryStatus.DONE] == 1


async def test_a_parked_delivery_can_be_replayed_by_its_peers_operator_only(
    journal: Journal, outbox: Outbox, clock: StoppedClock
) -> None:
    (owed,) = await owe(journal, "a")
    await outbox.record_attempt(owed.id, 40, after(9_000), "timeout")
    assert await outbox.park(owed.id, "30 days over")
    assert await outbox.pending(IE, 9, NOON) == ()
    clock.time = after(50_000)
    assert not await outbox.replay(owed.id, "NL-MOT")
    assert await outbox.replay(owed.id, IE)
    assert not await outbox.replay(owed.id, IE)
    (again,) = await outbox.pending(IE, 9, clock.time)
    assert (again.attempts, again.next_at) == (0, after(50_000))


async def test_a_command_is_never_given_after_its_time_and_a_fact_always(journal: Journal, outbox: Outbox) -> None:
    await owe(journal, "command", expires_at=after(60))
    await owe(journal, "fact")
    assert ids(await outbox.pending(IE, 9, after(59))) == ["command", "fact"]
    assert ids(await outbox.pending(IE, 9, after(60))) == ["fact"]
    assert [await outbox.lapse(after(seconds)) for seconds in (59, 60, 61)] == [0, 1, 0]
    assert await outbox.counts(IE) == {"pending": 1, "done": 0, "parked": 0, "lapsed": 1}


async def test_peers_with_something_owed_are_known(journal: Journal, outbox: Outbox) -> None:
    await owe(journal, "a", stream="source/2", peer="NL-MOT")
    (owed,) = await owe(journal, "b")
    assert await outbox.peers_with_pending() == (IE, "NL-MOT")
    await outbox.park(owed.id, "400")
    assert await outbox.peers_with_pending() == ("NL-MOT",)


async def test_an_altered_delivery_is_parked_and_holds_back_no_other(journal: Journal, outbox: Outbox) -> None:
    await owe(journal, "good", "bad")
    alter = "UPDATE deliveries SET body = CAST('<energy>9999' AS BLOB) WHERE message_id = 'bad'"
    await journal.store.write(execute, alter)
    assert ids(await outbox.pending(IE, 9, NOON)) == ["good"]
    (parked,) = (await outbox.page(NOON, peer=IE, status="parked", limit=9)).items
    assert "altered on the disk" in str(parked.last_error)
    assert (parked.transaction, parked.message_id, parked.body) == ("", "", b"")
    assert [finding.stream for finding in await journal.check()] == [f"deliveries/{parked.id}"]


async def test_a_delivery_whose_status_was_altered_is_found_by_the_check(journal: Journal, outbox: Outbox) -> None:
    await owe(journal, "a")
    alter = "UPDATE deliveries SET status = 'qending'"
    await journal.store.write(execute, alter)
    assert await outbox.pending(IE, 9, NOON) == ()
    (finding,) = await journal.check()
    assert "its status is 'qending'" in finding.reason
