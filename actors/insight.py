"""How this node is: whether it can do its work, and what a monitor wants to know; a `statecharts.doors.Insight`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta

import structlog
import trio
from sqlalchemy import ColumnElement, Connection, TextClause, case, func, literal_column, select

from actors import tables
from actors.context import Context
from actors.node_clock import NodeClock
from actors.peer import PeerActor
from actors.peers_role import clock_ahead_s
from actors.records import StoreError
from actors.rows import micros
from actors.station import StationActor
from actors.webhook import WebhookActor
from actors.webhook_messages import HookLook
from actors.webhook_rows import behind
from statecharts.doors import Ailment
from statecharts.meters import Labels, Reading

CHECK_S = 2.0
"""How long a check is waited for; the store's work cannot be stopped, but nobody has to wait for it."""

KEPT_S = 1.0
"""How long the outcome of a check holds: those who ask often do not make the store work."""

COUNTED_S = 15.0
"""The same for what has to be counted in the store."""

log = structlog.get_logger(__name__)

UNSETTLED = ("pending", "overdue", "parked", "conflict")
"""The states of a charge record that somebody still has to do something about."""

AGES = {"under_1h": 3_600, "1h_to_6h": 6 * 3_600, "6h_to_1d": 86_400, "1d_to_3d": 3 * 86_400}
OLDEST = "over_3d"
"""Ages of transactions since they began: up to how many seconds, and those beyond."""

CLOCK_BANDS = {"under_10s": 10.0, "10s_to_1m": 60.0, "1m_to_5m": 300.0}
FAR_OFF = "over_5m"
"""How far stations' clocks are off; beyond the last a charge is flagged for it where the clock is ahead."""

Counts = dict[Labels, int]


class Probe:
    """One piece of work in the store, begun at most once at a time and not again while its outcome is fresh."""

    def __init__(self, context: Context, work: Callable[[], Awaitable[object]], kept_s: float) -> None:
        self._context, self._work, self._kept_s = context, work, kept_s
        self._over: trio.Event | None = None
        self._fresh_until = float("-inf")
        self.outcome: object = None
        self.worked = False

    async def look(self) -> bool:
        """Whether the work was done of late, and without a failure; `outcome` is then what came of it."""
        if self._over is None and trio.current_time() >= self._fresh_until:
            self._over = trio.Event()
            self._context.system.spawn(self._run)
        if self._over is not None:
            with trio.move_on_after(CHECK_S):
                await self._over.wait()
        return self.worked and self._over is None

    async def _run(self) -> None:
        over = self._over
        try:
            self.outcome, self.worked = await self._work(), True
        except StoreError as error:
            self.worked = False
            log.warning("insight.store_failed", reason=str(error))
        finally:
            self._fresh_until, self._over = trio.current_time() + self._kept_s, None
            if over is not None:
                over.set()


