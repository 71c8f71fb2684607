"""Commands to a station as operators write them: `{"command": "Reset", "kind": "Soft"}`.

The same commands as in `statecharts.station_vocabulary`, with the limits of OCPP 1.6 section 6, so that a wrong field
is named here and never reaches a station.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from statecharts import station_vocabulary as vocabulary
from statecharts.station_vocabulary import StationCommand

IdTag = Annotated[str, Meta(min_length=1, max_length=20, pattern=r"\A[\x20-\x7e]+\Z")]
Key = Annotated[str, Meta(min_length=1, max_length=50)]
ConnectorId = Annotated[int, Meta(ge=1, le=2**31 - 1)]
ConnectorOrStation = Annotated[int, Meta(ge=0, le=2**31 - 1)]
TransactionId = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


class Command(msgspec.Struct, frozen=True, tag_field="command", forbid_unknown_fields=True):
    """Base of the commands; the class name is the command's."""

    def for_station(self) -> StationCommand:
        """The same command in the words that every OCPP version maps to."""
        words: Any = getattr(vocabulary, type(self).__name__)
        command: StationCommand = words(**msgspec.structs.asdict(self))
        return command


class RemoteStartTransaction(Command, frozen=True, tag=True):
    id_tag: IdTag
    connector_id: ConnectorId | None = None


class RemoteStopTransaction(Command, frozen=True, tag=True):
    transaction_id: TransactionId


class Reset(Command, frozen=True, tag=True):
    kind: Literal["Hard", "Soft"]


class UnlockConnector(Command, frozen=True, tag=True):
    connector_id: ConnectorId


class ChangeAvailability(Command, frozen=True, tag=True):
    connector_id: ConnectorOrStation
    kind: Literal["Operative", "Inoperative"]


class ChangeConfiguration(Command, frozen=True, tag=True):
    key: Key
    value: Annotated[str, Meta(max_length=500)]


class GetConfiguration(Command, frozen=True, tag=True):
    keys: Annotated[tuple[Key, ...], Meta(max_length=100)] = ()


class ClearCache(Command, frozen=True, tag=True):
    pass


class CentralDataTransfer(Command, frozen=True, tag=True):
    vendor_id: Annotated[str, Meta(min_length=1, max_length=255)]
    message_id: Annotated[str, Meta(max_length=50)] | None = None
    data: str | None = None


ANY_COMMAND: Any = (
    RemoteStartTransaction
    | RemoteStopTransaction
    | Reset
    | UnlockConnector
    | ChangeAvailability
    | ChangeConfiguration
    | GetConfiguration
    | ClearCache
    | CentralDataTransfer
)
