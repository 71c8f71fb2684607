"""The fleet against a plain list of stations: whatever is decided, set, lost and restarted, both know the same."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.context import place_at
from actors.fleet import Fleet
from actors.journal import open_journal
from actors.records import StoreUnavailable
from actors.store import run_inline
from statecharts import standing
from statecharts.bounds import Watermarks
from statecharts.charging import ChargingDeadlines
from statecharts.directory import StationEntry
from statecharts.fleet import Member, Origin, StationRecord
from statecharts.standing import AcceptStation, RejectStation, RetireStation, Standing
from statecharts.station_credentials import StationCredentials
from statecharts.station_key import ChangeKey, KeyRefused, KeyTaken, KeyUnanswered, LoggedIn
from statecharts.vocabulary import Location, Refused
from tests.contracts.samples import NOON, StoppedClock

HERE = Location(latitude=Decimal("52.3702"), longitude=Decimal("4.8952"))
LISTED, ALL = ("CS1", "CS2"), ("CS1", "CS2", "NEW1", "NEW2")
DECISIONS = {"Accepted": AcceptStation, "Rejected": RejectStation, "Retired": RetireStation}


@dataclass
class PlainStation:
    """One station in plain words; `keys` are those that open, the one that it was last known to have first."""

    standing: str
    keys: tuple[str, ...]

    def decide(self, standing: str) -> None:
        if not (self.standing == "Retired" and standing == "Rejected"):
            self.standing = standing

    def told(self, key: str, answer: str) -> None:
        if len(self.keys) > 1 or key in self.keys:
            return
        self.keys = {"taken": (key,), "refused": self.keys, "lost": (*self.keys, key)}[answer]

    def came_in_by(self, key: str) -> None:
        if key in self.keys:
            self.keys = (key,)


class Plain(dict[str, PlainStation]):
    def __init__(self) -> None:
        super().__init__({name: PlainStation("Accepted", (f"of {name}",)) for name in LISTED})

    def open_to(self) -> dict[str, tuple[str, ...]]:
        return {name: each.keys for name, each in self.items() if each.standing != "Retired"}

    def places(self) -> set[str]:
        return {name for name, each in self.items() if each.standing == "Accepted"}


NAMES = st.sampled_from(ALL)
KEYS = st.sampled_from(("k1", "k2", "k3"))
STEPS = st.one_of(
    st.tuples(st.just("register"), NAMES, KEYS),
    st.tuples(st.just("decide"), NAMES, st.sampled_from(tuple(DECISIONS))),
    st.tuples(st.just("taken"), NAMES, KEYS),
    st.tuples(st.just("refused"), NAMES, KEYS),
    st.tuples(st.just("lost"), NAMES, KEYS),
    st.tuples(st.just("login"), NAMES, KEYS | st.just("of CS1")),
    st.tuples(st.just("restart"), NAMES, KEYS),
    st.tuples(st.just("full disk"), NAMES, KEYS),
)


def entry(identity: str, key: str) -> StationEntry:
    return StationEntry(
        identity=identity, credentials=StationCredentials(password_hash=key), connectors=2, location=HERE
    )


class Machine:
    """Does each step to the fleet and to the plain list."""

    def __init__(self, store: Any) -> None:
        self.store, self.plain, self.fleet = store, Plain(), self._made(store)

    def _made(self, store: Any) -> Fleet:
        return Fleet(
            store,
            [entry(name, f"of {name}") for name in LISTED],
            place_of=lambda each: place_at(each, ChargingDeadlines()),
            fresh_bytes=bytes,
            watermarks=Watermarks(),
        )

    async def step(self, what: str, name: str, word: str) -> None:
        known = self.plain.get(name)
        if what == "restart":
            self.fleet = self._made(self.store)
            await self.fleet.load()
        elif what == "register":
            await self._register(name, word)
        elif known is None:
            assert self.fleet.member(name) is None
        elif what == "decide":
            await self._decide(name, word)
            known.decide(word)
        elif what == "login":
            if word in known.keys:
                await self.fleet.turn_key(name, LoggedIn(at=NOON, password_hash=word))
            known.came_in_by(word)
        elif what == "full disk":
            await self._on_a_full_disk(name)
        else:
            await self._told(name, word, what, known)

    async def _register(self, name: str, key: str) -> None:
        stands = Standing(state=standing.S.ACCEPTED, since=NOON)
        new = StationRecord(identity=name, standing=stands, since=NOON, own=entry(name, key))
        await self.fleet.change(name, lambda known: new if known is None else None)
        self.plain.setdefault(name, PlainStation("Accepted", (key,)))

    async def _decide(self, name: str, state: str) -> None:
        def decide(member: Member | None) -> StationRecord:
            assert member is not None
            decision = standing.CHART.step(member.standing, DECISIONS[state](at=NOON))
            record = member.record_now(NOON)
            return StationRecord(identity=name, standing=decision.data, since=NOON, own=record.own, key=record.key)

        await self.fleet.change(name, decide)

    async def _told(self, name: str, key: str, answer: str, known: PlainStation) -> None:
        if len(known.keys) > 1:
            try:
                await self.fleet.turn_key(name, ChangeKey(at=NOON, next_password_hash=key))
            except Refused as no:
                assert no.refusal.kind == "key-change-under-way"
                return
            raise AssertionError("three keys would open")
        if key in known.keys:
            return
        await self.fleet.turn_key(name, ChangeKey(at=NOON, next_password_hash=key))
        events = {
            "taken": KeyTaken(at=NOON, password_hash=key),
            "refused": KeyRefused(at=NOON, password_hash=key, cause="Rejected"),
            "lost": KeyUnanswered(at=NOON, password_hash=key, cause="no answer"),
        }
        await self.fleet.turn_key(name, events[answer])
        known.told(key, answer)

    async def _on_a_full_disk(self, name: str) -> None:
        async def full(*_: object) -> None:
            raise StoreUnavailable("the disk is full")

        written, self.store.write = self.store.write, full
        try:
            await self._decide(name, "Retired")
        except StoreUnavailable:
            return
        finally:
            self.store.write = written
        raise AssertionError("it was told as done, and is not on the disk")

    def check(self) -> None:
        assert {member.identity for member in self.fleet} == set(self.plain)
        assert set(self.fleet.places) == self.plain.places()
        found = {name: self.fleet.credentials(name) for name in self.plain}
        opened = {
            name: tuple(key for key in (each.password_hash, each.next_password_hash) if key)
            for name, each in found.items()
            if each is not None
        }
        assert opened == self.plain.open_to()
        origins = {member.identity: member.origin for member in self.fleet}
        assert all((origins[name] is Origin.FILE) is (name in LISTED) for name in origins)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_the_fleet_knows_what_a_plain_list_knows(steps: list[tuple[str, str, str]]) -> None:
    async def play() -> None:
        async with open_journal("sqlite://", clock=StoppedClock(), run_sync=run_inline) as journal:
            machine = Machine(journal.store)
            for step in steps:
                await machine.step(*step)
                machine.check()
            await machine.step("restart", "CS1", "k1")
            machine.check()

    trio.run(play)
