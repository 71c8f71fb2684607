"""OCPP 1.6 core profile, what a station reports: sections 4.1 to 4.10."""

from __future__ import annotations

from typing import Any

from protocols.ocpp.dialect import Content, Exchange
from protocols.ocpp.exchanges import notification
from protocols.ocpp.fields import (
    given,
    present,
    read_optional_time,
    read_time,
    write_clock,
    write_optional_time,
    write_time,
)
from protocols.ocpp.mending import CLOCK_NEVER_SET, Leniency
from protocols.ocpp.v16.fields import read_id_tag_info, read_meter_values, write_id_tag_info, write_meter_values
from statecharts.charging import UNLEARNED
from statecharts.station_reports import (
    AuthorizeIdTag,
    BootAnswer,
    BootNotification,
    ConnectorStatus,
    DataTransferAnswer,
    Heartbeat,
    HeartbeatAnswer,
    IdTagAnswer,
    MeterValues,
    RegistrationStatus,
    StartAnswer,
    StartTransaction,
    StationDataTransfer,
    StatusNotification,
    StopTransaction,
)
from statecharts.vocabulary import Acknowledgement

# OCPP 1.6, section 7.36; not the ocpp package's own enumeration, since that brings all of its machinery into memory
STOP_REASONS = frozenset(
    {
        "DeAuthorized",
        "EVDisconnected",
        "EmergencyStop",
        "HardReset",
        "Local",
        "Other",
        "PowerLoss",
        "Reboot",
        "Remote",
        "SoftReset",
        "UnlockCommand",
    }
)


# What stands for what a broken message lacks. A stop always means something: the station never learned the number.
_BOOT = Leniency({"chargePointVendor": "", "chargePointModel": ""})
_ID_TAG = Leniency()
_STATUS = Leniency(
    {"errorCode": "NoError"},
    {
        # OCPP 1.5, and what firmware makes of it
        "occupied": "Preparing",
        "idle": "Available",
        "suspended": "SuspendedEV",
        "inoperative": "Unavailable",
        "offline": "Unavailable",
        "outoforder": "Faulted",
        "fault": "Faulted",
        "error": "Faulted",
    },
)
_START = Leniency({"timestamp": CLOCK_NEVER_SET, "meterStart": None})
_STOP = Leniency(
    {"timestamp": CLOCK_NEVER_SET, "transactionId": UNLEARNED, "meterStop": None, "sampledValue": [], "value": ""}
)
_READINGS = Leniency(
    {"timestamp": CLOCK_NEVER_SET, "connectorId": 0, "meterValue": [], "sampledValue": [], "value": ""}
)


# -- BootNotification, Heartbeat ---------------------------------------------------------------------------------------


def _write_boot(boot: BootNotification) -> Content:
    return present(
        chargePointVendor=boot.vendor,
        chargePointModel=boot.model,
        chargePointSerialNumber=boot.serial_number,
        firmwareVersion=boot.firmware_version,
        iccid=boot.iccid,
        imsi=boot.imsi,
        meterType=boot.meter_type,
        meterSerialNumber=boot.meter_serial_number,
    )


def _read_boot(payload: Any) -> BootNotification:
    return BootNotification(
        vendor=payload.chargePointVendor,
        model=payload.chargePointModel,
        # chargeBoxSerialNumber is deprecated (6.1), and all that older firmware sends.
        serial_number=given(payload.chargePointSerialNumber) or given(payload.chargeBoxSerialNumber),
        firmware_version=given(payload.firmwareVersion),
        iccid=given(payload.iccid),
        imsi=given(payload.imsi),
        meter_type=given(payload.meterType),
        meter_serial_number=given(payload.meterSerialNumber),
    )


def _write_boot_answer(answer: BootAnswer) -> Content:
    return {
        "status": answer.status.value,
        "currentTime": write_clock(answer.current_time),
        "interval": answer.interval_s,
    }


def _read_boot_answer(payload: Any) -> BootAnswer:
    return BootAnswer(
        status=RegistrationStatus(payload.status),
        current_time=read_time(payload.currentTime),
        interval_s=payload.interval,
    )


def _write_heartbeat_answer(answer: HeartbeatAnswer) -> Content:
    return {"currentTime": write_clock(answer.current_time)}


def _read_heartbeat_answer(payload: Any) -> HeartbeatAnswer:
    return HeartbeatAnswer(current_time=read_time(payload.currentTime))


# -- Authorize ---------------------------------------------------------------------------------------------------------


def _write_authorize(report: AuthorizeIdTag) -> Content:
    return {"idTag": report.id_tag}


def _read_authorize(payload: Any) -> AuthorizeIdTag:
    return AuthorizeIdTag(id_tag=payload.idTag)


def _write_id_tag_answer(answer: IdTagAnswer) -> Content:
    return present(idTagInfo=write_id_tag_info(answer.id_tag_info))


def _read_id_tag_answer(payload: Any) -> IdTagAnswer:
    return IdTagAnswer(id_tag_info=read_id_tag_info(payload.idTagInfo))


# -- StatusNotification ------------------------------------------------------------------------------------------------


def _write_status(report: StatusNotification) -> Content:
    return present(
        connectorId=report.connector_id,
        status=report.status.value,
        errorCode=report.error_code,
        timestamp=write_optional_time(report.timestamp),
        info=report.info,
        vendorId=report.vendor_id,
        vendorErrorCode=report.vendor_error_code,
    )


