"""OCPP 2.x blocks B, C, D, F, G, H: remote control, availability, reservation, local list, and what goes with them."""

from __future__ import annotations

from typing import Any

import msgspec

from protocols.ocpp.dialect import Content
from protocols.ocpp.exchanges import command
from protocols.ocpp.fields import given, present, read_time, translation, write_time
from protocols.ocpp.v2.fields import (
    read_evse,
    read_id_token,
    read_id_token_info,
    read_optional_token,
    read_plug,
    write_evse,
    write_id_token,
    write_id_token_info,
    write_optional_token,
)
from protocols.ocpp.v2.provisioning import read_data
from protocols.ocpp.v2.smart_charging import read_optional_profile, write_optional_profile
from statecharts.station_commands import (
    CancelReservation,
    CentralDataTransfer,
    ChangeAvailability,
    ClearCache,
    GetLocalListVersion,
    GetTransactionStatus,
    LocalListEntry,
    RemoteStartTransaction,
    RemoteStopTransaction,
    ReserveNow,
    Reset,
    SendLocalList,
    TriggerMessage,
    UnlockConnector,
)
from statecharts.station_session import FIRST_PLUG, remote_start_id

_kind_said, _kind_read = translation({"Hard": "Immediate", "Soft": "OnIdle"})
_trigger_said, _ = translation({"DiagnosticsStatusNotification": "LogStatusNotification"})

# -- F: transactions ---------------------------------------------------------------------------------------------------


def _write_start(order: RemoteStartTransaction) -> Content:
    return present(
        idToken=write_id_token(order.id_tag),
        remoteStartId=remote_start_id(order.id_tag),
        evseId=order.connector_id,
        chargingProfile=write_optional_profile(order.charging_profile),
    )


def _read_start(payload: Any) -> RemoteStartTransaction:
    return RemoteStartTransaction(
        id_tag=read_id_token(payload.idToken),
        connector_id=given(payload.evseId),
        charging_profile=read_optional_profile(payload.chargingProfile),
    )


def _reference(order: RemoteStopTransaction | GetTransactionStatus) -> str:
    if not order.reference:
        raise msgspec.ValidationError(f"the station has not said what it calls transaction {order.transaction_id}")
    return order.reference


def _write_status(order: GetTransactionStatus) -> Content:
    return {} if order.transaction_id is None and not order.reference else {"transactionId": _reference(order)}


def _write_trigger(order: TriggerMessage) -> Content:
    return present(requestedMessage=_trigger_said(order.what), evse=write_evse(order.connector_id, order.plug_id))


def _read_trigger(payload: Any) -> TriggerMessage:
    evse = payload.evse
    return TriggerMessage(what=payload.requestedMessage, connector_id=read_evse(evse), plug_id=read_plug(evse))


# -- B, G: the station -------------------------------------------------------------------------------------------------


def _write_reset(order: Reset) -> Content:
    return present(type=_kind_said(order.kind), evseId=order.connector_id)


def _write_availability(order: ChangeAvailability) -> Content:
    return present(operationalStatus=order.kind, evse=write_evse(order.connector_id))


# -- H: reservations ---------------------------------------------------------------------------------------------------


def _write_reserve(order: ReserveNow) -> Content:
    return present(
        id=order.reservation_id,
        expiryDateTime=write_time(order.expiry_date),
        evseId=order.connector_id or None,
        idToken=write_id_token(order.id_tag),
        groupIdToken=write_optional_token(order.parent_id_tag),
    )


def _read_reserve(payload: Any) -> ReserveNow:
    return ReserveNow(
        reservation_id=payload.id,
        connector_id=given(payload.evseId) or 0,
        expiry_date=read_time(payload.expiryDateTime),
        id_tag=read_id_token(payload.idToken),
        parent_id_tag=read_optional_token(payload.groupIdToken),
    )


# -- D: local list -----------------------------------------------------------------------------------------------------


def _write_list(order: SendLocalList) -> Content:
    if order.update == "Full" and any(entry.id_tag_info is None for entry in order.entries):
        raise msgspec.ValidationError("an entry without id_tag_info is taken out by a Differential update only")
    entries = [
        present(idToken=write_id_token(entry.id_tag), idTokenInfo=write_id_token_info(entry.id_tag_info))
        for entry in order.entries
    ]
    return present(versionNumber=order.version, updateType=order.update, localAuthorizationList=entries or None)


def _read_list(payload: Any) -> SendLocalList:
    entries = given(payload.localAuthorizationList) or ()
    return SendLocalList(
        version=payload.versionNumber,
        update=payload.updateType,
        entries=tuple(
            LocalListEntry(id_tag=read_id_token(entry.idToken), id_tag_info=read_id_token_info(entry.idTokenInfo))
            for entry in entries
        ),
    )


# -- P: DataTransfer ---------------------------------------------------------------------------------------------------


def _write_transfer(order: CentralDataTransfer) -> Content:
    return present(vendorId=order.vendor_id, messageId=order.message_id, data=order.data)


def _read_transfer(payload: Any) -> CentralDataTransfer:
    data = read_data(payload.data)
    return CentralDataTransfer(vendor_id=payload.vendorId, message_id=given(payload.messageId), data=data)


COMMANDS = (
    command("RequestStartTransaction", RemoteStartTransaction, _write_start, _read_start),
    command(
        "RequestStopTransaction",
        RemoteStopTransaction,
        lambda order: {"transactionId": _reference(order)},
        # What number we have for it is nothing that a station knows.
        lambda payload: RemoteStopTransaction(transaction_id=0, reference=payload.transactionId),
    ),
    command(
        "GetTransactionStatus",
        GetTransactionStatus,
        _write_status,
        lambda payload: GetTransactionStatus(reference=given(payload.transactionId) or ""),
    ),
    command(
        "UnlockConnector",
        UnlockConnector,
        lambda order: {"evseId": order.connector_id, "connectorId": FIRST_PLUG},
        lambda payload: UnlockConnector(connector_id=payload.evseId),
    ),
    command("TriggerMessage", TriggerMessage, _write_trigger, _read_trigger),
    command(
        "Reset",
        Reset,
        _write_reset,
        lambda payload: Reset(kind=_kind_read(payload.type), connector_id=given(payload.evseId)),
    ),
    command(
        "ChangeAvailability",
        ChangeAvailability,
        _write_availability,
        lambda payload: ChangeAvailability(connector_id=read_evse(payload.evse) or 0, kind=payload.operationalStatus),
    ),
    command("ReserveNow", ReserveNow, _write_reserve, _read_reserve),
    command(
        "CancelReservation",
        CancelReservation,
        lambda order: {"reservationId": order.reservation_id},
        lambda payload: CancelReservation(reservation_id=payload.reservationId),
    ),
    command("ClearCache", ClearCache, lambda order: {}, lambda payload: ClearCache()),
    command("SendLocalList", SendLocalList, _write_list, _read_list),
    command("GetLocalListVersion", GetLocalListVersion, lambda order: {}, lambda payload: GetLocalListVersion()),
    command("DataTransfer", CentralDataTransfer, _write_transfer, _read_transfer),
)
