"""The stations of an operator: those of its configuration file and those of its store, as one fleet.

What the file says of a station stands: its connectors, its place, its security. The store holds what was decided and
told through the API, and all of a station that is in no file.
"""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from statecharts.directory import StationEntry
from statecharts.standing import S, Standing
from statecharts.station_details import StationDetails
from statecharts.station_key import StationKey
from statecharts.vocabulary import Value, Word

STATION_IDENTITY = re.compile(r"(?!\.+$)[^\s/\\:\x00-\x1f\x7f]{1,48}")
"""What an identity may be: a segment of a URL, and the user name of HTTP Basic, which has no colon (RFC 7617)."""


class Origin(Word):
    """Where a station stands: in the configuration `FILE`, or in the `STORE` alone."""

    FILE = "file"
    STORE = "store"


class StationRecord(Value, frozen=True, kw_only=True):
    """What the store holds of a station. `own` is all that a file would say of it; None where one does, or did."""

    identity: str
    standing: Standing
    since: datetime
    own: StationEntry | None = None
    details: StationDetails = StationDetails()
    key: StationKey = StationKey()


class Member(Value, frozen=True, kw_only=True):
    """A station of the fleet as it stands now; `record` is what the store holds of it, if it holds anything."""

    origin: Origin
    entry: StationEntry
    standing: Standing
    details: StationDetails = StationDetails()
    record: StationRecord | None = None

    @property
    def key(self) -> StationKey:
        """Its key as far as it was set or changed here."""
        return self.record.key if self.record else StationKey()

    @property
    def identity(self) -> str:
        return self.entry.identity

    @property
    def is_in_service(self) -> bool:
        """Whether it can be found and charged at: it is accepted, and known where it is and what it has."""
        return self.standing.state == S.ACCEPTED and self.entry.connectors > 0 and self.entry.location is not None

    def record_now(self, now: datetime) -> StationRecord:
        """What the store would hold of it, to be changed."""
        return self.record or StationRecord(identity=self.identity, standing=self.standing, since=now)


def member_of(listed: StationEntry | None, record: StationRecord | None, organization: str | None) -> Member | None:
    """The station that a file lists, or the store holds, or both; None where neither does.

    The certificates of all stations are of one `organization` (None: of any), whatever held when one was registered.
    """
    if listed is not None:
        standing = record.standing if record else Standing(state=S.ACCEPTED)
        details = record.details if record else StationDetails()
        entry = _with_key(listed, record.key) if record else listed
        return Member(origin=Origin.FILE, entry=entry, standing=standing, details=details, record=record)
    if record is None or record.own is None:
        return None
    credentials = msgspec.structs.replace(record.own.credentials, certificate_organization=organization)
    entry = _with_key(msgspec.structs.replace(record.own, credentials=credentials), record.key)
    return Member(origin=Origin.STORE, entry=entry, standing=record.standing, details=record.details, record=record)


def _with_key(entry: StationEntry, key: StationKey) -> StationEntry:
    """A key that was changed wins over the one that an entry was written with."""
    if key.password_hash is None and key.next_password_hash is None:
        return entry
    credentials = msgspec.structs.replace(
        entry.credentials,
        password_hash=key.password_hash or entry.credentials.password_hash,
        next_password_hash=key.next_password_hash,
    )
    return msgspec.structs.replace(entry, credentials=credentials)


def amended(record: StationRecord, **own: object) -> StationRecord:
    """The record with these fields of its own entry changed."""
    assert record.own is not None, "a station of the file has no entry of its own"
    return msgspec.structs.replace(record, own=msgspec.structs.replace(record.own, **own))
