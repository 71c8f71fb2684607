"""OCPP 1.6 core profile, what a station is asked to do: sections 5.2 to 5.18."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from protocols.ocpp.dialect import Confirmation, Content, Exchange
from protocols.ocpp.v16.fields import given, present
from statecharts.station_commands import (
    CallOutcome,
    CallVerdict,
    CentralDataTransfer,
    ChangeAvailability,
    ChangeConfiguration,
    ClearCache,
    GetConfiguration,
    RemoteStartTransaction,
    RemoteStopTransaction,
    Reset,
    UnlockConnector,
)

_ACCEPTING_WORDS = frozenset({"Accepted", "Scheduled", "Unlocked", "RebootRequired"})

# -- answers -----------------------------------------------------------------------------------------------------------


def _write_confirmation(confirmation: Confirmation) -> Content:
    status, other_fields = confirmation
    return {**other_fields, "status": status}


def _read_confirmation(payload: Any) -> CallOutcome:
    accepted = payload.status in _ACCEPTING_WORDS
    return CallOutcome(
        verdict=CallVerdict.ACCEPTED if accepted else CallVerdict.REJECTED,
        status=payload.status,
        cause="" if accepted else f"the station answered {payload.status}",
        data=_whole(payload),
    )


def _write_configuration(confirmation: Confirmation) -> Content:
    """GetConfiguration.conf knows no status: the fields are the answer."""
    _, fields = confirmation
    return fields


def _read_configuration(payload: Any) -> CallOutcome:
    return CallOutcome(verdict=CallVerdict.ACCEPTED, data=_whole(payload))


def _whole(payload: Any) -> dict[str, Any]:
    data: dict[str, Any] = msgspec.to_builtins(payload)
    return data


# -- requests ----------------------------------------------------------------------------------------------------------


def _write_remote_start(command: RemoteStartTransaction) -> Content:
    return present(idTag=command.id_tag, connectorId=command.connector_id)


def _read_remote_start(payload: Any) -> RemoteStartTransaction:
    return RemoteStartTransaction(id_tag=payload.idTag, connector_id=given(payload.connectorId))


def _write_remote_stop(command: RemoteStopTransaction) -> Content:
    return {"transactionId": command.transaction_id}


def _read_remote_stop(payload: Any) -> RemoteStopTransaction:
    return RemoteStopTransaction(transaction_id=payload.transactionId)


def _write_reset(command: Reset) -> Content:
    return {"type": command.kind}


def _read_reset(payload: Any) -> Reset:
    return Reset(kind=payload.type)


def _write_unlock(command: UnlockConnector) -> Content:
    return {"connectorId": command.connector_id}


def _read_unlock(payload: Any) -> UnlockConnector:
    return UnlockConnector(connector_id=payload.connectorId)


def _write_availability(command: ChangeAvailability) -> Content:
    return {"connectorId": command.connector_id, "type": command.kind}


def _read_availability(payload: Any) -> ChangeAvailability:
    return ChangeAvailability(connector_id=payload.connectorId, kind=payload.type)


def _write_change_configuration(command: ChangeConfiguration) -> Content:
    return {"key": command.key, "value": command.value}


def _read_change_configuration(payload: Any) -> ChangeConfiguration:
    return ChangeConfiguration(key=payload.key, value=payload.value)


def _write_get_configuration(command: GetConfiguration) -> Content:
    return {"key": list(command.keys)} if command.keys else {}


def _read_get_configuration(payload: Any) -> GetConfiguration:
    return GetConfiguration(keys=tuple(given(payload.key) or ()))


def _write_data_transfer(command: CentralDataTransfer) -> Content:
    return present(vendorId=command.vendor_id, messageId=command.message_id, data=command.data)


def _read_data_transfer(payload: Any) -> CentralDataTransfer:
    return CentralDataTransfer(
        vendor_id=payload.vendorId, message_id=given(payload.messageId), data=given(payload.data)
    )


def _command(action: str, request: type[Any], write: Callable[[Any], Content], read: Callable[[Any], Any]) -> Exchange:
    """A command that is answered by a status word, as all but GetConfiguration are."""
    return Exchange(
        action=action,
        request=request,
        write_request=write,
        read_request=read,
        write_answer=_write_confirmation,
        read_answer=_read_confirmation,
    )


EXCHANGES = (
    _command("RemoteStartTransaction", RemoteStartTransaction, _write_remote_start, _read_remote_start),
    _command("RemoteStopTransaction", RemoteStopTransaction, _write_remote_stop, _read_remote_stop),
    _command("Reset", Reset, _write_reset, _read_reset),
    _command("UnlockConnector", UnlockConnector, _write_unlock, _read_unlock),
    _command("ChangeAvailability", ChangeAvailability, _write_availability, _read_availability),
    _command("ChangeConfiguration", ChangeConfiguration, _write_change_configuration, _read_change_configuration),
    _command("ClearCache", ClearCache, lambda command: {}, lambda payload: ClearCache()),
    _command("DataTransfer", CentralDataTransfer, _write_data_transfer, _read_data_transfer),
    Exchange(
        action="GetConfiguration",
        request=GetConfiguration,
        write_request=_write_get_configuration,
        read_request=_read_get_configuration,
        write_answer=_write_configuration,
        read_answer=_read_configuration,
    ),
)
