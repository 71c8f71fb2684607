"""Hypothesis strategies for every message of OCPP 1.6, and the words of their answers; here those of its core."""

from __future__ import annotations

from typing import Any

import ocpp_v16_blocks as blocks
from hypothesis import strategies as st
from ocpp.v16 import enums
from ocpp_v16_values import CLOCKS, ID_TAG_INFO, INTEGERS, MOMENTS, SAMPLES, WATT_HOURS, one_of, texts

from statecharts import station_commands as commands
from statecharts import station_reports as reports
from statecharts.station_reports import StopTransaction
from statecharts.vocabulary import Acknowledgement

ID_TAG_ANSWER = st.builds(reports.IdTagAnswer, id_tag_info=ID_TAG_INFO)
DATA_TRANSFER = {"vendor_id": texts(255), "message_id": st.none() | texts(50), "data": st.none() | texts(300)}
EXCHANGES: dict[str, tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]] = {
    "BootNotification": (
        st.builds(
            reports.BootNotification,
            vendor=texts(20),
            model=texts(20),
            serial_number=st.none() | texts(25).filter(bool),
            firmware_version=st.none() | texts(50),
            iccid=st.none() | texts(20),
            imsi=st.none() | texts(20),
            meter_type=st.none() | texts(25),
            meter_serial_number=st.none() | texts(25),
        ),
        st.builds(
            reports.BootAnswer,
            status=st.sampled_from(reports.RegistrationStatus),
            current_time=CLOCKS,
            interval_s=st.integers(0, 86400),
        ),
    ),
    "Heartbeat": (st.just(reports.Heartbeat()), st.builds(reports.HeartbeatAnswer, current_time=CLOCKS)),
    "Authorize": (st.builds(reports.AuthorizeIdTag, id_tag=texts(20)), ID_TAG_ANSWER),
    "StatusNotification": (
        st.builds(
            reports.StatusNotification,
            connector_id=INTEGERS,
            status=st.sampled_from(reports.ConnectorStatus),
            error_code=one_of(enums.ChargePointErrorCode),
            timestamp=st.none() | MOMENTS,
            info=st.none() | texts(50),
            vendor_id=st.none() | texts(255),
            vendor_error_code=st.none() | texts(50),
        ),
        st.just(Acknowledgement()),
    ),
    "StartTransaction": (
        st.builds(
            reports.StartTransaction,
            connector_id=INTEGERS,
            id_tag=texts(20),
            meter_start_wh=WATT_HOURS,
            timestamp=MOMENTS,
            reservation_id=st.none() | INTEGERS,
        ),
        st.builds(reports.StartAnswer, transaction_id=INTEGERS, id_tag_info=ID_TAG_INFO),
    ),
    "StopTransaction": (
        st.builds(
            StopTransaction,
            transaction_id=INTEGERS,
            meter_stop_wh=WATT_HOURS,
            timestamp=MOMENTS,
            reason=one_of(enums.Reason),
            id_tag=st.none() | texts(20),
            samples=st.lists(SAMPLES, max_size=4).map(tuple),
        ),
        ID_TAG_ANSWER | st.just(reports.IdTagAnswer(id_tag_info=None)),
    ),
    "MeterValues": (
        st.builds(
            reports.MeterValues,
            connector_id=INTEGERS,
            transaction_id=st.none() | INTEGERS,
            samples=st.lists(SAMPLES, min_size=1, max_size=6).map(tuple),
        ),
        st.just(Acknowledgement()),
    ),
    "DataTransfer": (
        st.builds(reports.StationDataTransfer, **DATA_TRANSFER),
        st.builds(reports.DataTransferAnswer, status=one_of(enums.DataTransferStatus), data=st.none() | texts(300)),
    ),
    **blocks.REPORTS,
}
COMMAND_REQUESTS: dict[str, st.SearchStrategy[Any]] = {
    "RemoteStartTransaction": st.builds(
        commands.RemoteStartTransaction,
        id_tag=texts(20),
        connector_id=st.none() | INTEGERS,
        charging_profile=st.none() | blocks.TX_PROFILES,
    ),
    "RemoteStopTransaction": st.builds(commands.RemoteStopTransaction, transaction_id=INTEGERS),
    "Reset": st.builds(commands.Reset, kind=one_of(enums.ResetType)),
    "UnlockConnector": st.builds(commands.UnlockConnector, connector_id=INTEGERS),
    "ChangeAvailability": st.builds(
        commands.ChangeAvailability, connector_id=INTEGERS, kind=one_of(enums.AvailabilityType)
    ),
    "ChangeConfiguration": st.builds(commands.ChangeConfiguration, key=texts(50), value=texts(500)),
    "GetConfiguration": st.builds(commands.GetConfiguration, keys=st.lists(texts(50), max_size=5).map(tuple)),
    "ClearCache": st.just(commands.ClearCache()),
    "DataTransfer": st.builds(commands.CentralDataTransfer, **DATA_TRANSFER),
    **blocks.COMMANDS,
}
STATUS_WORDS = {
    "RemoteStartTransaction": enums.RemoteStartStopStatus,
    "RemoteStopTransaction": enums.RemoteStartStopStatus,
    "Reset": enums.ResetStatus,
    "UnlockConnector": enums.UnlockStatus,
    "ChangeAvailability": enums.AvailabilityStatus,
    "ChangeConfiguration": enums.ConfigurationStatus,
    "ClearCache": enums.ClearCacheStatus,
    "DataTransfer": enums.DataTransferStatus,
    **blocks.STATUS_WORDS,
}
FIELDS_ONLY = blocks.FIELDS_ONLY
