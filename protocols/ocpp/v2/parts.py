"""OCPP 2.x: what comes in parts, each a message of its own, after a command asked for it; and events of monitors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from protocols.ocpp.dialect import Content, Exchange
from protocols.ocpp.exchanges import notification
from protocols.ocpp.fields import given, present, read_time, write_optional_time, write_time
from protocols.ocpp.v2.fields import plain, said
from statecharts.station_reports import (
    NotifyCustomerInformation,
    NotifyDisplayMessages,
    NotifyEvent,
    NotifyMonitoringReport,
    NotifyReport,
    Part,
    ReportChargingProfiles,
)


def _write_part(field: str, numbered: bool, report: Part) -> Content:
    """`field` holds the content; those that are not `numbered` have neither seqNo nor generatedAt."""
    number = {"seqNo": report.seq_no, "generatedAt": write_optional_time(report.generated_at)} if numbered else {}
    content = {field: list(report.content) or None} if field else {}
    return present(requestId=report.request_id, tbc=report.more or None, **number, **content)


def _read_part(kind: type[Part], field: str, payload: Any, **more: Any) -> Part:
    generated_at = said(payload, "generatedAt")
    return kind(
        request_id=payload.requestId,
        seq_no=said(payload, "seqNo") or 0,
        more=bool(given(payload.tbc)),
        generated_at=generated_at and read_time(generated_at),
        content=tuple(plain(said(payload, field) or ())),
        **more,
    )


def _part(action: str, kind: type[Part], field: str, *, numbered: bool = True) -> Exchange:
    read: Callable[[Any], Part] = partial(_read_part, kind, field)
    return notification(action, kind, partial(_write_part, field, numbered), read)


def _write_customer_information(report: NotifyCustomerInformation) -> Content:
    return {**_write_part("", True, report), "data": report.data}


def _read_customer_information(payload: Any) -> Part:
    return _read_part(NotifyCustomerInformation, "", payload, data=payload.data)


def _write_profiles(report: ReportChargingProfiles) -> Content:
    where = {"evseId": report.connector_id, "chargingLimitSource": report.source}
    return {**_write_part("chargingProfile", False, report), **where}


def _read_profiles(payload: Any) -> Part:
    where = {"connector_id": payload.evseId, "source": payload.chargingLimitSource}
    return _read_part(ReportChargingProfiles, "chargingProfile", payload, **where)


def _write_event(report: NotifyEvent) -> Content:
    return present(
        generatedAt=write_time(report.generated_at),
        seqNo=report.seq_no,
        tbc=report.more or None,
        eventData=list(report.content),
    )


def _read_event(payload: Any) -> NotifyEvent:
    return NotifyEvent(
        generated_at=read_time(payload.generatedAt),
        seq_no=payload.seqNo,
        more=bool(given(payload.tbc)),
        content=tuple(plain(payload.eventData)),
    )


REPORTS = (
    _part("NotifyReport", NotifyReport, "reportData"),
    _part("NotifyMonitoringReport", NotifyMonitoringReport, "monitor"),
    _part("NotifyDisplayMessages", NotifyDisplayMessages, "messageInfo", numbered=False),
    notification(
        "NotifyCustomerInformation",
        NotifyCustomerInformation,
        _write_customer_information,
        _read_customer_information,
    ),
    notification("ReportChargingProfiles", ReportChargingProfiles, _write_profiles, _read_profiles),
    notification("NotifyEvent", NotifyEvent, _write_event, _read_event),
)
