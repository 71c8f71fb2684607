"""OCPP 2.x blocks C, E, H, J: who is it, transactions, reservations that end, meter values."""

from __future__ import annotations

from typing import Any

from protocols.ocpp.dialect import Content, Exchange
from protocols.ocpp.exchanges import notification
from protocols.ocpp.fields import given, present, read_time, write_time
from protocols.ocpp.mending import CLOCK_NEVER_SET, Leniency
from protocols.ocpp.v2.fields import (
    read_evse,
    read_id_token,
    read_id_token_info,
    read_meter_values,
    read_optional_token,
    read_plug,
    write_evse,
    write_id_token,
    write_id_token_info,
    write_meter_values,
    write_optional_token,
)
from statecharts.station_reports import (
    AuthorizeIdTag,
    IdTagAnswer,
    MeterValues,
    ReservationStatus,
    TransactionEvent,
    TransactionEventKind,
)
from statecharts.vocabulary import Acknowledgement

READING_WORDS = frozenset({"context", "measurand", "phase", "location"})
"""A word we do not know must cost no reading and no event of a transaction."""

_EVENT_WORDS = READING_WORDS | {"triggerReason", "chargingState", "stoppedReason", "type"}


_READINGS = {"timestamp": CLOCK_NEVER_SET, "meterValue": [], "sampledValue": []}
_VALUES = Leniency({**_READINGS, "evseId": 0})
_EVENT = Leniency(
    {**_READINGS, "triggerReason": "", "seqNo": 0, "transactionInfo": {}, "transactionId": "", "type": "", "id": 0}
)
"""What stands for what a broken event lacks; one that names no transaction is kept for the operator."""


def _write_id_tag_answer(answer: IdTagAnswer | Acknowledgement) -> Content:
    info = answer.id_tag_info if isinstance(answer, IdTagAnswer) else None
    return present(idTokenInfo=write_id_token_info(info))


def _read_id_tag_answer(payload: Any) -> IdTagAnswer:
    return IdTagAnswer(id_tag_info=read_id_token_info(payload.idTokenInfo))


def _write_event(event: TransactionEvent) -> Content:
    return present(
        eventType=event.kind.value,
        timestamp=write_time(event.timestamp),
        triggerReason=event.trigger,
        seqNo=event.seq_no,
        offline=event.offline or None,
        reservationId=event.reservation_id,
        evse=write_evse(event.connector_id, event.plug_id),
        idToken=write_optional_token(event.id_tag),
        meterValue=write_meter_values(event.samples) or None,
        transactionInfo=present(
            transactionId=event.reference,
            chargingState=event.charging_state,
            stoppedReason=event.stopped_reason,
            remoteStartId=event.remote_start_id,
        ),
    )


def _read_event(payload: Any) -> TransactionEvent:
    transaction = payload.transactionInfo
    return TransactionEvent(
        kind=TransactionEventKind(payload.eventType),
        reference=transaction.transactionId,
        seq_no=payload.seqNo,
        timestamp=read_time(payload.timestamp),
        trigger=payload.triggerReason,
        offline=bool(given(payload.offline)),
        connector_id=read_evse(payload.evse),
        plug_id=read_plug(payload.evse),
        id_tag=read_optional_token(payload.idToken),
        remote_start_id=given(transaction.remoteStartId),
        charging_state=given(transaction.chargingState),
        stopped_reason=given(transaction.stoppedReason),
        reservation_id=given(payload.reservationId),
        samples=read_meter_values(payload.meterValue),
    )


def _write_meter_values(report: MeterValues) -> Content:
    return {"evseId": report.connector_id, "meterValue": write_meter_values(report.samples)}


def _read_meter_values(payload: Any) -> MeterValues:
    return MeterValues(connector_id=payload.evseId, samples=read_meter_values(payload.meterValue))


def _write_reservation(report: ReservationStatus) -> Content:
    return {"reservationId": report.reservation_id, "reservationUpdateStatus": report.status}


def _read_reservation(payload: Any) -> ReservationStatus:
    return ReservationStatus(reservation_id=payload.reservationId, status=payload.reservationUpdateStatus)


REPORTS = (
    Exchange(
        action="Authorize",
        request=AuthorizeIdTag,
        write_request=lambda report: {"idToken": write_id_token(report.id_tag)},
        read_request=lambda payload: AuthorizeIdTag(id_tag=read_id_token(payload.idToken)),
        write_answer=_write_id_tag_answer,
        read_answer=_read_id_tag_answer,
        open_words=frozenset({"type"}),
        mended=Leniency({"type": ""}),
    ),
    Exchange(
        action="TransactionEvent",
        request=TransactionEvent,
        write_request=_write_event,
        read_request=_read_event,
        write_answer=_write_id_tag_answer,
        read_answer=_read_id_tag_answer,
        open_words=_EVENT_WORDS,
        mended=_EVENT,
    ),
    notification(
        "MeterValues",
        MeterValues,
        _write_meter_values,
        _read_meter_values,
        open_words=READING_WORDS,
        mended=_VALUES,
    ),
    notification(
        "ReservationStatusUpdate",
        ReservationStatus,
        _write_reservation,
        _read_reservation,
        open_words=frozenset({"reservationUpdateStatus"}),
    ),
)
