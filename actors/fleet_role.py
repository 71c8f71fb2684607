"""What operators see and decide of their stations; `statecharts.fleet_door.FleetDoor`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import NoReturn

import msgspec

from actors.context import Context
from actors.cursors import SHOWN_AT_ONCE, cursor_of, page_of, place_of
from actors.fleet import Sight
from actors.fleet_views import sheet_of, view_of
from actors.looks import Look
from actors.station import StationActor
from actors.station_messages import Review, StationLook
from actors.station_standing import is_online
from actors.system import is_broken
from statecharts import standing
from statecharts.credentials import SECRET_BYTES_MIN, hash_secret
from statecharts.directory import StationEntry
from statecharts.fleet import STATION_IDENTITY, Member, Origin, StationRecord, amended
from statecharts.fleet_door import (
    Acceptance,
    NewStation,
    StationFilter,
    StationSheet,
    StationShown,
    StationView,
)
from statecharts.ports import Page
from statecharts.standing import AcceptStation, RejectStation, RetireStation, Standing
from statecharts.station import UNKNOWN
from statecharts.station_credentials import OF_PASSWORDS, SecurityProfile, StationCredentials
from statecharts.vocabulary import Refused, refused

Decision = AcceptStation | RejectStation | RetireStation

ANY_STATION = StationFilter()


class FleetRole:
    """The part of the operator's door that stations are behind."""

    _context: Context

    def _station_actor(self, identity: str) -> StationActor:
        found = self._context.system.actor(f"station/{identity}")
        assert isinstance(found, StationActor)
        return found

    # -- what there is -------------------------------------------------------------------------------------------------

    async def stations(
        self, wanted: StationFilter = ANY_STATION, *, cursor: str | None = None, limit: int = SHOWN_AT_ONCE
    ) -> Page[StationView]:
        members = sorted(self._context.fleet, key=_identity)
        if cursor is not None:
            members = members[bisect_right(members, str(place_of(cursor, "stations", str)[0]), key=_identity) :]
        found: list[StationView] = []
        for member in members:
            if self._may_fit(member, wanted) and await self._fits(member, wanted):
                found.append(view_of(self._context, member, await self._look(member.identity)))
                if len(found) > limit:
                    break
        return page_of(found, limit, lambda last: cursor_of("stations", last.identity), lambda view: view)

    def _may_fit(self, member: Member, wanted: StationFilter) -> bool:
        """What is known of a station without asking it."""
        return (
            wanted.standing in (None, member.standing.state)
            and (wanted.text is None or wanted.text.casefold() in member.identity.casefold())
            and (wanted.online is None or wanted.online is is_online(self._context, member.identity))
        )

    async def _fits(self, member: Member, wanted: StationFilter) -> bool:
        if (wanted.registration, wanted.vendor, wanted.model) == (None, None, None):
            return True
        sight = self._context.fleet.sight(member.identity)
        if sight is None:
            await self._look(member.identity)
            sight = self._context.fleet.sight(member.identity) or Sight(registration=UNKNOWN)
        return (
            wanted.registration in (None, sight.registration)
            and wanted.vendor in (None, sight.vendor)
            and wanted.model in (None, sight.model)
        )

    async def station(self, identity: str) -> StationSheet:
        return await self._sheet(self.member(identity))

    async def _sheet(self, member: Member) -> StationSheet:
        return sheet_of(self._context, member, await self._look(member.identity))

    def member(self, identity: str) -> Member:
        """The station of this name. Raises `Refused` (404) where there is none."""
        found = self._context.fleet.member(identity)
        if found is None:
            _unknown(identity)
        return found

    async def _look(self, identity: str) -> StationLook | None:
        """The station as its actor knows it; None for one in quarantine."""
        try:
            look: StationLook = await self._context.system.ask(f"station/{identity}", Look())
        except Refused as no:
            if not is_broken(no):
                raise
            return None
        return look

    # -- registering ---------------------------------------------------------------------------------------------------

    async def register_station(self, new: NewStation, by: str) -> StationShown:
        if not STATION_IDENTITY.fullmatch(new.identity):
            raise refused(400, "invalid-identity", "an identity has 1 to 48 characters, no blank, slash or colon")
        profile = self._profile(new.security_profile)
        made = self._fresh_password() if new.password is None and profile in OF_PASSWORDS else None
        password = new.password or made
        now, fleet = self._context.clock.wall(), self._context.fleet
        record = StationRecord(
            identity=new.identity,
            standing=Standing(state=standing.S.ACCEPTED, since=now, by=by, reason="registered"),
            since=now,
            own=StationEntry(
                identity=new.identity,
                credentials=StationCredentials(
                    profile=profile,
                    password_hash=hash_secret(password.encode(), fleet.fresh_bytes(16)) if password else None,
                    certificate_name=new.certificate_name,
                    certificate_issuer=new.certificate_issuer,
                ),
                connectors=new.connectors,
                location=new.location,
                connection_timeout_s=new.connection_timeout_s,
                ocpp_version=new.ocpp_version,
                service_types=new.service_types,
            ),
            details=new.details,
        )

        def register(known: Member | None) -> StationRecord:
            if known is not None:
                raise refused(409, "already-registered", f"there is a station {new.identity} already")
            return record

        return StationShown(station=await self._sheet(await fleet.change(new.identity, register)), password=made)

    def _profile(self, wanted: int | None) -> SecurityProfile:
        settings = self._context.fleet.settings
        profile = settings.security_profile if wanted is None else SecurityProfile(wanted)
        if profile not in settings.profiles_had:
            cause = f"the listener for stations cannot ask for security profile {profile:d}: see ocpp.tls_certificate"
            raise refused(409, "profile-not-had", cause)
        return profile

    def _fresh_password(self) -> str:
        """As a key of OCPP 1.6 and a password of OCPP 2.x alike may be: 32 hex digits."""
        return self._context.fleet.fresh_bytes(SECRET_BYTES_MIN).hex()

    # -- deciding ------------------------------------------------------------------------------------------------------

    async def accept_station(self, identity: str, acceptance: Acceptance, by: str) -> StationSheet:
        look = await self._look(self.member(identity).identity)
        seen = max((number for number in look.data.evses if number > 0), default=0) if look else 0
        event = AcceptStation(at=self._context.clock.now(), by=by)
        return await self._decided_on(
            identity, event, lambda member, record: _accepted(member, record, acceptance, seen)
        )

    async def reject_station(self, identity: str, reason: str, by: str) -> StationSheet:
        return await self._decided_on(identity, RejectStation(at=self._context.clock.now(), by=by, reason=reason))

    async def retire_station(self, identity: str, reason: str, by: str) -> StationSheet:
        return await self._decided_on(identity, RetireStation(at=self._context.clock.now(), by=by, reason=reason))

    async def _decided_on(
        self,
        identity: str,
        event: Decision,
        also: Callable[[Member, StationRecord], StationRecord] = lambda _, record: record,
    ) -> StationSheet:
        event = self._context.clock.stamped(event)

        def decide(member: Member | None) -> StationRecord | None:
            if member is None:
                _unknown(identity)
            decision = standing.CHART.step(member.standing, event)
            if decision.refusal is not None:
                raise Refused(decision.refusal)
            before = member.record_now(event.wall_at)
            after = also(member, msgspec.structs.replace(before, standing=decision.data))
            return None if after == before else after

        return await self._changed(identity, decide)

    async def _changed(
        self, identity: str, change: Callable[[Member | None], StationRecord | None], then: Review | None = None
    ) -> StationSheet:
        """The station after a change, which its actor looks at as well."""
        member = await self._context.fleet.change(identity, change)
        self._context.system.tell(f"station/{identity}", then or Review())
        return await self._sheet(member)


def _identity(member: Member) -> str:
    return member.identity


def _unknown(identity: str) -> NoReturn:
    raise refused(404, "unknown-station", f"there is no station {identity[:60]!r}")


def _accepted(member: Member, record: StationRecord, said: Acceptance, seen: int) -> StationRecord:
    """An accepted station has connectors, if none are named those that it has shown itself, and a place."""
    if member.origin is Origin.FILE:
        if said != Acceptance():
            raise refused(409, "fixed-by-file", "the configuration says how many connectors it has, and where it is")
        return record
    connectors, location = said.connectors or member.entry.connectors or seen, said.location or member.entry.location
    if not connectors or location is None:
        missing = "location" if connectors else "number of connectors"
        raise refused(409, "station-incomplete", f"the station's {missing} is not known yet: name it")
    return amended(record, connectors=connectors, location=location)
