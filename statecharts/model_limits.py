"""What the stations of one vendor and model cannot do, or do otherwise than OCPP says, as an operator has found out."""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from statecharts.station_commands import RemoteStartTransaction, ReserveNow, SendLocalList, StationCommand
from statecharts.station_reports import BootNotification
from statecharts.vocabulary import Value

ANY = "*"


class ModelLimits(Value, frozen=True, kw_only=True):
    """Limits of a model; what is None is as OCPP has it.

    `id_tag_length` is how many characters of an idTag it takes (some spoil a full one of 20), `id_tag_hex` whether it
    takes nothing but pairs of hex digits. A station that has reported nothing for `idle_close_s` loses its connection;
    one that gives up a silent connection itself is told a shorter `heartbeat_interval_s`.
    """

    id_tag_length: int | None = None
    id_tag_hex: bool | None = None
    idle_close_s: float | None = None
    heartbeat_interval_s: int | None = None

    def refusal(self, command: StationCommand) -> str:
        """Why a command names an idTag that this model would spoil or not take; nothing if it may be sent."""
        return next((reason for tag in _id_tags(command) if (reason := self._wrong_with(tag))), "")

    def _wrong_with(self, id_tag: str) -> str:
        if self.id_tag_length is not None and len(id_tag) > self.id_tag_length:
            return f"this model takes idTags of up to {self.id_tag_length} characters: {id_tag!r:.40} is longer"
        if self.id_tag_hex and (len(id_tag) % 2 or not set(id_tag) <= set(string.hexdigits)):
            return f"this model takes idTags of pairs of hex digits only: {id_tag!r:.40} is none"
        return ""


AS_OCPP_HAS_IT = ModelLimits()


class ModelQuirk(Value, frozen=True, kw_only=True):
    """The limits of those stations whose vendor, model and firmware fit: globs, of which case means nothing."""

    limits: ModelLimits
    vendor: str = ANY
    model: str = ANY
    firmware: str = ANY

    def fits(self, boot: BootNotification) -> bool:
        said = (boot.vendor, self.vendor), (boot.model, self.model), (boot.firmware_version or "", self.firmware)
        return all(fnmatchcase(word.casefold(), glob.casefold()) for word, glob in said)


def limits_of(quirks: Iterable[ModelQuirk], boot: BootNotification | None) -> ModelLimits:
    """The limits of a station that booted so: of each, what the first quirk says that fits and names it."""
    fitting = [quirk.limits for quirk in quirks if boot is not None and quirk.fits(boot)]
    if not fitting:
        return AS_OCPP_HAS_IT
    found = {name: _first(fitting, name) for name in ModelLimits.__struct_fields__}
    return ModelLimits(**found)


def _first(limits: Iterable[ModelLimits], name: str) -> Any:
    return next((value for each in limits if (value := getattr(each, name)) is not None), None)


def _id_tags(command: StationCommand) -> Iterator[str]:
    match command:
        case RemoteStartTransaction(id_tag=id_tag):
            yield id_tag
        case ReserveNow(id_tag=id_tag, parent_id_tag=parent):
            yield id_tag
            yield from (parent,) if parent else ()
        case SendLocalList(entries=entries):
            yield from (entry.id_tag for entry in entries)
