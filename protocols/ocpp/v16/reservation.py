"""OCPP 1.6 reservation profile: sections 5.2 and 5.13."""

from __future__ import annotations

from typing import Any

from protocols.ocpp.dialect import Content
from protocols.ocpp.exchanges import command
from protocols.ocpp.fields import given, present, read_time, write_time
from statecharts.station_commands import CancelReservation, ReserveNow


def _write_reserve(order: ReserveNow) -> Content:
    return present(
        reservationId=order.reservation_id,
        connectorId=order.connector_id,
        expiryDate=write_time(order.expiry_date),
        idTag=order.id_tag,
        parentIdTag=order.parent_id_tag,
    )


def _read_reserve(payload: Any) -> ReserveNow:
    return ReserveNow(
        reservation_id=payload.reservationId,
        connector_id=payload.connectorId,
        expiry_date=read_time(payload.expiryDate),
        id_tag=payload.idTag,
        parent_id_tag=given(payload.parentIdTag),
    )


def _write_cancel(order: CancelReservation) -> Content:
    return {"reservationId": order.reservation_id}


def _read_cancel(payload: Any) -> CancelReservation:
    return CancelReservation(reservation_id=payload.reservationId)


COMMANDS = (
    command("ReserveNow", ReserveNow, _write_reserve, _read_reserve),
    command("CancelReservation", CancelReservation, _write_cancel, _read_cancel),
)
