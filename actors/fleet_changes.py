"""What operators change of stations that are there: what is told of them, and by what they come in."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import structlog
import trio

from actors.actor import RETRY_S
from actors.fleet_role import FleetRole
from actors.station_messages import Review, StationLook
from actors.system import NOT_NOW
from statecharts import station_key
from statecharts.credentials import hash_secret, secret_matches
from statecharts.events import Event
from statecharts.fleet import Member, Origin, StationRecord, amended
from statecharts.fleet_door import NewCredentials, StationChanges, StationSheet, StationShown
from statecharts.station_commands import CallOutcome, CallVerdict, ChangeConfiguration, PlainCommand, StationCommand
from statecharts.station_credentials import OF_PASSWORDS, StationCredentials
from statecharts.station_key import ChangeKey, KeyRefused, KeyTaken, KeyUnanswered, SetKey
from statecharts.vocabulary import Refused, refused

KEY_OF_16, KEY_OF_2 = "AuthorizationKey", "SecurityCtrlr.BasicAuthPassword"
KEYS = {
    "ocpp1.6": (KEY_OF_16, re.compile(r"([0-9A-Fa-f]{2}){16,20}")),
    "ocpp2.0.1": (KEY_OF_2, re.compile(r"[\x21-\x7e]{16,40}")),
    "ocpp2.1": (KEY_OF_2, re.compile(r"[\x21-\x7e]{16,64}")),
}
"""What the key is called among a station's settings, and what it may be: 16 to 20 bytes as hex (security whitepaper,
AuthorizationKey), or a password of OCPP 2.x."""

NOT_DONE = ("NotSupported", "NotImplemented", "SecurityError", "PropertyConstraintViolation", "TypeConstraintViolation")
"""The errors by which a station says for certain that it did nothing."""

SETTING = ChangeConfiguration | PlainCommand
"""The commands that may set one."""

AFTER_A_BOOT = "RebootRequired"

log = structlog.get_logger(__name__)


class FleetChanges(FleetRole):
    """The part of the operator's door where stations are changed."""

    # -- what is told of a station -------------------------------------------------------------------------------------

    async def change_station(self, identity: str, changes: StationChanges, by: str) -> StationSheet:
        look = await self._look(self.member(identity).identity)

        def change(member: Member, record: StationRecord) -> StationRecord:
            if changes.own and member.origin is Origin.FILE:
                raise _fixed_by_file(", ".join(changes.own))
            _check_connectors(look, changes.own.get("connectors"))
            details = msgspec.structs.replace(record.details, **changes.details)
            after = msgspec.structs.replace(record, details=details)
            return amended(after, **changes.own) if changes.own else after

        log.info("fleet.changed", station=identity, by=by, fields=[*changes.own, *changes.details])
        return await self._amended(identity, change, Review())

    async def _amended(
        self, identity: str, change: Callable[[Member, StationRecord], StationRecord], then: Review
    ) -> StationSheet:
        def changed(member: Member | None) -> StationRecord | None:
            assert member is not None, "no station is ever forgotten"
            record = member.record_now(self._context.clock.wall())
            after = change(member, record)
            return None if after == record else after

        return await self._changed(identity, changed, then)

    # -- by what it comes in -------------------------------------------------------------------------------------------

    async def set_credentials(self, identity: str, new: NewCredentials, by: str) -> StationShown:
        member = self.member(identity)
        log.info("fleet.credentials", station=identity, by=by, over_ocpp=new.over_ocpp)
        if new.over_ocpp:
            return await self._change_key(member, new.password)
        if new.as_in_file is not (member.origin is Origin.FILE):
            raise _fixed_by_file("what it has to show")
        made, change = (None, self._as_in_file) if new.as_in_file else self._otherwise(member, new)
        sheet = await self._amended(identity, change, Review(new_credentials=True))
        return StationShown(station=sheet, password=made)

    def _as_in_file(self, _: Member, record: StationRecord) -> StationRecord:
        return self._with_key(record, None)

    def _otherwise(
        self, member: Member, new: NewCredentials
    ) -> tuple[str | None, Callable[[Member, StationRecord], StationRecord]]:
        """The password that had to be made, and what makes of a station one with these credentials."""
        own = {name: value for name, value in new.shown_otherwise() if value is not None}
        profile = own["profile"] = self._profile(own.get("profile", member.entry.credentials.profile))
        before = member.entry.credentials
        lacks_one = profile in OF_PASSWORDS and before.password_hash is None
        made = self._fresh_password() if new.password is None and (lacks_one or new.asks_for_a_password) else None
        password = new.password or made
        hashed = None if password is None else self._hashed(before, password)

        def change(_: Member, record: StationRecord) -> StationRecord:
            assert record.own is not None, "it is of the store"
            after = amended(record, credentials=msgspec.structs.replace(record.own.credentials, **own))
            return after if hashed is None else self._with_key(after, hashed)

        return made, change

    def _with_key(self, record: StationRecord, hashed: str | None) -> StationRecord:
        event = self._context.clock.stamped(SetKey(at=self._context.clock.now(), password_hash=hashed))
        return msgspec.structs.replace(record, key=station_key.CHART.step(record.key, event).data)

    def _hashed(self, before: StationCredentials, password: str) -> str:
        """The hash of a password: the one that is there, if that is of the same."""
        known = before.password_hash
        if known is not None and secret_matches(password.encode(), known):
            return known
        return hash_secret(password.encode(), self._context.fleet.fresh_bytes(16))

    # -- a key changed over OCPP ---------------------------------------------------------------------------------------

    async def _change_key(self, member: Member, given: str | None) -> StationShown:
        """Tells the station a new key; both open until it is known which it has. The key itself is written nowhere."""
        name, password = self._key_for(member, given)
        hashed = hash_secret(_as_shown(name, password).encode(), self._context.fleet.fresh_bytes(16))
        now, over = self._context.clock.now, trio.Event()
        await self._context.fleet.turn_key(member.identity, ChangeKey(at=now(), next_password_hash=hashed))
        command, found = ChangeConfiguration(key=name, value=password), list[Event]()
        # Whoever asked may hang up; what the station says must be known all the same.
        self._context.system.spawn(self._tell_key, member.identity, command, hashed, found, over)
        await over.wait()
        if found and isinstance(found[0], KeyRefused):
            raise refused(409, "key-refused", f"the station keeps its key: {found[0].cause}")
        sheet = await self.station(member.identity)
        return StationShown(station=sheet, password=password if given is None else None)

    def _key_for(self, member: Member, given: str | None) -> tuple[str, str]:
        """What this station calls its key, and one that it can have. Raises `Refused` (409)."""
        if member.entry.credentials.profile not in OF_PASSWORDS:
            raise refused(409, "profile-not-had", "this station shows no password")
        connection = self._station_actor(member.identity).connection
        if connection is None:
            raise refused(409, "station-unavailable", f"{member.identity} is not connected: it cannot be told")
        name, form = KEYS[connection.protocol]
        password = given or self._fresh_password()
        if not form.fullmatch(password):
            what = "32 to 40 hex digits" if name == KEY_OF_16 else "16 to 40 characters"
            raise refused(409, "key-unfit", f"a station of {connection.protocol} has a key of {what}")
        return name, password

    async def _tell_key(
        self, identity: str, command: StationCommand, hashed: str, found: list[Event], over: trio.Event
    ) -> None:
        try:
            outcome = await self._station_actor(identity).command(command)
            found.append(_what_became_of(outcome)(at=self._context.clock.now(), password_hash=hashed))
            await self._note(identity, found[0])
        finally:
            over.set()

    async def _note(self, identity: str, event: Event) -> None:
        """Writes down what became of a key; while the store is away both go on opening."""
        while True:
            try:
                await self._context.fleet.turn_key(identity, self._context.clock.stamped(event))
            except Refused as no:
                if no.refusal.kind not in NOT_NOW:
                    raise
                await trio.sleep(RETRY_S)
            else:
                return


