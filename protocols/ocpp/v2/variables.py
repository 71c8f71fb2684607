"""OCPP 2.x block B: a station's settings, which are variables of its components, under one key of text each."""

from __future__ import annotations

from typing import Any

import msgspec

from protocols.ocpp.dialect import ACCEPTING_WORDS, Confirmation, Content, Exchange
from protocols.ocpp.exchanges import command
from protocols.ocpp.v2.fields import plain
from statecharts.station_commands import CallOutcome, CallVerdict, ChangeConfiguration, GetBaseReport, GetConfiguration
from statecharts.station_settings import key_of, named_by


def write_key(key: str) -> Content:
    """The component and the variable that a key names. Raises msgspec.ValidationError for what is no key."""
    try:
        component, variable = named_by(key)
    except ValueError as wrong:
        raise msgspec.ValidationError(str(wrong)) from None
    return {"component": component, "variable": variable}


def read_key(data: Any) -> str:
    """The key of a component and a variable."""
    return key_of(plain(data.component), plain(data.variable))


# -- requests ----------------------------------------------------------------------------------------------------------


def _write_set(order: ChangeConfiguration) -> Content:
    return {"setVariableData": [{"attributeValue": order.value, **write_key(order.key)}]}


def _read_set(payload: Any) -> ChangeConfiguration:
    first = payload.setVariableData[0]
    return ChangeConfiguration(key=read_key(first), value=first.attributeValue)


def _write_get(order: GetConfiguration) -> Content:
    if not order.keys:
        raise msgspec.ValidationError("OCPP 2.x needs the variables named; GetBaseReport reports all of them")
    return {"getVariableData": [write_key(key) for key in order.keys]}


def _read_get(payload: Any) -> GetConfiguration:
    return GetConfiguration(keys=tuple(read_key(each) for each in payload.getVariableData))


# -- answers: of OCPP 1.6's shape where a station is simulated ---------------------------------------------------------


def _write_set_answer(confirmation: Confirmation) -> Content:
    """What became of the one variable; the field `key` names it, as an answer of OCPP 2.x has to."""
    status, fields = confirmation
    return {"setVariableResult": [{"attributeStatus": status, **write_key(fields.get("key", ""))}]}


def _read_set_answer(payload: Any) -> CallOutcome:
    return _outcome(payload, [result.attributeStatus for result in payload.setVariableResult])


def _write_get_answer(confirmation: Confirmation) -> Content:
    _, fields = confirmation
    known = [
        {"attributeStatus": "Accepted", "attributeValue": each["value"], **write_key(each["key"])}
        for each in fields.get("configurationKey", ())
    ]
    unknown = [{"attributeStatus": "UnknownVariable", **write_key(key)} for key in fields.get("unknownKey", ())]
    return {"getVariableResult": [*known, *unknown]}


def _read_get_answer(payload: Any) -> CallOutcome:
    return CallOutcome(verdict=CallVerdict.ACCEPTED, data=plain(payload))


def _outcome(payload: Any, statuses: list[str]) -> CallOutcome:
    """Accepted if all are; else rejected by the first that is not."""
    refusals = [status for status in statuses if status not in ACCEPTING_WORDS]
    return CallOutcome(
        verdict=CallVerdict.REJECTED if refusals else CallVerdict.ACCEPTED,
        status=(refusals or statuses)[0],
        cause=f"the station answered {refusals[0]}" if refusals else "",
        data=plain(payload),
    )


COMMANDS = (
    command(
        "GetBaseReport",
        GetBaseReport,
        lambda order: {"requestId": order.request_id, "reportBase": order.base},
        lambda payload: GetBaseReport(request_id=payload.requestId, base=payload.reportBase),
    ),
    Exchange(
        action="SetVariables",
        request=ChangeConfiguration,
        write_request=_write_set,
        read_request=_read_set,
        write_answer=_write_set_answer,
        read_answer=_read_set_answer,
        open_words=frozenset({"attributeStatus"}),
    ),
    Exchange(
        action="GetVariables",
        request=GetConfiguration,
        write_request=_write_get,
        read_request=_read_get,
        write_answer=_write_get_answer,
        read_answer=_read_get_answer,
        open_words=frozenset({"attributeStatus"}),
    ),
)
