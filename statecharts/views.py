"""Transactions as REST, lists and ledgers show them: pure functions of the charts' data."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from statecharts.charging import Charging
from statecharts.destination_events import DestinationTransaction
from statecharts.destination_events import S as DestinationState
from statecharts.ports import CdrView, OperationView, TransactionView
from statecharts.source_events import Operation, S, SourceTransaction
from statecharts.transaction_local import LocalTransaction
from statecharts.vocabulary import EndTransaction


def _known(moment: datetime | None) -> datetime:
    assert moment is not None, "a transaction has begun before anybody looks at it"
    return moment


def cdr_id(local_operator: str, authorization_identifier: str) -> str:
    """The one name of a charge record, derived alike on both sides; MOBI.Europe itself has none."""
    return f"{local_operator}/{authorization_identifier}"


def _cdr(end: EndTransaction, partner: str, status: str, flags: tuple[str, ...]) -> CdrView:
    content = end.transaction_data
    return CdrView(
        cdr_id=cdr_id(content.local_operator_identifier, end.authorization_identifier),
        pms_identifier=partner,
        authorization_identifier=end.authorization_identifier,
        local_service_identifier=content.local_service_identifier,
        user_identifier=content.user_identifier,
        start_timestamp=end.start_transaction_timestamp,
        end_timestamp=end.end_transaction_timestamp,
        energy_wh=content.energy_wh,
        status=status,
        flags=flags,
    )


def by_wall_clock(view: TransactionView, ahead: timedelta) -> TransactionView:
    """The view with our own times as a clock shows them that is so far ahead; what others have timed stays."""
    if not ahead:
        return view
    operations = tuple(
        msgspec.structs.replace(o, requested_at=o.requested_at + ahead, until=o.until and o.until + ahead)
        for o in view.operations
    )
    return msgspec.structs.replace(
        view,
        created_at=view.created_at + ahead,
        changed_at=view.changed_at + ahead,
        expires_at=view.expires_at and view.expires_at + ahead,
        operations=operations,
    )


# -- Source ------------------------------------------------------------------------------------------------------------

WAITS_FOR = {"start": "the station to start: plug in the cable", "stop": "the station to stop"}


def _operation(operation: Operation) -> OperationView:
    pending = operation.status == "pending"
    return OperationView(
        request_identifier=operation.request_identifier,
        kind=operation.kind,
        status=operation.status,
        requested_at=operation.requested_at,
        waits_for=WAITS_FOR[operation.kind] if pending else None,
        until=operation.until if pending else None,
        cause=operation.cause,
    )


def _kept_stop(data: SourceTransaction) -> tuple[OperationView, ...]:
    """A stop that is sent as soon as the start has succeeded is shown as pending, with the start's deadline."""
    start = data.operation("start")
    if data.stop_kept is None or start is None:
        return ()
    view = OperationView(
        request_identifier=data.stop_kept,
        kind="stop",
        status="pending",
        requested_at=_known(data.changed_at),
        waits_for="the running start, then the station to stop",
        until=start.until,
    )
    return (view,)


def source_cdr(data: SourceTransaction) -> CdrView | None:
    """The charge record as the Source received it."""
    if data.end is None:
        return None
    status = "conflict" if "conflicting-end" in data.flags else "received"
    return _cdr(data.end, data.peer, status, data.flags)


def source_view(data: SourceTransaction, version: int) -> TransactionView:
    request, end = data.request, data.end
    assert request is not None
    current = data.operations[-1] if data.operations else None
    return TransactionView(
        transaction_id=data.id,
        role="source",
        state=data.state,
        version=version,
        created_at=_known(data.created_at),
        changed_at=_known(data.changed_at),
        user_identifier=request.user_identifier,
        local_service_identifier=request.local_service_identifier,
        pms_identifier=request.destination,
        connector_identifier=request.connector_identifier,
        service_type=request.service_type,
        authorization_identifier=data.authorization_identifier,
        request_identifier=current.request_identifier if current else None,
        expires_at=data.lapses_at if data.state in (S.READY, S.START_TX_REQUESTED) else None,
        start_timestamp=data.start_timestamp,
        end_timestamp=end.end_transaction_timestamp if end else None,
        energy_wh=data.energy_wh,
        cause=data.cause,
        flags=data.flags,
        operations=(*(_operation(o) for o in data.operations), *_kept_stop(data)),
        cdr=source_cdr(data),
    )


# -- Destination and local ---------------------------------------------------------------------------------------------


def _charging_view(data: Charging, role: str, identifier: str, user: str, version: int) -> TransactionView:
    charge = data.charge
    return TransactionView(
        transaction_id=identifier,
        role=role,
        state=data.state,
        version=version,
        created_at=_known(data.created_at),
        changed_at=_known(data.changed_at),
        user_identifier=user,
        local_service_identifier=data.station,
        connector_identifier=str(data.connector_id) if data.connector_id else None,
        station_transaction_id=charge.number,
        start_timestamp=charge.start_timestamp,
        end_timestamp=charge.stop_timestamp,
        meter_start_wh=charge.meter_start_wh,
        meter_stop_wh=charge.meter_stop_wh,
        energy_wh=charge.energy_wh,
        cause=data.cause,
        flags=data.flags,
    )


def _delivery_status(data: DestinationTransaction) -> str:
    if data.state == DestinationState.SETTLED:
        return "acknowledged"
    if "EndTransaction-parked" in data.flags:
        return "parked"
    return "overdue" if "cdr-overdue" in data.flags else "pending"


def destination_cdr(data: DestinationTransaction) -> CdrView | None:
    """The charge record as the Destination made it, with what became of its delivery."""
    if data.end is None:
        return None
    return _cdr(data.end, data.peer, _delivery_status(data), data.flags)


def destination_view(data: DestinationTransaction, version: int) -> TransactionView:
    view = _charging_view(data, "destination", data.id, data.user_identifier, version)
    connector = data.connector_id or data.connector_asked
    return msgspec.structs.replace(
        view,
        pms_identifier=data.peer,
        authorization_identifier=data.id,
        service_type=data.service_type,
        connector_identifier=str(connector) if connector else None,
        request_identifier=data.requests[-1].request_identifier if data.requests else None,
        expires_at=data.lapses_at if data.state == DestinationState.READY else None,
        cdr=destination_cdr(data),
    )


def local_view(data: LocalTransaction, version: int) -> TransactionView:
    return _charging_view(data, "local", data.id, data.id_tag, version)