def refuse_keys(command: StationCommand) -> None:
    """Raises `Refused` (409) for a command that would change a station's key behind our back, and in the clear."""
    names = (KEY_OF_16.casefold(), KEY_OF_2.partition(".")[2].casefold())
    said = msgspec.json.encode(command).decode().casefold() if isinstance(command, SETTING) else ""
    if any(f'"{name}"' in said or f'.{name}"' in said for name in names):
        raise refused(409, "secret-setting", "a station's key is changed by POST .../credentials with over_ocpp")


def _as_shown(name: str, password: str) -> str:
    """A key of OCPP 1.6 may come back as its bytes or in capitals: it is compared as small hex digits."""
    return password.lower() if name == KEY_OF_16 else password


def _what_became_of(outcome: CallOutcome) -> Callable[..., KeyTaken | KeyRefused | KeyUnanswered]:
    """What a station's answer says of its key: unknown is not refused, and a key that waits for a boot is not taken."""
    if outcome.verdict is CallVerdict.ACCEPTED and outcome.status != AFTER_A_BOOT:
        return KeyTaken
    cause = outcome.cause or outcome.status or str(outcome.verdict)
    certain = outcome.verdict is CallVerdict.ERROR and outcome.status in NOT_DONE
    refusing = outcome.verdict in (CallVerdict.REJECTED, CallVerdict.NEVER_SENT) and outcome.status != AFTER_A_BOOT
    return partial(KeyRefused if certain or refusing else KeyUnanswered, cause=cause)


def _fixed_by_file(what: str) -> Refused:
    return refused(409, "fixed-by-file", f"what the configuration says stands: change it there ({what})")


def _check_connectors(look: StationLook | None, wanted: int | None) -> None:
    """Raises `Refused` (409) where a charge goes on at a connector that there would be no more."""
    charges: Any = look.data.charges.values() if look else ()
    busy = [charge.start.connector_id for charge in charges if charge.open]
    if wanted is not None and any(number > wanted for number in busy):
        raise refused(409, "connector-busy", f"a charge goes on at connector {max(busy)}")