def _read_status(payload: Any) -> StatusNotification:
    return StatusNotification(
        connector_id=payload.connectorId,
        status=ConnectorStatus(payload.status),
        error_code=payload.errorCode,
        timestamp=read_optional_time(payload.timestamp),
        info=given(payload.info),
        vendor_id=given(payload.vendorId),
        vendor_error_code=given(payload.vendorErrorCode),
    )


# -- transactions ------------------------------------------------------------------------------------------------------


def _write_start(report: StartTransaction) -> Content:
    return present(
        connectorId=report.connector_id,
        idTag=report.id_tag,
        meterStart=report.meter_start_wh,
        timestamp=write_time(report.timestamp),
        reservationId=report.reservation_id,
    )


def _read_start(payload: Any) -> StartTransaction:
    return StartTransaction(
        connector_id=payload.connectorId,
        id_tag=payload.idTag,
        meter_start_wh=given(payload.meterStart),
        timestamp=read_time(payload.timestamp),
        reservation_id=given(payload.reservationId),
    )


def _write_start_answer(answer: StartAnswer) -> Content:
    return {"transactionId": answer.transaction_id, "idTagInfo": write_id_tag_info(answer.id_tag_info)}


def _read_start_answer(payload: Any) -> StartAnswer:
    info = read_id_tag_info(payload.idTagInfo)
    assert info is not None, "the schema requires idTagInfo"
    return StartAnswer(transaction_id=payload.transactionId, id_tag_info=info)


def _write_stop(report: StopTransaction) -> Content:
    return present(
        transactionId=report.transaction_id,
        meterStop=report.meter_stop_wh,
        timestamp=write_time(report.timestamp),
        reason=report.reason,
        idTag=report.id_tag,
        transactionData=write_meter_values(report.samples) or None,
    )


def _read_stop(payload: Any) -> StopTransaction:
    return StopTransaction(
        transaction_id=payload.transactionId,
        meter_stop_wh=given(payload.meterStop),
        timestamp=read_time(payload.timestamp),
        reason=_read_reason(payload.reason),
        id_tag=given(payload.idTag),
        samples=read_meter_values(payload.transactionData),
    )


def _read_reason(reason: Any) -> str:
    """OCPP 1.6, 4.10: no reason stands for Local. A reason of the vendor's own must not cost us the stop."""
    said = given(reason) or "Local"
    return said if said in STOP_REASONS else "Other"


def _write_stop_answer(answer: IdTagAnswer | Acknowledgement) -> Content:
    return _write_id_tag_answer(answer) if isinstance(answer, IdTagAnswer) else {}


def _write_meter_values(report: MeterValues) -> Content:
    return present(
        connectorId=report.connector_id,
        transactionId=report.transaction_id,
        meterValue=write_meter_values(report.samples),
    )


def _read_meter_values(payload: Any) -> MeterValues:
    return MeterValues(
        connector_id=payload.connectorId,
        transaction_id=given(payload.transactionId),
        samples=read_meter_values(payload.meterValue),
    )


# -- DataTransfer ------------------------------------------------------------------------------------------------------


def _write_data_transfer(report: StationDataTransfer) -> Content:
    return present(vendorId=report.vendor_id, messageId=report.message_id, data=report.data)


def _read_data_transfer(payload: Any) -> StationDataTransfer:
    return StationDataTransfer(
        vendor_id=payload.vendorId, message_id=given(payload.messageId), data=given(payload.data)
    )


def _write_data_transfer_answer(answer: DataTransferAnswer) -> Content:
    return present(status=answer.status, data=answer.data)


def _read_data_transfer_answer(payload: Any) -> DataTransferAnswer:
    return DataTransferAnswer(status=payload.status, data=given(payload.data))


EXCHANGES = (
    Exchange(
        action="BootNotification",
        request=BootNotification,
        write_request=_write_boot,
        read_request=_read_boot,
        write_answer=_write_boot_answer,
        read_answer=_read_boot_answer,
        mended=_BOOT,
    ),
    Exchange(
        action="Heartbeat",
        request=Heartbeat,
        write_request=lambda report: {},
        read_request=lambda payload: Heartbeat(),
        write_answer=_write_heartbeat_answer,
        read_answer=_read_heartbeat_answer,
    ),
    Exchange(
        action="Authorize",
        request=AuthorizeIdTag,
        write_request=_write_authorize,
        read_request=_read_authorize,
        write_answer=_write_id_tag_answer,
        read_answer=_read_id_tag_answer,
        mended=_ID_TAG,
    ),
    notification("StatusNotification", StatusNotification, _write_status, _read_status, mended=_STATUS),
    Exchange(
        action="StartTransaction",
        request=StartTransaction,
        write_request=_write_start,
        read_request=_read_start,
        write_answer=_write_start_answer,
        read_answer=_read_start_answer,
        mended=_START,
    ),
    Exchange(
        action="StopTransaction",
        request=StopTransaction,
        write_request=_write_stop,
        read_request=_read_stop,
        write_answer=_write_stop_answer,
        read_answer=_read_id_tag_answer,
        mended=_STOP,
    ),
    notification("MeterValues", MeterValues, _write_meter_values, _read_meter_values, mended=_READINGS),
    Exchange(
        action="DataTransfer",
        request=StationDataTransfer,
        write_request=_write_data_transfer,
        read_request=_read_data_transfer,
        write_answer=_write_data_transfer_answer,
        read_answer=_read_data_transfer_answer,
    ),
)
