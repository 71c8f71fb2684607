"""What stations of OCPP 2.x say is read in the words of 1.6, by names that their nodes have given numbers to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.checker.newer import action_in, answered, asked, reference_in
from tests.world.checker.wire import Frame

AT = "2026-03-01T12:00:00.000Z"
NUMBERS = {"tx-1": 7}


def call(action: str, **payload: Any) -> Frame:
    return Frame(kind=2, id="1", action=action, payload=payload)


def event(kind: str, wh: float | None = None, reference: str = "tx-1", **more: Any) -> Frame:
    sampled = [] if wh is None else [{"timestamp": AT, "sampledValue": [{"value": wh}]}]
    info = {"transactionId": reference, **({"stoppedReason": "Remote"} if kind == "Ended" else {})}
    said = {"eventType": kind, "timestamp": AT, "transactionInfo": info, "evse": {"id": 2}, "meterValue": sampled}
    return call("TransactionEvent", **said, **more)


@pytest.mark.parametrize(
    ("said", "action", "payload"),
    [
        (
            event("Started", 100.0, idToken={"idToken": "CARD", "type": "ISO14443"}),
            "StartTransaction",
            {"connectorId": 2, "idTag": "CARD", "meterStart": 100, "timestamp": AT},
        ),
        (
            event("Updated", 150.5),
            "MeterValues",
            {
                "connectorId": 2,
                "transactionId": 7,
                "timestamp": AT,
                "meterValue": [{"timestamp": AT, "sampledValue": [{"value": "150.5"}]}],
            },
        ),
        (
            event("Ended", 200.0, reference="tx-9"),
            "StopTransaction",
            {"connectorId": 2, "transactionId": -1, "meterStop": 200, "timestamp": AT, "reason": "Remote"},
        ),
        (
            call("StatusNotification", evseId=1, connectorId=1, connectorStatus="Occupied"),
            "StatusNotification",
            {"connectorId": 1, "status": "Occupied"},
        ),
        (
            call("RequestStartTransaction", idToken={"idToken": "AB"}, remoteStartId=3, evseId=1),
            "RemoteStartTransaction",
            {"idTag": "AB", "connectorId": 1},
        ),
        (call("RequestStopTransaction", transactionId="tx-1"), "RemoteStopTransaction", {"transactionId": 7}),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_call_is_read_in_the_words_of_16(said: Frame, action: str, payload: dict[str, Any]) -> None:
    read = asked(said, NUMBERS.get)
    assert (read.action, read.payload) == (action, payload)
    assert action_in(said.action, said.payload) == action


@pytest.mark.parametrize("action", ["StartTransaction", "StatusNotification", "MeterValues", "Heartbeat"])
def test_what_16_says_is_left_as_it_is(action: str) -> None:
    said = call(action, connectorId=1)
    assert asked(said, NUMBERS.get) == said
    assert (action_in(action, said.payload), reference_in(said)) == (action, "")


def test_the_answer_to_a_start_has_the_number_that_the_node_wrote_down() -> None:
    said = event("Started", 1.0, idToken={"idToken": "CARD", "type": "ISO14443"})
    result = Frame(kind=3, id="1", payload={"idTokenInfo": {"status": "Accepted"}})
    read = answered(asked(said, NUMBERS.get), result, reference_in(said), NUMBERS.get)
    assert read.payload == {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}
    refused = Frame(kind=4, id="1", payload="InternalError")
    assert answered(asked(said, NUMBERS.get), refused, "tx-1", NUMBERS.get) == refused
