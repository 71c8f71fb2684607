"""The other server: the `ocpp` package's ChargePoint on asyncio `websockets`, as its documentation shows it.

Run as a module it writes its port on stdout and serves until it is ended. `--ocpp` is the subprotocol that it speaks;
`--synchronous-validation` sets the package's ASYNC_VALIDATION to False: it then validates in the event loop, not in
threads.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import ocpp.messages
from ocpp import v16, v201
from ocpp.routing import on
from ocpp.v16 import call_result
from ocpp.v16.datatypes import IdTagInfo
from ocpp.v16.enums import Action, AuthorizationStatus, RegistrationStatus
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

numbers = itertools.count(1)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Central(v16.ChargePoint):
    """One station's connection. Keeps nothing: what it answers is neither durable nor decided."""

    @on(Action.boot_notification)
    def booted(self, **_: Any) -> call_result.BootNotification:
        return call_result.BootNotification(current_time=now(), interval=300, status=RegistrationStatus.accepted)

    @on(Action.heartbeat)
    def lives(self, **_: Any) -> call_result.Heartbeat:
        return call_result.Heartbeat(current_time=now())

    @on(Action.start_transaction)
    def started(self, **_: Any) -> call_result.StartTransaction:
        return call_result.StartTransaction(
            transaction_id=next(numbers), id_tag_info=IdTagInfo(status=AuthorizationStatus.accepted)
        )

    @on(Action.meter_values)
    def metered(self, **_: Any) -> call_result.MeterValues:
        return call_result.MeterValues()


class Central201(v201.ChargePoint):
    """The same in OCPP 2.0.1."""

    @on(v201.enums.Action.boot_notification)
    def booted(self, **_: Any) -> v201.call_result.BootNotification:
        return v201.call_result.BootNotification(current_time=now(), interval=300, status="Accepted")

    @on(v201.enums.Action.transaction_event)
    def told(self, **event: Any) -> v201.call_result.TransactionEvent:
        named = v201.datatypes.IdTokenInfoType(status="Accepted") if "id_token" in event else None
        return v201.call_result.TransactionEvent(id_token_info=named)


CENTRALS = {"ocpp1.6": Central, "ocpp2.0.1": Central201}


async def attend(connection: ServerConnection) -> None:
    assert connection.request is not None
    central = CENTRALS[str(connection.subprotocol)]
    with suppress(ConnectionClosed):
        await central(connection.request.path.rpartition("/")[2], connection).start()


async def main(subprotocol: str) -> None:
    async with serve(attend, "127.0.0.1", 0, subprotocols=[subprotocol]) as server:  # type: ignore[list-item]
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--synchronous-validation", action="store_true")
    parser.add_argument("--ocpp", choices=CENTRALS, default="ocpp1.6")
    arguments = parser.parse_args()
    ocpp.messages.ASYNC_VALIDATION = not arguments.synchronous_validation
    asyncio.run(main(arguments.ocpp))
