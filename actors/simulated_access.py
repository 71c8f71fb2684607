"""Whom a simulated station lets charge without asking: its local list and its cache (OCPP 1.6 section 3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from actors.simulated_line import Reply
from statecharts.limits import SIMULATED_TAGS
from statecharts.simulated_equipment import Configuration
from statecharts.station_commands import ClearCache, SendLocalList
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus

_ACCEPTED = IdTagInfo(status=IdTagStatus.ACCEPTED)
_INVALID = IdTagInfo(status=IdTagStatus.INVALID)


class Access:
    """The idTags that a station knows; they compare without regard to case (OCPP 1.6 errata 3.58)."""

    def __init__(self) -> None:
        self.version = 0
        self._listed: dict[str, IdTagInfo] = {}
        self._cached: dict[str, IdTagInfo] = {}

    @property
    def listed(self) -> Mapping[str, IdTagInfo]:
        """The local list, by idTags without their case."""
        return self._listed

    def judge(self, id_tag: str, configuration: Configuration, *, online: bool, now: datetime) -> IdTagInfo | None:
        """What the station says of this tag by itself; None where it asks its central system."""
        if online and not configuration.flag("LocalPreAuthorize"):
            return None
        known = self._known(id_tag, configuration)
        valid = known is not None and known.status is IdTagStatus.ACCEPTED and not _is_over(known, now)
        if online:
            return known if valid else None
        if known is not None and configuration.flag("LocalAuthorizeOffline"):
            return known if valid else _INVALID
        return _ACCEPTED if configuration.flag("AllowOfflineTxForUnknownId") else _INVALID

    def _known(self, id_tag: str, configuration: Configuration) -> IdTagInfo | None:
        # OCPP 1.6 section 3.5.3: the list has priority over the cache.
        listed = self._listed.get(id_tag.casefold()) if configuration.flag("LocalAuthListEnabled") else None
        cached = self._cached.get(id_tag.casefold()) if configuration.flag("AuthorizationCacheEnabled") else None
        return listed or cached

    def learn(self, id_tag: str, info: IdTagInfo) -> None:
        """Keeps what the central system said of a tag; of very many tags the oldest is forgotten."""
        self._cached.pop(id_tag.casefold(), None)
        self._cached[id_tag.casefold()] = info
        if len(self._cached) > SIMULATED_TAGS.limit:
            del self._cached[next(iter(self._cached))]

    # -- commands ------------------------------------------------------------------------------------------------------

    def clear_cache(self, _: ClearCache) -> Reply:
        self._cached.clear()
        return Reply("Accepted")

    def take_list(self, command: SendLocalList) -> Reply:
        """OCPP 1.6 section 5.15: all anew, or changes to what is there; then it has this version."""
        if command.update == "Differential" and command.version <= self.version:
            return Reply("VersionMismatch")
        listed = {} if command.update == "Full" else dict(self._listed)
        for entry in command.entries:
            if entry.id_tag_info is None:
                listed.pop(entry.id_tag.casefold(), None)
            else:
                listed[entry.id_tag.casefold()] = entry.id_tag_info
        if len(listed) > SIMULATED_TAGS.limit:
            return Reply("Failed")
        self._listed, self.version = listed, command.version
        return Reply("Accepted")


def _is_over(info: IdTagInfo, now: datetime) -> bool:
    return info.expiry_date is not None and info.expiry_date <= now
