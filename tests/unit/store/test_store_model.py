"""The journal against a dict: whatever is appended, refused, delivered or opened again, both agree."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.journal import Journal, open_journal
from actors.ledger import Ledger
from actors.outbox import Outbox
from actors.records import (
    Alias,
    AliasTaken,
    Append,
    Appended,
    DeliveryClosed,
    DeliveryStatus,
    Snapshot,
    StoreError,
    StreamConflict,
)
from actors.retention import Retention, RetentionSettings
from actors.store import run_inline
from tests.contracts.samples import NOON, StoppedClock, append, delivery, view

T = TypeVar("T")
STREAMS = st.sampled_from(["source/1", "source/2", "source/3"])
DONE = DeliveryStatus.DONE
NAMES = st.sampled_from(["A", "B", "C", "D"])


@dataclass
class Model:
    """What should be in the journal."""

    facts: dict[str, list[bytes]] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    owed: dict[str, DeliveryStatus] = field(default_factory=dict)
    owner: dict[str, str] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    over: dict[str, bool] = field(default_factory=dict)
    newest: str = ""

    def expect(self, wanted: Append) -> type[Appended] | type[StoreError]:
        """What must become of an append; takes it over if it is to be stored."""
        if wanted.after_seq != len(self.facts.get(wanted.stream, ())):
            return StreamConflict
        taken = any(self.aliases.get(alias.name, wanted.stream) != wanted.stream for alias in wanted.aliases)
        if taken or any(each.message_id in self.owed for each in wanted.deliveries):
            return AliasTaken
        self.facts.setdefault(wanted.stream, []).extend(each.data for each in wanted.facts)
        self.aliases |= {alias.name: wanted.stream for alias in wanted.aliases}
        self.owed |= {each.message_id: DeliveryStatus.PENDING for each in wanted.deliveries}
        self.owner |= {each.message_id: wanted.stream for each in wanted.deliveries}
        if wanted.view:
            self.versions[wanted.stream], self.over[wanted.stream] = wanted.view.version, wanted.final
        self.newest = wanted.stream
        return Appended

    def archive(self) -> list[str]:
        """Takes over that all transactions that are over are archived; the messages that leave the outbox with them.

        The newest fact of all keeps its stream in the journal; one that has been archived waits for its next view.
        """
        archived = [stream for stream, over in self.over.items() if over and stream != self.newest]
        self.over |= dict.fromkeys(archived, False)
        gone = [name for name, stream in self.owner.items() if stream in archived and self.owed[name] is DONE]
        for name in gone:
            del self.owed[name], self.owner[name]
        return gone


class JournalMachine(RuleBasedStateMachine):
    """Every rule opens the journal anew and closes it again, so that each step is a restart as well."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.model = Model()
        self.ids: dict[str, int] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def run(self, work: Callable[[Journal], Awaitable[T]]) -> T:
        async def main() -> T:
            async with self.opened() as journal:
                return await work(journal)

        return trio.run(main)

    def opened(self) -> AbstractAsyncContextManager[Journal]:
        return open_journal(f"sqlite:///{self.folder}/journal.db", clock=StoppedClock(), run_sync=run_inline)

    @rule(data=st.data(), count=st.integers(1, 5))
    def append_some_at_once(self, data: st.DataObject, count: int) -> None:
        wanted = [data.draw(self.appends()) for _ in range(count)]

        async def work(journal: Journal) -> None:
            async with trio.open_nursery() as nursery:
                for each in wanted:
                    await trio.testing.wait_all_tasks_blocked()
                    nursery.start_soon(self.append_one, journal, each)

        self.run(work)

    @rule(data=st.data(), status=st.sampled_from([DeliveryStatus.DONE, DeliveryStatus.PARKED]))
    def close_a_delivery(self, data: st.DataObject, status: DeliveryStatus) -> None:
        if not self.ids:
            return
        message_id = data.draw(st.sampled_from(sorted(self.ids)))
        seq = len(self.model.facts.get("source/1", ()))
        closed = DeliveryClosed(id=self.ids[message_id], status=status)
        self.run(lambda journal: self.append_one(journal, append("source/1", seq, "closed", closed=(closed,))))
        if self.model.owed[message_id] is not DeliveryStatus.DONE:
            self.model.owed[message_id] = status

    @rule()
    def archive_what_is_over(self) -> None:
        later = StoppedClock(NOON + timedelta(days=100))
        self.run(lambda journal: Retention(journal.store, later, RetentionSettings()).tidy())
        for message_id in self.model.archive():
            del self.ids[message_id]

    @rule(data=st.data())
    def replay_a_delivery(self, data: st.DataObject) -> None:
        if not self.ids:
            return
        message_id = data.draw(st.sampled_from(sorted(self.ids)))
        replayed = self.run(lambda journal: Outbox(journal.store).replay(self.ids[message_id]))
        assert replayed == (self.model.owed[message_id] is DeliveryStatus.PARKED)
        if replayed:
            self.model.owed[message_id] = DeliveryStatus.PENDING

    @invariant()
    def both_agree(self) -> None:
        self.run(self.compare)

    def appends(self) -> st.SearchStrategy[Append]:
        def made(
            stream: str, behind: int, facts: list[str], names: set[str], owed: set[str], over: bool | None, snap: bool
        ) -> Append:
            seq = max(0, len(self.model.facts.get(stream, ())) - behind)
            return append(
                stream,
                seq,
                *facts,
                aliases=tuple(Alias(scope="test", name=name) for name in sorted(names)),
                deliveries=tuple(delivery(each, transaction=stream) for each in sorted(owed)),
                view=None if over is None else view(1, version=seq),
                final=bool(over),
                snapshot=Snapshot(seq=seq + len(facts), form="model", data=b"") if snap else None,
            )

        few = st.lists(st.text(max_size=3), min_size=1, max_size=3)
        behind = st.sampled_from([0, 0, 0, 1])
        some = st.sets(NAMES, max_size=2)
        return st.builds(made, STREAMS, behind, few, some, some, st.sampled_from([None, False, True]), st.booleans())

    async def append_one(self, journal: Journal, wanted: Append) -> None:
        expected = self.model.expect(wanted)
        try:
            stored = await journal.append(wanted)
        except StoreError as error:
            assert type(error) is expected
        else:
            assert type(stored) is expected
            self.ids |= {each.message_id: each.id for each in stored.deliveries}

    async def compare(self, journal: Journal) -> None:
        for stream, facts in self.model.facts.items():
            assert [each.data for each in await journal.load(stream)] == facts
            history = await journal.history(stream, "model")
            after_seq = history.snapshot.seq if history.snapshot else 0
            assert [each.data for each in history.facts] == facts[after_seq:]
            shown = await Ledger(journal.store).transaction(stream)
            assert (shown.version if shown else None) == self.model.versions.get(stream)
        for name, stream in self.model.aliases.items():
            assert await journal.find("test", name) == stream
        pending = await Outbox(journal.store).pending("IE-001", 100, NOON)
        open_ones = {name for name, status in self.model.owed.items() if status is DeliveryStatus.PENDING}
        assert {each.message_id for each in pending} == open_ones
        assert await journal.check() == ()


TestJournalAgainstADict = JournalMachine.TestCase
TestJournalAgainstADict.settings = settings(max_examples=12, stateful_step_count=12, deadline=None)
