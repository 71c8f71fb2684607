"""Stations in a store: what tests of stores put there, and a fleet that reads it."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from actors.context import place_at
from actors.fleet import Fleet
from actors.journal import Journal
from statecharts.bounds import Watermarks
from statecharts.charging import ChargingDeadlines
from statecharts.directory import StationEntry
from statecharts.fleet import Member, StationRecord
from statecharts.standing import S, Standing
from statecharts.station_credentials import StationCredentials
from statecharts.vocabulary import Location
from tests.contracts.samples import NOON

HERE = Location(latitude=Decimal("52.3702"), longitude=Decimal("4.8952"))
HASH = "hmac-sha256$" + "00" * 16 + "$" + "11" * 32


def station_entry(identity: str, connectors: int = 2) -> StationEntry:
    credentials = StationCredentials(password_hash=HASH)
    return StationEntry(identity=identity, credentials=credentials, connectors=connectors, location=HERE)


def station_record(identity: str, state: S = S.ACCEPTED, connectors: int = 2) -> StationRecord:
    standing = Standing(state=state, since=NOON, by="olga", reason="so \u00fc")
    return StationRecord(identity=identity, standing=standing, since=NOON, own=station_entry(identity, connectors))


async def fleet_of(journal: Journal, *listed: StationEntry) -> Fleet:
    """The stations of this store, and those that a configuration lists."""
    place_of = partial(place_at, deadlines=ChargingDeadlines())
    fleet = Fleet(journal.store, listed, place_of=place_of, fresh_bytes=bytes, watermarks=Watermarks())
    await fleet.load()
    return fleet


async def put(fleet: Fleet, new: StationRecord) -> Member:
    return await fleet.change(new.identity, lambda _: new)


async def registered(journal: Journal, *identities: str) -> None:
    """Puts retired stations of these names into the store."""
    fleet = await fleet_of(journal)
    for identity in identities:
        await put(fleet, station_record(identity, S.RETIRED))


async def members_of(journal: Journal) -> tuple[Member, ...]:
    return tuple(await fleet_of(journal))
