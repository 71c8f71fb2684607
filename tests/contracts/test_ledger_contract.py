"""What every ledger shows of transactions and charge records."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from actors.cursors import cursor_of, place_of
from actors.journal import Journal
from actors.ledger import Ledger
from actors.orphans import Orphans
from actors.outbox import Outbox
from actors.records import Alias, AliasTaken, Append, DeliveryClosed, DeliveryStatus, LogEntry, Orphan, StreamCorrupt
from statecharts.searches import CdrSearch
from statecharts.vocabulary import Refused
from tests.contracts.samples import NOON, after, append, delivery, entry, execute, view


async def put(journal: Journal, *numbers: int, final: bool = False, role: str = "source", **more: object) -> None:
    for number in numbers:
        stream = f"{role}/{number}"
        seq = len(await journal.load(stream))
        await journal.append(append(stream, seq, view=view(number, role, **more), final=final))


# -- transactions ------------------------------------------------------------------------------------------------------


async def test_a_transaction_is_shown_as_its_last_append_left_it(journal: Journal, ledger: Ledger) -> None:
    await put(journal, 1, state="TxRunning", version=1)
    await put(journal, 1, state="TxFinished", version=2, energy_wh=11_000, flags=("overdue",))
    shown = view(1, state="TxFinished", version=2, energy_wh=11_000, flags=("overdue",))
    assert await ledger.transaction("source/1") == shown
    assert await ledger.transaction("source/2") is None


async def test_pages_show_every_transaction_once_newest_first(journal: Journal, ledger: Ledger) -> None:
    await put(journal, *range(1, 8))
    seen, cursor = [], None
    while True:
        page = await ledger.transactions(cursor=cursor, limit=3)
        seen += [each.transaction_id for each in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
        await put(journal, 100 + len(seen))  # a newer one appears meanwhile
    assert seen == ["7", "6", "5", "4", "3", "2", "1"]


async def test_transactions_of_the_same_instant_are_paged_without_loss(journal: Journal, ledger: Ledger) -> None:
    await put(journal, 1, 2, 3, created_at=NOON)
    first = await ledger.transactions(limit=2)
    second = await ledger.transactions(cursor=first.next_cursor, limit=2)
    assert sorted(each.transaction_id for each in first.items + second.items) == ["1", "2", "3"]
    assert second.next_cursor is None


async def test_a_list_is_of_one_role_state_and_set_of_users(journal: Journal, ledger: Ledger) -> None:
    await put(journal, 1, 2, user_identifier="anna")
    await put(journal, 3, user_identifier="bert", state="Ready")
    await put(journal, 4, role="destination", user_identifier="bert")

    async def listed(**filters: object) -> list[str]:
        return [each.transaction_id for each in (await ledger.transactions(limit=9, **filters)).items]

    assert await listed(role="source") == ["3", "2", "1"]
    assert await listed(state="Ready") == ["3"]
    assert await listed(users={"bert"}) == ["4", "3"]
    assert await listed(users={"anna", "bert"}, role="source", state="TxRunning") == ["2", "1"]
    assert await listed(users=()) == []


@pytest.mark.parametrize("cursor", ["", "!", "AAAA", "\N{SNOWMAN}", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5IHg"])
async def test_a_cursor_that_is_not_ours_is_refused(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(Refused) as caught:
        await ledger.transactions(cursor=cursor, limit=3)
    assert caught.value.refusal.code == 400


@given(st.text() | st.from_regex(r"[\w-]{0,40}", fullmatch=True))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        number, name = place_of(text, "things", int, str)
    except Refused:
        return
    assert isinstance(number, int)
    assert isinstance(name, str)


@given(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_cursor_of_ours_is_read_as_it_was_made_and_by_its_own_list_only(number: int, name: str) -> None:
    cursor = cursor_of("things", number, name)
    assert place_of(cursor, "things", int, str) == (number, name)
    for listed, kinds in (("others", (int, str)), ("things", (int,)), ("things", (str, int))):
        with pytest.raises(Refused):
            place_of(cursor, listed, *kinds)


async def test_namesakes_of_an_authorization_come_newest_first(journal: Journal, ledger: Ledger) -> None:
    await put(journal, 1, authorization_identifier="0A1B2C3D4E5F", pms_identifier="IE-001")
    await put(journal, 2, authorization_identifier="0A1B2C3D4E5F", pms_identifier="FR-002")
    await put(journal, 3)
    found = await ledger.by_authorization("0A1B2C3D4E5F")
    assert [each.transaction_id for each in found] == ["2", "1"]


async def test_the_newest_of_a_role_open_or_not(journal: Journal, ledger: Ledger) -> None:
    assert await ledger.newest("source", only_open=False) is None
    await put(journal, 1, 2)
    await put(journal, 3, final=True)
    newest, open_one = await ledger.newest("source", only_open=False), await ledger.newest("source", only_open=True)
    assert newest is not None
    assert open_one is not None
    assert (newest.transaction_id, open_one.transaction_id) == ("3", "2")


async def test_open_transactions_are_counted_per_peers_user(journal: Journal, ledger: Ledger) -> None:
    mine = {"role": "destination", "pms_identifier": "NL-MOT"}
    await put(journal, 1, 2, **mine)
    await put(journal, 3, final=True, **mine)
    await put(journal, 4, user_identifier="bert", **mine)
    await put(journal, 5, role="destination", pms_identifier="FR-002")
    state = view(1).state
    assert await ledger.count_open("NL-MOT", "bert", states=(state, "Expired")) == 1
    assert await ledger.count_open("NL-MOT", "bert", states=("Expired",)) == 0
    assert await ledger.count_open("FR-002", "anna", states=(state,)) == 1
    assert await ledger.count_open("FR-002", "anna", states=(state,), role="source") == 0


async def test_changes_come_in_the_order_of_the_journal_each_transaction_once_as_it_stands(
    journal: Journal, ledger: Ledger
) -> None:
    await put(journal, 1, 2, 3, state="Ready")
    await put(journal, 1, state="TxRunning")
    changes = await ledger.changes_since(0, limit=10)
    assert [(each.transaction.transaction_id, each.transaction.state) for each in changes] == [
        ("2", "Ready"),
        ("3", "Ready"),
        ("1", "TxRunning"),
    ]
    facts = {stream: (await journal.load(f"source/{stream}"))[-1].position for stream in ("1", "2", "3")}
    assert {each.transaction.transaction_id: each.position for each in changes} == facts
    assert await ledger.newest_position() == facts["1"]


async def test_changes_are_read_on_from_where_the_last_page_ended(journal: Journal, ledger: Ledger) -> None:
    await put(journal, *range(1, 6))
    await put(journal, 6, user_identifier="bert")
    await put(journal, 7, role="destination")
    seen, position = [], 0
    while page := await ledger.changes_since(position, role="source", users=["anna"], limit=2):
        seen += [each.transaction.transaction_id for each in page]
        position = page[-1].position
    assert seen == ["1", "2", "3", "4", "5"]
    (only,) = await ledger.changes_since(0, stream="source/6", limit=5)
    assert only.transaction.user_identifier == "bert"
    assert await ledger.changes_since(only.position, stream="source/6", limit=5) == ()


async def test_what_is_appended_without_a_fact_keeps_its_place(journal: Journal, ledger: Ledger) -> None:
    await put(journal, 1, 2)
    before = await ledger.changes_since(0, limit=5)
    await journal.append(Append(stream="source/1", after_seq=1, facts=(), view=view(1)))
    assert await ledger.changes_since(0, limit=5) == before


async def test_a_bad_append_beside_them_does_not_move_the_places_of_others(journal: Journal, ledger: Ledger) -> None:
    await journal.append(append("source/9", aliases=(Alias(scope="s", name="taken"),)))
    outcomes: list[str] = []

    async def add(number: int, *aliases: Alias) -> None:
        try:
            await journal.append(append(f"source/{number}", view=view(number), aliases=aliases))
        except AliasTaken:
            outcomes.append(f"{number} refused")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(add, 1)
        nursery.start_soon(add, 2, Alias(scope="s", name="taken"))
        nursery.start_soon(add, 3)
    assert outcomes == ["2 refused"]
    places = {each.transaction.transaction_id: each.position for each in await ledger.changes_since(0, limit=5)}
    assert places == {
        "1": (await journal.load("source/1"))[-1].position,
        "3": (await journal.load("source/3"))[-1].position,
    }
    assert await journal.check() == ()


# -- charge records ----------------------------------------------------------------------------------------------------


async def test_a_charge_record_is_shown_as_its_last_append_left_it(journal: Journal, ledger: Ledger) -> None:
    await journal.append(append("destination/1", ledger=(entry("IE-001/A", status="overdue"),)))
    newer = entry("IE-001/A", status="acknowledged", acknowledged_at=after(9), corrections=1)
    await journal.append(append("destination/1", 1, ledger=(newer,)))
    assert await ledger.cdr("destination", "IE-001/A") == newer.cdr
    assert await ledger.entry("destination", "IE-001/A") == newer
    assert await ledger.cdr("source", "IE-001/A") is None


async def test_charge_records_are_listed_the_last_ended_first(journal: Journal, ledger: Ledger) -> None:
    for number in (1, 3, 2):
        record = entry(f"IE-001/{number}", ended_at=after(number))
        await journal.append(append(f"destination/{number}", ledger=(record,)))
    await journal.append(append("source/9", ledger=(entry("FR-002/9", role="source", ended_at=after(9)),)))
    first = await ledger.cdrs(role="destination", limit=2)
    assert [cdr.cdr_id for cdr in first.items] == ["IE-001/3", "IE-001/2"]
    assert [cdr.cdr_id for cdr in (await ledger.cdrs(limit=9)).items][0:2] == ["FR-002/9", "IE-001/3"]
    await journal.append(append("destination/7", ledger=(entry("IE-001/7", ended_at=after(7)),)))
    second = await ledger.cdrs(role="destination", cursor=first.next_cursor, limit=2)
    assert [cdr.cdr_id for cdr in second.items] == ["IE-001/1"] and second.next_cursor is None


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ({"partner": "NL-MOT"}, ["IE-001/3", "IE-001/1"]),
        ({"partner": "NL-MOT", "status": "acknowledged"}, ["IE-001/1"]),
        ({"status": "overdue"}, ["IE-001/3", "IE-001/2"]),
        ({"status": "overdue", "partner": "DE-777", "role": "destination"}, ["IE-001/2"]),
        ({"since": after(2)}, ["IE-001/3", "IE-001/2"]),
        ({"until": after(2), "partner": "NL-MOT"}, ["IE-001/1"]),
        ({"role": "source"}, []),
    ],
)
async def test_charge_records_are_found_by_each_part_of_a_search(
    journal: Journal, ledger: Ledger, search: CdrSearch, found: list[str]
) -> None:
    held = ((1, "NL-MOT", "acknowledged"), (2, "DE-777", "overdue"), (3, "NL-MOT", "overdue"))
    for number, peer, status in held:
        record = entry(f"IE-001/{number}", peer=peer, status=status, ended_at=after(number))
        await journal.append(append(f"destination/{number}", ledger=(record,)))
    shown = [cdr.cdr_id for cdr in (await ledger.cdrs(limit=9, **search)).items]
    assert shown == found


async def test_charge_records_of_one_instant_and_one_name_are_paged_without_loss(
    journal: Journal, ledger: Ledger
) -> None:
    for role in ("source", "destination"):
        await journal.append(append(f"{role}/1", ledger=(entry("IE-001/1", role=role, ended_at=NOON),)))
    first = await ledger.cdrs(limit=1)
    second = await ledger.cdrs(cursor=first.next_cursor, limit=1)
    assert len(first.items + second.items) == 2 and second.next_cursor is None


async def test_the_ledger_counts_every_record_of_a_peer(journal: Journal, ledger: Ledger) -> None:
    records = (
        entry("IE-001/1", acknowledged_at=after(1), corrections=2),
        entry("IE-001/2", status="overdue"),
        entry("IE-001/3", status="parked"),
        entry("IE-001/4", status="acknowledged"),
        entry("IE-001/5", status="ended", peer="FR-002"),
        entry("IE-001/6", role="source"),
    )
    owed = tuple(delivery(f"end/{number}", "NL-MOT", transaction="destination/1") for number in range(3))
    ids = [
        each.id for each in (await journal.append(append("destination/1", ledger=records, deliveries=owed))).deliveries
    ]
    await Outbox(journal.store).record_attempt(ids[0], 1, after(60), "no answer")
    done = DeliveryClosed(id=ids[1], status=DeliveryStatus.DONE)
    await journal.append(append("destination/1", 1, closed=(done,)))
    assert await ledger.counts("NL-MOT", role="destination") == {
        "ended": 4,
        "pending": 1,
        "delivered": 3,
        "acknowledged": 2,
        "overdue": 1,
        "parked": 1,
        "corrected": 1,
    }
    assert (await ledger.counts("NL-MOT"))["ended"] == 5
    assert set((await ledger.counts("nobody")).values()) == {0}
    assert (await ledger.counts("FR-002"))["ended"] == 1


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "alter",
    [
        "UPDATE transactions SET document = CAST(replace(document, 'anna', 'eve') AS BLOB)",
        """UPDATE transactions SET "user" = 'eve'""",
        "UPDATE ledger SET document = CAST(replace(document, '11000', '99000') AS BLOB)",
        "UPDATE ledger SET acknowledged_at = 5",
        "UPDATE orphans SET body = CAST('5' AS BLOB)",
        "UPDATE station_log SET kind = 'Harmless'",
    ],
)
async def test_an_altered_row_is_never_shown(journal: Journal, ledger: Ledger, alter: str) -> None:
    orphan = Orphan(station="CS01", kind="StopTransaction", at=NOON, body=b"{}")
    logged = LogEntry(station="CS01", kind="SecurityEvent", at=NOON, body=b"{}")
    await journal.append(
        append(view=view(), ledger=(entry("IE-001/A", role="source"),), orphans=(orphan,), log=(logged,))
    )
    await journal.store.write(execute, alter)
    table = alter.split()[1]
    reading = {
        "transactions": lambda: ledger.transactions(limit=9),
        "ledger": lambda: ledger.cdrs(role="source", limit=9),
        "orphans": lambda: Orphans(journal.store).page(limit=9),
        "station_log": lambda: ledger.station_log("CS01", limit=9),
    }[table]
    with pytest.raises(StreamCorrupt, match=f"{table}/.* does not match its checksum"):
        await reading()
    assert [finding.stream.partition("/")[0] for finding in await journal.check()] == [table]
