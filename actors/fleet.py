"""The stations of this node: looked up in memory, changed in the store first; a `statecharts.ports.StationDirectory`.

Five thousand stations may knock in one second after a restart: what opens a station, and where it is, is known without
waiting. What is decided on one through the API is on the disk before anybody is told, here and everywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import structlog
import trio
from sqlalchemy import Connection, select

from actors import tables
from actors.bulk import put_rows
from actors.newcomers import Newcomers
from actors.rows import AnyRow, Row, intact, micros, raw, sealed
from actors.store import Store
from statecharts import station_key
from statecharts.bounds import STATIONS, Watermarks
from statecharts.chart import Outcome
from statecharts.directory import StationEntry
from statecharts.events import Event, NodeRestarted
from statecharts.fleet import Member, StationRecord, member_of
from statecharts.standing import S, Standing
from statecharts.station_credentials import SecurityProfile, Shown, StationCredentials
from statecharts.station_key import StationKey
from statecharts.vocabulary import Refused, Value, refused

if TYPE_CHECKING:
    from actors.context import Place


class Sight(Value, frozen=True, kw_only=True):
    """What lists are filtered by that only a station's journal says: what it was told, and by whom it was made."""

    registration: str
    vendor: str | None = None
    model: str | None = None


class FleetSettings(Value, frozen=True, kw_only=True):
    """What holds for all stations. `security_profile` is asked of those that name none, `profiles_had` can be asked.

    `keeps_unknown`: a station that nobody knows is kept as Pending until the operator has decided on it.
    """

    security_profile: SecurityProfile = SecurityProfile.BASIC
    profiles_had: tuple[SecurityProfile, ...] = tuple(SecurityProfile)
    certificate_organization: str | None = None
    keeps_unknown: bool = False


Change = Callable[[Member | None], StationRecord | None]
"""What a change makes of a station (None: there is none of that name); None where everything is as it shall be."""

log = structlog.get_logger(__name__)


