"""How an operator's own code answers messages that only one vendor's stations know (OCPP's DataTransfer).

The configuration names the function, and the folder of this file must be where Python looks for modules (PYTHONPATH):

    [[vendor_handlers]]
    vendor_id = "com.example"          # case means nothing
    message_id = "DoorOpened"          # without it: every message of this vendor that no other row is for
    handler = "vendor_handler:door_opened"

A plain function has a thread of its own and 10 s: it may ask a database, or another machine. What it raises is logged,
and the station is answered Rejected. The message itself is in the station's log already, whatever becomes of it here.
"""

from __future__ import annotations

import json

from statecharts.station_reports import DataTransferAnswer, StationDataTransfer


def door_opened(station: str, message: StationDataTransfer) -> DataTransferAnswer:
    """A station reports as `{"door": 2}` that one of its doors was opened; it is told whether to sound its alarm."""
    door = json.loads(message.data or "{}").get("door")
    if not isinstance(door, int):
        return DataTransferAnswer(status="Rejected")
    alarm = station.endswith("CS01") and door == 1
    return DataTransferAnswer(status="Accepted", data=json.dumps({"alarm": alarm}))
