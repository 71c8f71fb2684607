"""Stations that nobody knows and that come all the same: how many are kept until the operator has decided on them."""

from __future__ import annotations

from collections import deque

import structlog
import trio

from statecharts.bounds import NEWCOMERS, STATIONS_PENDING, Watermarks
from statecharts.credentials import SECRET_BYTES_MIN, hash_secret
from statecharts.directory import StationEntry
from statecharts.fleet import STATION_IDENTITY
from statecharts.station_credentials import OF_PASSWORDS, SecurityProfile, Shown, StationCredentials, judged

MINUTE_S = 60.0

log = structlog.get_logger(__name__)


class Newcomers:
    """Who may be kept. `profile` is what a stranger must show at least; None where none is kept at all."""

    def __init__(self, profile: SecurityProfile | None, watermarks: Watermarks) -> None:
        self._profile, self._watermarks = profile, watermarks
        self._came: deque[float] = deque()

    def entry(self, identity: str, shown: Shown, salt: bytes) -> StationEntry | None:
        """The stranger as it would be kept, with what it has shown; None for one that did not show enough.

        Its first password is trusted: from then on it is the one that opens.
        """
        if self._profile is None or not STATION_IDENTITY.fullmatch(identity):
            return None
        password = next(iter(shown.passwords), None)
        if self._profile in OF_PASSWORDS and len(password or b"") < SECRET_BYTES_MIN:
            return None
        hashed = None if password is None else hash_secret(password, salt)
        credentials = StationCredentials(profile=self._profile, password_hash=hashed)
        if judged(identity, credentials, shown).wrong is not None:
            return None
        return StationEntry(identity=identity, credentials=credentials, connectors=0, location=None)

    def has_room(self, pending: int) -> bool:
        """Whether one more may be kept beside so many; counts it if so."""
        now = trio.current_time()
        while self._came and now - self._came[0] >= MINUTE_S:
            self._came.popleft()
        if pending >= STATIONS_PENDING.limit or len(self._came) >= NEWCOMERS.limit:
            log.warning("fleet.no_room_for_newcomers", pending=pending, within_a_minute=len(self._came))
            return False
        self._came.append(now)
        self._watermarks.saw(STATIONS_PENDING, pending + 1)
        self._watermarks.saw(NEWCOMERS, len(self._came))
        return True
