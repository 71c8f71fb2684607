"""An operator's own code, named in the configuration of a real node, answers a station's DataTransfer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.live.operators import EXIT_S, START_S, Operator, Station, running, station_of

pytestmark = pytest.mark.live

DOORS = {"vendor_id": "com.example", "message_id": "DoorOpened", "handler": "examples.vendor_handler:door_opened"}


def transferred(station: Station, message_id: str, **content: str) -> list[object]:
    """What a DataTransfer is answered."""
    station.order(do="raw", text=json.dumps([2, message_id, "DataTransfer", content]))
    frame, *_ = station.wait_until(
        lambda: (each for each in list(station.said("frame")) if json.loads(each["text"])[1] == message_id)
    )
    answer: list[object] = json.loads(frame["text"])
    return answer


def test_the_example_answers_a_station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROAMNODE_VENDOR_HANDLERS", json.dumps([DOORS]))
    local = Operator("IE-001", tmp_path, roles=("destination",), stations={"CS01": 1})
    with running(local), station_of(local, "CS01") as station:
        asked = {"vendorId": "com.example", "messageId": "DoorOpened"}
        accepted = transferred(station, "v1", **asked, data='{"door": 1}')
        assert accepted == [3, "v1", {"status": "Accepted", "data": '{"alarm": true}'}]
        assert transferred(station, "v2", **asked, data="no JSON") == [3, "v2", {"status": "Rejected"}]
        local.node.wait_for("vendor.failed", station="CS01")
        assert transferred(station, "v3", vendorId="com.example") == [3, "v3", {"status": "UnknownMessageId"}]
        assert transferred(station, "v4", vendorId="com.other") == [3, "v4", {"status": "UnknownVendorId"}]
        # Each was kept, whatever was made of it.
        found = local.desk.get("/api/v1/operator/stations/CS01/log", params={"kind": "StationDataTransfer"}).json()
        assert len(found["items"]) == 4


def test_a_handler_that_there_is_not_keeps_the_node_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROAMNODE_VENDOR_HANDLERS", json.dumps([{**DOORS, "handler": "examples.vendor_handler:no"}]))
    local = Operator("IE-001", tmp_path, roles=("destination",))
    local.launch()
    try:
        assert local.node.exit_status(START_S + EXIT_S) == 1
        assert "vendor_handlers.0.handler: there is no function no in examples.vendor_handler" in (
            local.node.transcript()
        )
    finally:
        local.close()
