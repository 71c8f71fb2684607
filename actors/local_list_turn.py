"""One station's turn: it is asked which version it has, and sent what it lacks, piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog
import trio

from statecharts.card_limits import LOCAL_LIST_PIECE
from statecharts.events import DeadlineReached, Event
from statecharts.feature_profiles import profile_of
from statecharts.local_list import (
    KEYS,
    SENDING,
    SESSION_S,
    AttemptFailed,
    Gap,
    ListSettings,
    LocalList,
    NotSupported,
    PieceTaken,
    S,
    VersionRefused,
    VersionTold,
    settings_in,
)
from statecharts.roll import Roll
from statecharts.station_commands import (
    CallOutcome,
    CallVerdict,
    GetConfiguration,
    GetLocalListVersion,
    LocalListEntry,
    SendLocalList,
    StationCommand,
)

if TYPE_CHECKING:
    from actors.context import Context
    from actors.station import StationActor

LAST_VERSION = 2**31 - 1
"""OCPP 1.6 says integer, and many a station keeps it in 32 bits."""

MISMATCH = "VersionMismatch"
NO_SUCH_THING = ("NotSupported", "NotImplemented")

log = structlog.get_logger(__name__)

Step = Callable[[str, Event], LocalList]


class Turn:
    """What is said to one station while it is served; what comes of it goes to the chart by `step`."""

    def __init__(self, identity: str, context: Context, roll: Roll, data: LocalList, step: Step) -> None:
        found: Any = context.system.actor(f"station/{identity}")
        self._station: StationActor = found
        self._identity, self._context, self._roll = identity, context, roll
        self._data, self._step = data, step
        self._settings = ListSettings()
        connection = self._station.connection
        self._is_first = connection is None or connection.protocol.startswith("ocpp1")

    async def take(self) -> None:
        """Returns once there is nothing more to be said to it now."""
        try:
            await self._ask()
            while self._data.state in SENDING:
                await self._send()
        except Exception as error:
            log.exception("local_list.failed", station=self._identity, error=type(error).__name__)
            self._tell(AttemptFailed(at=self._now, cause=type(error).__name__))

    @property
    def _now(self) -> datetime:
        return self._context.clock.now()

    def _tell(self, event: Event) -> None:
        self._data = self._step(self._identity, event)

    async def _call(self, command: StationCommand) -> CallOutcome | None:
        """What it answers; None where that ends its turn."""
        outcome = None
        with trio.move_on_after(SESSION_S):
            outcome = await self._station.command(command)
        if outcome is None:
            self._tell(DeadlineReached(at=self._now))
        elif outcome.status in NO_SUCH_THING or f"has no {profile_of(command)}" in outcome.cause:
            self._tell(NotSupported(at=self._now, cause=outcome.cause or outcome.status))
        elif outcome.verdict is CallVerdict.ACCEPTED or outcome.status == MISMATCH:
            return outcome
        else:
            self._tell(AttemptFailed(at=self._now, cause=outcome.cause or outcome.status))
        return None

    # -- asking --------------------------------------------------------------------------------------------------------

    async def _ask(self) -> None:
        told = await self._call(GetConfiguration(keys=tuple(KEYS["ocpp1" if self._is_first else "ocpp2"])))
        if told is None:
            return
        self._settings = settings_in(told.data)
        if not self._settings.enabled:
            self._tell(NotSupported(at=self._now, cause="the station has switched its list off"))
            return
        answered = await self._call(GetLocalListVersion())
        if answered is None:
            return
        version = answered.data.get("listVersion", answered.data.get("versionNumber"))
        if isinstance(version, int) and version >= 0:
            self._tell(VersionTold(at=self._now, version=version, **self._gap(version)))
        else:
            # OCPP 1.6 section 5.10: -1 where the station keeps no list.
            self._tell(NotSupported(at=self._now, cause=f"the station names the version {version}"))

    def _gap(self, version: int) -> dict[str, Any]:
        cards, most = len(self._roll), self._settings.entries
        if most is not None and cards > most:
            return {"gap": Gap.TOO_LONG, "cause": f"there are {cards} cards, the station takes {most}"}
        if version == 0:
            # An empty list, or none (section 5.10), whatever it had before.
            return {"gap": Gap.EVERYTHING} if cards else {"gap": Gap.NOTHING, "content": self._content}
        if version != self._data.version or self._changes() is None:
            return {"gap": Gap.EVERYTHING}
        is_same = self._data.content == self._content
        return {"gap": Gap.NOTHING, "content": self._content} if is_same else {"gap": Gap.CHANGES}

    # -- sending -------------------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        """All pieces of what it lacks, as far as it takes them."""
        state, content, most = self._data.state, self._content, self._settings.per_message
        entries = tuple(self._roll) if state == S.SENDING_FULL else self._changes()
        size = min(most or LOCAL_LIST_PIECE.limit, LOCAL_LIST_PIECE.limit)
        version = max(self._data.told or 0, self._data.version or 0)
        if entries is None or (state != S.SENDING_FULL and version + len(entries) > LAST_VERSION):
            self._tell(VersionRefused(at=self._now))
            return
        pieces = [entries[begin : begin + size] for begin in range(0, len(entries), size)] or [()]
        first = version + 1 if version + len(pieces) <= LAST_VERSION else 1
        for number, piece in enumerate(pieces):
            update = "Full" if state == S.SENDING_FULL and number == 0 else "Differential"
            fitting = tuple(filter(self._fits, piece))
            answered = await self._call(SendLocalList(version=first + number, update=update, entries=fitting))
            if answered is None:
                return
            if answered.status != MISMATCH:
                last = number == len(pieces) - 1
                self._tell(PieceTaken(at=self._now, version=first + number, content=content if last else ""))
            elif state == S.SENDING_FULL:
                self._tell(AttemptFailed(at=self._now, cause=MISMATCH))
            else:
                self._tell(VersionRefused(at=self._now))
            if self._data.state != state:
                return

    @property
    def _content(self) -> str:
        """What the list is, and which of its entries this station can take."""
        limits = self._station.limits
        return f"{self._roll.content}/{self._length}{'x' if limits.id_tag_hex else ''}"

    @property
    def _length(self) -> int:
        """How long an idTag may be: OCPP 1.6 section 7.28, OCPP 2.0.1 part 2, 2.3.6; some models take fewer."""
        return min(20 if self._is_first else 36, self._station.limits.id_tag_length or 36)

    def _fits(self, entry: LocalListEntry) -> bool:
        """Whether the station can take it; one that is not sent it asks about."""
        group = entry.id_tag_info.parent_id_tag if entry.id_tag_info else None
        alone = SendLocalList(version=1, update="Full", entries=(entry,))
        is_short = max(len(entry.id_tag), len(group or "")) <= self._length
        return is_short and not self._station.limits.refusal(alone)

    def _changes(self) -> tuple[LocalListEntry, ...] | None:
        """What has changed since the station took its list; None where nobody knows."""
        content, _, taken = self._data.content.partition("/")
        return self._roll.since(content) if taken == self._content.partition("/")[2] else None