class Insight:
    """Looks at one node from inside. `listening` is set once all its ports are open."""

    def __init__(self, context: Context, draining: trio.Event) -> None:
        self.listening = False
        self._context, self._draining = context, draining
        store = context.journal.store
        self._checks = {
            "store-writer": ("the store cannot be written", Probe(context, store.prove_writable, KEPT_S)),
            "store-reader": ("the store cannot be read", Probe(context, lambda: store.read(_touch), KEPT_S)),
        }
        self._owed = Probe(context, lambda: store.read(_owed), COUNTED_S)
        self._records = Probe(context, lambda: store.read(_records), COUNTED_S)
        self._orphans = Probe(context, lambda: store.read(_orphans), COUNTED_S)
        now = context.clock.now
        self._under_way = Probe(context, lambda: store.read(_under_way, micros(now())), COUNTED_S)
        self._lags = Probe(context, lambda: store.read(_lags, self._hooks(), context.clock), COUNTED_S)

    async def ailments(self) -> tuple[Ailment, ...]:
        found = []
        if self._draining.is_set():
            found.append(Ailment(check="draining", reason="the node is shutting down"))
        if not self.listening:
            found.append(Ailment(check="listeners", reason="not every port is open yet"))
        async with trio.open_nursery() as nursery:
            for name, (reason, probe) in self._checks.items():
                nursery.start_soon(_check, Ailment(check=name, reason=reason), probe, found)
        return tuple(sorted(found, key=lambda ailment: ailment.check))

    async def readings(self) -> tuple[Reading, ...]:
        found = (*self._actors(), *self._stations_and_peers(), *self._clocks(), *self._webhooks())
        return (*found, *await self._of_the_store())

    def _actors(self) -> Iterable[Reading]:
        system = self._context.system
        alive = Counter(_kind(actor.key) for actor in system)
        waiting: Counter[Labels] = Counter()
        for actor in system:
            waiting[_kind(actor.key)] += actor.waiting
        aside = Counter(_kind(key) for key in system.quarantined)
        by_kind = ("kind",)
        yield _reading("roamnode_actors", "Actors in memory", alive, by_kind)
        yield _reading("roamnode_actors_asleep", "Actors that have left memory until a deadline", {(): system.asleep})
        yield _reading("roamnode_actors_quarantined", "Actors put aside after repeated failures", aside, by_kind)
        yield _reading("roamnode_mailbox_messages", "Messages that wait for actors", waiting, by_kind)

    def _stations_and_peers(self) -> Iterable[Reading]:
        online = sum(isinstance(actor, StationActor) and actor.connection is not None for actor in self._context.system)
        in_service = sum(member.is_in_service for member in self._context.fleet)
        peers = [actor for actor in self._context.system if isinstance(actor, PeerActor)]
        states: Counts = {(peer.key.partition("/")[2], peer.data.state): 1 for peer in peers}
        yield _reading("roamnode_stations_online", "Stations that are connected", {(): online})
        yield _reading("roamnode_stations_configured", "Stations that are in service", {(): in_service})
        yield _reading("roamnode_peer_state", "1 for the state that each partner is in", states, ("peer", "state"))

    def _clocks(self) -> Iterable[Reading]:
        """Of stations only how many are how far off: a label that names each would make a series for each."""
        seen = (actor for actor in self._context.system if isinstance(actor, StationActor) and actor.connection)
        off = Counter(_off(actor.clock_ahead_s) for actor in seen if actor.clock_ahead_s is not None)
        yield _reading("roamnode_station_clocks", "Stations by how far their clocks are off", off, ("off", "direction"))
        roles = (("destination", self._context.destinations), ("source", self._context.sources))
        links = [((peer, role), client.seen()) for role, clients in roles for peer, client in clients.items()]
        ahead = {link: clock_ahead_s(seen, self._context.clock) for link, seen in links}
        known: Counts = {link: seconds for link, seconds in ahead.items() if seconds is not None}
        yield _reading(
            "roamnode_peer_clock_ahead_seconds", "How far partners' clocks are ahead", known, ("peer", "role")
        )

    def _hooks(self) -> tuple[HookLook, ...]:
        looks = (actor.look() for actor in self._context.system if isinstance(actor, WebhookActor))
        return tuple(look for look in looks if look is not None)

    def _webhooks(self) -> Iterable[Reading]:
        states: Counts = {(look.record.id, look.record.data.state): 1 for look in self._hooks()}
        given_up: Counts = {(look.record.id,): look.record.data.given_up for look in self._hooks()}
        yield _reading(
            "roamnode_webhook_state", "1 for the state that each webhook is in", states, ("webhook", "state")
        )
        yield _reading("roamnode_webhook_given_up", "Events that a receiver would not take", given_up, ("webhook",))

    async def _of_the_store(self) -> Iterable[Reading]:
        counted = (
            (self._owed, "roamnode_deliveries", "Messages owed to partners", ("peer", "status")),
            (self._records, "roamnode_charge_records", "Charge records not settled yet", ("peer", "status")),
            (self._orphans, "roamnode_orphans", "What stations reported that belongs to nothing", ("kind",)),
            (self._under_way, "roamnode_transactions", "Transactions that are not over", ("role", "state", "age")),
            (self._lags, "roamnode_webhook_lag_seconds", "Age of the oldest event owed to a webhook", ("webhook",)),
        )
        found = []
        for probe, name, meaning, labels in counted:
            if await probe.look() and isinstance(probe.outcome, dict):
                found.append(_reading(name, meaning, probe.outcome, labels))
        return found


def _off(ahead_s: float) -> Labels:
    band = next((band for band, end_s in CLOCK_BANDS.items() if abs(ahead_s) < end_s), FAR_OFF)
    return band, "ahead" if ahead_s > 0 else "behind"


def _kind(key: str) -> Labels:
    return (key.partition("/")[0],)


async def _check(ailment: Ailment, probe: Probe, found: list[Ailment]) -> None:
    if not await probe.look():
        found.append(ailment)


def _reading(name: str, meaning: str, values: Counts | Counter[Labels], labels: Labels = ()) -> Reading:
    return Reading(name=name, meaning=meaning, labels=labels, samples=tuple(sorted(values.items())))


def _touch(connection: Connection) -> None:
    connection.execute(select(1))


def _owed(connection: Connection) -> Counts:
    columns = tables.deliveries.c
    return _counted(connection, columns.status.in_(("pending", "parked")), columns.peer, columns.status)


def _records(connection: Connection) -> Counts:
    columns = tables.ledger.c
    return _counted(connection, columns.status.in_(UNSETTLED), columns.peer, columns.status)


def _orphans(connection: Connection) -> Counts:
    columns = tables.orphans.c
    return _counted(connection, columns.outcome == "", columns.kind)


def _under_way(connection: Connection, now_us: int) -> Counts:
    columns = tables.transactions.c
    # Written out, not bound: PostgreSQL takes one expression with two parameters of one value for two.
    bands = [(columns.created_at > literal_column(str(now_us - 1_000_000 * s)), _word(age)) for age, s in AGES.items()]
    return _counted(connection, tables.UNDER_WAY, columns.role, columns.state, case(*bands, else_=_word(OLDEST)))


def _word(text: str) -> ColumnElement[str]:
    return literal_column(f"'{text}'")


def _lags(connection: Connection, hooks: tuple[HookLook, ...], clock: NodeClock) -> Counts:
    """How old the oldest event is, in seconds, that each hook is owed; 0 where it is owed none."""
    return {(look.record.id,): max(0, int(_age(connection, look, clock).total_seconds())) for look in hooks}


def _age(connection: Connection, look: HookLook, clock: NodeClock) -> timedelta:
    if look.pending:
        return clock.wall() - look.pending[0].at
    _, since = behind(connection, look.position)
    return timedelta() if since is None else clock.wall() - clock.shown(since)


def _counted(connection: Connection, which: ColumnElement[bool] | TextClause, *by: ColumnElement[str]) -> Counts:
    """How many rows there are for each combination of these columns' values."""
    query = select(*by, func.count()).where(which).group_by(*by)
    return {tuple(map(str, labels)): int(count) for *labels, count in connection.execute(query)}
