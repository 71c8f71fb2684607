"""What operators ask of stations, and what has become of it: operations."""

from __future__ import annotations

from uuid import UUID, uuid5

import msgspec
import trio

from actors.actor import current_correlation_id
from actors.fleet_changes import refuse_keys
from actors.fleet_role import FleetRole
from actors.looks import Look
from actors.masking import masked
from actors.operation import Begin, OperationActor, view_of
from statecharts.bounds import OPERATIONS_AT_STATION
from statecharts.doors import StationOperation
from statecharts.operation import OPEN, Operation, OperationAsked
from statecharts.outcomes import awaited
from statecharts.ports import Page
from statecharts.station_commands import GetBaseReport, GetLog, PlainCommand, StationCommand, UpdateFirmware
from statecharts.vocabulary import refused

KEYED = UUID("5f0c5a3e-5d0b-4c38-9d1f-6c0f7f0e8a41")
"""Namespace of the operations asked under an Idempotency-Key: the journal knows such a one by its id, for good."""
NUMBERED = (GetBaseReport, GetLog, UpdateFirmware)
"""What OCPP 2.x numbers, and of OCPP 1.6 the signed firmware of the security whitepaper."""


class OperationsRole(FleetRole):
    """The part of the operator's door that operations are behind, beside the stations that they are of."""

    async def operate(
        self,
        identity: str,
        command: StationCommand,
        by: str,
        *,
        forced: bool = False,
        idempotency_key: str | None = None,
    ) -> StationOperation:
        refuse_keys(command)
        station = self.member(identity).identity
        if idempotency_key is None:
            return await self._begin(self._context.ids.request_identifier(), station, command, by, forced)
        operation = str(uuid5(KEYED, f"{by}/{idempotency_key}"))
        begun = await self._context.operations.one(operation)
        if begun is None:
            return await self._begin(operation, station, command, by, forced)
        if (station, _name(command), _shown(command)) != (begun.station, begun.command, _unnumbered(begun, command)):
            message = "this Idempotency-Key was used for another command: take a fresh one"
            raise refused(422, "idempotency-key-reused", message)
        return self._in_our_time(begun)

    async def _begin(
        self, operation: str, station: str, command: StationCommand, by: str, forced: bool
    ) -> StationOperation:
        command = self._numbered(station, command)
        if len(self._context.watches.at(station)) >= OPERATIONS_AT_STATION.limit:
            raise refused(429, "too-many-operations", f"{OPERATIONS_AT_STATION.limit} operations wait at {station}")
        now = self._context.clock.now()
        asked = OperationAsked(
            at=now,
            correlation_id=current_correlation_id(),
            id=operation,
            station=station,
            by=by,
            command=_name(command),
            shown=_shown(command),
            awaits=awaited(command, now, self._context.station_place(station).deadlines),
        )
        data: Operation = await self._context.system.ask(f"operation/{operation}", Begin(asked, command, forced))
        return self._in_our_time(view_of(data))

    def _numbered(self, station: str, command: StationCommand) -> StationCommand:
        """The command with a request id of ours, where the station's OCPP demands one and nobody has given any."""
        if not isinstance(command, NUMBERED) or command.request_id is not None:
            return command
        actor = self._station_actor(station)
        of_2 = actor.connection is not None and actor.connection.protocol != "ocpp1.6"
        signed = isinstance(command, UpdateFirmware) and command.signature is not None
        if not (of_2 or signed or isinstance(command, GetBaseReport)):
            return command
        return msgspec.structs.replace(command, request_id=actor.calls.new_request_id())

    async def operations(
        self,
        *,
        station: str | None,
        command: str | None,
        state: str | None,
        by: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page[StationOperation]:
        page = await self._context.operations.page(
            station=station, command=command, state=state, by=by, cursor=cursor, limit=limit
        )
        return msgspec.structs.replace(page, items=tuple(self._listed(each) for each in page.items))

    async def operation(self, operation: str, wait_s: float) -> StationOperation:
        found = await self._context.operations.one(operation)
        if found is None:
            raise refused(404, "unknown-operation", f"there is no operation {operation[:60]}")
        if found.state in OPEN:
            found = view_of(await self._over_within(operation, wait_s))
        return self._in_our_time(found)

    async def _over_within(self, operation: str, wait_s: float) -> Operation:
        actor = self._context.system.actor(f"operation/{operation}")
        assert isinstance(actor, OperationActor)
        await actor.ask(Look())
        with trio.move_on_after(wait_s):
            await actor.ended.wait()
        return actor.data

    def _listed(self, operation: StationOperation) -> StationOperation:
        """One among many: without the station's whole answer."""
        return msgspec.structs.replace(self._in_our_time(operation), data={})

    def _in_our_time(self, operation: StationOperation) -> StationOperation:
        shown = self._context.clock.shown
        return msgspec.structs.replace(
            operation,
            asked_at=shown(operation.asked_at),
            changed_at=shown(operation.changed_at),
            until=operation.until and shown(operation.until),
        )


def _unnumbered(begun: StationOperation, command: StationCommand) -> dict[str, object]:
    """What an operation was asked for, without a number that this command leaves to us."""
    ours = isinstance(command, NUMBERED) and command.request_id is None
    return {name: told for name, told in begun.request.items() if not (ours and name == "request_id")}


def _name(command: StationCommand) -> str:
    return command.action if isinstance(command, PlainCommand) else type(command).__name__


def _shown(command: StationCommand) -> dict[str, object]:
    """The command for people's eyes: without its name, which stands beside it, and without secrets."""
    told = msgspec.json.decode(msgspec.json.encode(command))
    shown: dict[str, object] = masked({name: each for name, each in told.items() if name != "type"})
    return shown
