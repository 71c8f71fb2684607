"""A charging station of OCPP 2.0.1 or 2.1 that is not ours: the `ocpp` package's ChargePoint, as in `foreign_station`.

It takes the same orders and tells the same events; a transaction is what it calls it itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from foreign_station import CALL_TIMEOUT_S, Charge, Station, main, now, parsed, tell
from ocpp import v21, v201
from ocpp.routing import after, on
from websockets.asyncio.client import ClientConnection

VERSIONS: dict[str, ModuleType] = {"ocpp2.0.1": v201, "ocpp2.1": v21}
FREE = "Available"


@dataclass
class Events(Charge):
    """A charge as a station of OCPP 2.x keeps it: its own name for it, and the numbers of its events."""

    reference: str = field(default_factory=lambda: str(uuid.uuid4()))
    seq_nos: Iterator[int] = field(default_factory=itertools.count)
    remote_start_id: int | None = None


class Station2(Station):
    """The same equipment, which speaks of its charges in TransactionEvents."""

    def __init__(self, arguments: Any) -> None:
        super().__init__(arguments)
        self.subprotocol = arguments.subprotocol
        self.version = VERSIONS[arguments.subprotocol]
        self.asked_for: dict[str, int] = {}

    def point_on(self, socket: ClientConnection) -> Any:
        return point_class(self.version)(self, socket)

    async def boot(self, point: Any) -> str:
        station = {"vendor_name": "Foreign", "model": "Asyncio 2"}
        boot = self.version.call.BootNotification(charging_station=station, reason="PowerUp")
        return str((await point.call(boot, suppress=False)).status)

    def status_of(self, connector: int, status: str) -> Any:
        shown = FREE if status == FREE else "Occupied"
        return self.version.call.StatusNotification(now(), shown, connector, 1)

    # -- charges -------------------------------------------------------------------------------------------------------

    def event(self, kind: str, trigger: str, charge: Events, **more: Any) -> Any:
        """The next event of a charge, as it is now: what is said later is what was true then."""
        at = now()
        state = "EVConnected" if kind == "Ended" else "Charging"
        info = {"transaction_id": charge.reference, "charging_state": state, **more.pop("info", {})}
        sample = {"value": float(self.meters[charge.connector]), "measurand": "Energy.Active.Import.Register"}
        return self.version.call.TransactionEvent(
            event_type=kind,
            timestamp=at,
            trigger_reason=trigger,
            seq_no=next(charge.seq_nos),
            transaction_info=info,
            meter_value=[{"timestamp": at, "sampled_value": [sample]}],
            offline=self.line is None,
            evse={"id": charge.connector, "connector_id": 1},
            **more,
        )

    async def plug_in(self, id_tag: str, connector: int = 1) -> None:
        charge = Events(id_tag, connector, self.meters[connector], now())
        charge.remote_start_id = self.asked_for.pop(id_tag, None)
        self.charges[connector] = charge
        remote = charge.remote_start_id is not None
        info = {"remote_start_id": charge.remote_start_id} if remote else {}
        token = {"id_token": id_tag, "type": "Central" if remote else "ISO14443"}
        started = self.event("Started", "RemoteStart" if remote else "Authorized", charge, id_token=token, info=info)
        charge.started_at = started.timestamp
        self.owe(lambda point: self.say_started(point, charge, started))
        await self.show(connector, "Occupied")

    async def say_started(self, point: Any, charge: Events, started: Any) -> None:
        answer = await point.call(started, suppress=False)
        status = (answer.id_token_info or {}).get("status")
        tell("started", connector=charge.connector, id_tag=charge.id_tag, transaction_id=charge.reference,
             status=status, timestamp=charge.started_at)  # fmt: skip
        if status != "Accepted":
            await self.unplug(charge.connector, "DeAuthorized")

    async def charge(self, wh: int, connector: int = 1) -> None:
        self.meters[connector] += wh
        metered, meter = self.event("Updated", "MeterValuePeriodic", self.charges[connector]), self.meters[connector]

        async def say(point: Any) -> None:
            await point.call(metered, suppress=False)
            tell("metered", connector=connector, wh=meter)

        self.owe(say)

    def end(self, connector: int, reason: str) -> None:
        charge, meter = self.charges.pop(connector), self.meters[connector]
        trigger = {"Remote": "RemoteStop", "Local": "StopAuthorized"}.get(reason, "EVCommunicationLost")
        ended = self.event("Ended", trigger, charge, info={"stopped_reason": reason})

        async def say(point: Any) -> None:
            await point.call(ended, suppress=False)
            tell("stopped", connector=connector, id_tag=charge.id_tag, transaction_id=charge.reference,
                 energy_wh=meter - charge.meter_start, reason=reason, started_at=charge.started_at,
                 at=ended.timestamp)  # fmt: skip

        self.owe(say)

    async def after_request_stop(self, reference: str) -> None:
        for charge in [each for each in self.charges.values() if each.reference == reference]:
            await self.unplug(charge.connector, "Remote")


def point_class(version: ModuleType) -> type[Any]:
    """The `ocpp` package's charge point of a version; what it cannot know, the station says."""

    class Point(version.ChargePoint):
        def __init__(self, station: Station2, socket: ClientConnection) -> None:
            super().__init__(station.arguments.identity, socket, CALL_TIMEOUT_S)
            self.station = station

        @on(version.enums.Action.request_start_transaction)
        def on_start(self, id_token: dict[str, Any], remote_start_id: int, evse_id: int = 1, **_: Any) -> Any:
            verdict = self.station.verdict_on_start(evse_id)
            tell("remote_start", id_tag=id_token["id_token"], connector=evse_id, verdict=verdict)
            self.station.asked_for[id_token["id_token"]] = remote_start_id
            return version.call_result.RequestStartTransaction(verdict)

        @after(version.enums.Action.request_start_transaction)
        def started(self, id_token: dict[str, Any], evse_id: int = 1, **_: Any) -> None:
            self.station.in_background(self.station.after_remote_start(id_token["id_token"], evse_id))

        @on(version.enums.Action.request_stop_transaction)
        def on_stop(self, transaction_id: str, **_: Any) -> Any:
            known = any(charge.reference == transaction_id for charge in self.station.charges.values())
            tell("remote_stop", transaction_id=transaction_id, known=known)
            return version.call_result.RequestStopTransaction("Accepted" if known else "Rejected")

        @after(version.enums.Action.request_stop_transaction)
        def stopped(self, transaction_id: str, **_: Any) -> None:
            self.station.in_background(self.station.after_request_stop(transaction_id))

    return Point


if __name__ == "__main__":
    logging.getLogger("ocpp").setLevel(logging.CRITICAL)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(Station2(parsed())))
