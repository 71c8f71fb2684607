"""OCPP 1.6 core profile, what a station is asked to do: sections 5.2 to 5.18."""

from __future__ import annotations

from typing import Any

import msgspec

from protocols.ocpp.dialect import Content
from protocols.ocpp.exchanges import command
from protocols.ocpp.fields import given, present
from protocols.ocpp.v16.smart_charging import read_charging_profile, write_charging_profile
from statecharts.station_commands import (
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


def _write_remote_start(start: RemoteStartTransaction) -> Content:
    profile = start.charging_profile
    if profile is not None and (profile.purpose != "TxProfile" or profile.transaction_id is not None):
        raise msgspec.ValidationError("a profile of a RemoteStart is a TxProfile without transaction (errata 3.41)")
    return present(
        idTag=start.id_tag,
        connectorId=start.connector_id,
        chargingProfile=profile and write_charging_profile(profile),
    )


def _read_remote_start(payload: Any) -> RemoteStartTransaction:
    return RemoteStartTransaction(
        id_tag=payload.idTag,
        connector_id=given(payload.connectorId),
        charging_profile=read_charging_profile(payload.chargingProfile) if given(payload.chargingProfile) else None,
    )


def _write_remote_stop(order: RemoteStopTransaction) -> Content:
    return {"transactionId": order.transaction_id}


def _read_remote_stop(payload: Any) -> RemoteStopTransaction:
    return RemoteStopTransaction(transaction_id=payload.transactionId)


def _write_reset(reset: Reset) -> Content:
    if reset.connector_id is not None:
        raise msgspec.ValidationError("OCPP 1.6 resets a whole station only, without a connector_id")
    return {"type": reset.kind}


def _read_reset(payload: Any) -> Reset:
    return Reset(kind=payload.type)


def _write_unlock(order: UnlockConnector) -> Content:
    return {"connectorId": order.connector_id}


def _read_unlock(payload: Any) -> UnlockConnector:
    return UnlockConnector(connector_id=payload.connectorId)


def _write_availability(order: ChangeAvailability) -> Content:
    return {"connectorId": order.connector_id, "type": order.kind}


def _read_availability(payload: Any) -> ChangeAvailability:
    return ChangeAvailability(connector_id=payload.connectorId, kind=payload.type)


def _write_change_configuration(order: ChangeConfiguration) -> Content:
    return {"key": order.key, "value": order.value}


def _read_change_configuration(payload: Any) -> ChangeConfiguration:
    return ChangeConfiguration(key=payload.key, value=payload.value)


def _write_get_configuration(order: GetConfiguration) -> Content:
    return {"key": list(order.keys)} if order.keys else {}


def _read_get_configuration(payload: Any) -> GetConfiguration:
    return GetConfiguration(keys=tuple(given(payload.key) or ()))


def _write_data_transfer(order: CentralDataTransfer) -> Content:
    return present(vendorId=order.vendor_id, messageId=order.message_id, data=order.data)


def _read_data_transfer(payload: Any) -> CentralDataTransfer:
    return CentralDataTransfer(
        vendor_id=payload.vendorId, message_id=given(payload.messageId), data=given(payload.data)
    )


EXCHANGES = (
    command("RemoteStartTransaction", RemoteStartTransaction, _write_remote_start, _read_remote_start),
    command("RemoteStopTransaction", RemoteStopTransaction, _write_remote_stop, _read_remote_stop),
    command("Reset", Reset, _write_reset, _read_reset),
    command("UnlockConnector", UnlockConnector, _write_unlock, _read_unlock),
    command("ChangeAvailability", ChangeAvailability, _write_availability, _read_availability),
    command("ChangeConfiguration", ChangeConfiguration, _write_change_configuration, _read_change_configuration),
    command("ClearCache", ClearCache, lambda order: {}, lambda payload: ClearCache()),
    command("DataTransfer", CentralDataTransfer, _write_data_transfer, _read_data_transfer),
    command("GetConfiguration", GetConfiguration, _write_get_configuration, _read_get_configuration),
)