class Fleet:
    """All stations of a node. `listed` are those of its configuration, `besides` its local services without a station.

    `place_of` says where a station stands and how patient its charges are. `places`, the local services that partners
    may find, follow every change. `load` has to be awaited before anything else. `fresh_bytes` makes salts and keys.
    """

    def __init__(
        self,
        store: Store,
        listed: Iterable[StationEntry],
        *,
        place_of: Callable[[StationEntry], Place],
        fresh_bytes: Callable[[int], bytes],
        watermarks: Watermarks,
        besides: Iterable[Place] = (),
        settings: FleetSettings | None = None,
    ) -> None:
        self._store, self._place_of, self._watermarks = store, place_of, watermarks
        self.fresh_bytes, self.settings = fresh_bytes, settings or FleetSettings()
        self._listed = {entry.identity: entry for entry in listed}
        self._members: dict[str, Member] = {}
        self._grounds: dict[str, Place] = {}
        self._sights: dict[str, Sight] = {}
        self.places: dict[str, Place] = {place.identity: place for place in besides}
        self._names = {identity.casefold() for identity in self.places}
        self._changing = trio.Lock()
        kept = self.settings.security_profile if self.settings.keeps_unknown else None
        self._newcomers = Newcomers(kept, watermarks)
        self.goes_on: Callable[[str], bool] = lambda identity: False
        """Whether a charge goes on at a station; the node says how that is known."""
        self.changed: Callable[[str], None] = lambda identity: None
        """Hears of each station that has changed, once that is durable."""
        for identity in self._listed:
            self._seat(identity, None)

    def __repr__(self) -> str:
        return f"<Fleet {len(self._members)} stations, {len(self._listed)} of them of the configuration>"

    async def load(self) -> None:
        """Takes over what the store holds. Raises StoreUnavailable.

        A station whose row was altered is not what it was: it waits for the operator to decide on it again.
        """
        for identity, record in await self._store.read(_read):
            if record is None:
                log.error("fleet.row_damaged", station=identity)
                if identity in self._listed:
                    waits = Standing(state=S.PENDING, reason="its row in the store is damaged: decide on it again")
                    self._seat(
                        identity, StationRecord(identity=identity, standing=waits, since=self._store.clock.now())
                    )
                continue
            if record.own is not None and identity in self._listed:
                log.warning("fleet.in_both", station=identity, obeyed="the configuration")
            restarted = station_key.CHART.step(record.key, NodeRestarted(at=self._store.clock.now())).data
            self._seat(identity, msgspec.structs.replace(record, key=restarted))

    # -- looking up ----------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Member]:
        """Every station, whatever was decided on it."""
        return iter(tuple(self._members.values()))

    def __len__(self) -> int:
        return len(self._members)

    def member(self, identity: str) -> Member | None:
        return self._members.get(identity)

    def ground(self, identity: str) -> Place | None:
        """Where a station stands, whether or not partners may find it; None where there is no such station."""
        return self._grounds.get(identity)

    def credentials(self, identity: str) -> StationCredentials | None:
        """What this station has to show; None where there is none, or none any more that has something to say."""
        member = self._members.get(identity)
        if member is None or (member.standing.state == S.RETIRED and not self.goes_on(identity)):
            return None
        return member.entry.credentials

    def ocpp_version(self, identity: str) -> str | None:
        """The OCPP version that this station is to speak."""
        member = self._members.get(identity)
        return member.entry.ocpp_version if member else None

    def sight(self, identity: str) -> Sight | None:
        """What was last seen of a station in this life of the node; None where its actor has not been at work."""
        return self._sights.get(identity)

    def saw(self, identity: str, sight: Sight) -> None:
        self._sights[identity] = sight

    # -- changing ------------------------------------------------------------------------------------------------------

    async def change(self, identity: str, change: Change) -> Member:
        """The station as `change` leaves it, durable. One change at a time: none is made of what another has replaced.

        Raises what `change` raises, and `Refused`: 503 with nothing changed, 409 for a name that differs by case alone
        from another's, 429 where there are too many.
        """
        async with self._changing:
            known = self._members.get(identity)
            record = change(known)
            if record is not None:
                if known is None:
                    self._check_room(identity)
                await self._store.write(_put, _row_of(record, self._store.clock.now()))
                self._seat(identity, record)
                self.changed(identity)
            member = self._members.get(identity)
            assert member is not None, "a change of nothing changes nothing"
            return member

    async def introduce(self, identity: str, shown: Shown) -> None:
        """See `ports.StationDirectory`: the stranger is Pending from then on."""
        entry = self._newcomers.entry(identity, shown, self.fresh_bytes(16))
        if entry is None or identity in self._members or identity.casefold() in self._names:
            return
        pending = sum(member.standing.state == S.PENDING for member in self)
        if not self._newcomers.has_room(pending):
            return
        now = self._store.clock.now()
        standing = Standing(state=S.PENDING, since=now, reason="came by itself")
        new = StationRecord(identity=identity, standing=standing, since=now, own=entry)
        await self.change(identity, lambda known: new if known is None else None)
        log.warning("fleet.newcomer", station=identity)

    async def turn_key(self, identity: str, event: Event) -> StationKey:
        """The station's key after this event, durable where it says something new. Raises `Refused`."""
        member = self._members.get(identity)
        if member is None or station_key.CHART.step(member.key, event).outcome is Outcome.REPEATED:
            return member.key if member else StationKey()

        def turned(known: Member | None) -> StationRecord | None:
            assert known is not None, "no station is ever forgotten"
            decision = station_key.CHART.step(known.key, event)
            if decision.refusal is not None:
                raise Refused(decision.refusal)
            record = known.record_now(self._store.clock.now())
            return None if decision.data == known.key else msgspec.structs.replace(record, key=decision.data)

        return (await self.change(identity, turned)).key

    def _check_room(self, identity: str) -> None:
        if identity.casefold() in self._names:
            raise refused(409, "name-taken", f"there is a local service already whose name is {identity[:60]!r}")
        self._watermarks.saw(STATIONS, min(len(self._members) + 1, STATIONS.limit))
        if len(self._members) >= STATIONS.limit:
            raise refused(429, "too-many-stations", f"there are {len(self._members)} stations, the most is that")

    def _seat(self, identity: str, record: StationRecord | None) -> None:
        """Makes what the store holds of a station true in memory."""
        member = member_of(self._listed.get(identity), record, self.settings.certificate_organization)
        if member is None:
            return
        self._members[identity] = member
        self._names.add(identity.casefold())
        self._grounds[identity] = ground = self._place_of(member.entry)
        if member.is_in_service:
            self.places[identity] = ground
        else:
            self.places.pop(identity, None)


# -- rows --------------------------------------------------------------------------------------------------------------


def _row_of(record: StationRecord, at: datetime) -> Row:
    row = {
        "identity": record.identity,
        "standing": record.standing.state,
        "changed_at": micros(at),
        "document": msgspec.json.encode(record),
    }
    return sealed(tables.stations, row)


def _put(connection: Connection, row: Row) -> None:
    put_rows(connection, tables.stations, [row])


def _read(connection: Connection) -> list[tuple[str, StationRecord | None]]:
    """Every row's identity and record, None for one that is not what was written."""
    rows = connection.execute(select(*raw(tables.stations)).order_by(tables.stations.c.identity)).mappings()
    return [(str(row["identity"]), _record_of(row)) for row in rows]


def _record_of(row: AnyRow) -> StationRecord | None:
    if not intact(tables.stations, row):
        return None
    return msgspec.json.decode(row["document"], type=StationRecord)
