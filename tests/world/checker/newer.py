"""OCPP 2.0.1 and 2.1 as the checkers read them: in the words of 1.6, so that one rule judges every version.

A reading of its own, which shares no code with the node's codecs. Answers of 2.x carry no number of a transaction: that
is what the node's journal had opened under the station's name for it when the answer left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tests.world.checker.wire import Frame

UNNUMBERED = -1
EVENTS = {"Started": "StartTransaction", "Updated": "MeterValues", "Ended": "StopTransaction"}
_REMOTE = {
    "RequestStartTransaction": "RemoteStartTransaction",
    "RequestStopTransaction": "RemoteStopTransaction",
}
OCCUPIED = ("Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing")
"""What a node may have known of an EVSE that says no more than Occupied."""

NumberOf = Callable[[str], int | None]
"""A station's own name for a transaction -> the number that the node has opened for it, if it has."""


def asked(said: Frame, number_of: NumberOf) -> Frame:
    """A CALL in the words of OCPP 1.6; as it is where 1.6 says the same, or has no such thing."""
    translate = _CALLS.get(said.action)
    if translate is None:
        return said
    action, payload = translate(said.payload, number_of)
    return msgspec.structs.replace(said, action=action, payload=payload)


def action_in(action: str, payload: Mapping[str, Any]) -> str:
    """What OCPP 1.6 calls the action of a CALL."""
    return EVENTS.get(payload.get("eventType", ""), _REMOTE.get(action, action))


def answered(call: Frame, said: Frame, reference: str, number_of: NumberOf) -> Frame:
    """The CALLRESULT to a start that a transaction of this name began with, in the words of OCPP 1.6."""
    if said.kind != 3 or call.action != "StartTransaction" or not reference:
        return said
    status = said.payload.get("idTokenInfo", {}).get("status", "")
    payload = {"transactionId": number_of(reference) or UNNUMBERED, "idTagInfo": {"status": status}}
    return msgspec.structs.replace(said, payload=payload)


def reference_in(said: Frame) -> str:
    """The station's own name for the transaction that a CALL speaks of; empty for one of OCPP 1.6."""
    return str(said.payload.get("transactionInfo", {}).get("transactionId", "")) if said.kind == 2 else ""


def _event(event: Mapping[str, Any], number_of: NumberOf) -> tuple[str, dict[str, Any]]:
    number = number_of(event["transactionInfo"]["transactionId"]) or UNNUMBERED
    said = {"timestamp": event["timestamp"], "connectorId": event.get("evse", {}).get("id", 0)}
    tag = {"idTag": event["idToken"]["idToken"]} if "idToken" in event else {}
    match event["eventType"]:
        case "Started":
            said |= {"meterStart": _register(event), **tag}
        case "Ended":
            reason = event["transactionInfo"].get("stoppedReason", "Local")
            said |= {"transactionId": number, "meterStop": _register(event), "reason": reason, **tag}
        case _:
            said |= {"transactionId": number, "meterValue": [_read(each) for each in event.get("meterValue", ())]}
    return EVENTS[event["eventType"]], said


def _register(event: Mapping[str, Any]) -> int | None:
    return next((int(s["value"]) for each in event.get("meterValue", ()) for s in each["sampledValue"]), None)


def _read(values: Mapping[str, Any]) -> dict[str, Any]:
    sampled = [{"value": f"{each['value']:.10g}"} for each in values["sampledValue"]]
    return {"timestamp": values["timestamp"], "sampledValue": sampled}


def _status(said: Mapping[str, Any], _: NumberOf) -> tuple[str, dict[str, Any]]:
    if "evseId" not in said:
        return "StatusNotification", dict(said)
    return "StatusNotification", {"connectorId": said["evseId"], "status": said["connectorStatus"]}


def _meter(said: Mapping[str, Any], _: NumberOf) -> tuple[str, dict[str, Any]]:
    if "evseId" not in said:
        return "MeterValues", dict(said)
    return "MeterValues", {"connectorId": said["evseId"], "meterValue": [_read(each) for each in said["meterValue"]]}


def _start(said: Mapping[str, Any], _: NumberOf) -> tuple[str, dict[str, Any]]:
    return "RemoteStartTransaction", {"idTag": said["idToken"]["idToken"], "connectorId": said.get("evseId")}


def _stop(said: Mapping[str, Any], number_of: NumberOf) -> tuple[str, dict[str, Any]]:
    return "RemoteStopTransaction", {"transactionId": number_of(said["transactionId"])}


_CALLS: dict[str, Callable[[Any, NumberOf], tuple[str, dict[str, Any]]]] = {
    "TransactionEvent": _event,
    "StatusNotification": _status,
    "MeterValues": _meter,
    "RequestStartTransaction": _start,
    "RequestStopTransaction": _stop,
}
