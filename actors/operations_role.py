"""What operators ask of stations, and what has become of it: operations."""

from __future__ import annotations

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
from statecharts.station_commands import PlainCommand, StationCommand
from statecharts.vocabulary import refused


class OperationsRole(FleetRole):
    """The part of the operator's door that operations are behind, beside the stations that they are of."""

    async def operate(
        self, identity: str, command: StationCommand, by: str, *, forced: bool = False
    ) -> StationOperation:
        refuse_keys(command)
        station = self.member(identity).identity
        if len(self._context.watches.at(station)) >= OPERATIONS_AT_STATION.limit:
            raise refused(429, "too-many-operations", f"{OPERATIONS_AT_STATION.limit} operations wait at {identity}")
        now, operation = self._context.clock.now(), self._context.ids.request_identifier()
        asked = OperationAsked(
            at=now,
            correlation_id=current_correlation_id(),
            id=operation,
            station=station,
            by=by,
            command=command.action if isinstance(command, PlainCommand) else type(command).__name__,
            shown=_shown(command),
            awaits=awaited(command, now, self._context.station_place(station).deadlines),
        )
        data: Operation = await self._context.system.ask(f"operation/{operation}", Begin(asked, command, forced))
        return self._in_our_time(view_of(data))

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


def _shown(command: StationCommand) -> dict[str, object]:
    """The command for people's eyes: without its name, which stands beside it, and without secrets."""
    told = msgspec.to_builtins(command)
    shown: dict[str, object] = masked({name: each for name, each in told.items() if name != "type"})
    return shown
