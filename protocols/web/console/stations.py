"""Stations: which there are and how they are, all of one, its commands with what came of them, decisions on it."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from msgspec import Meta
from quart import request
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import Latitude, Longitude, checked_location, converted
from protocols.rest.problems import Problem
from protocols.rest.v1.commands import ANY_COMMAND
from protocols.rest.v1.operations import OperationsQuery
from protocols.rest.v1.stations import Reason, StationsQuery
from protocols.web.console.desk import Desk, admins_only, asked, back_to, shown_filter, told
from protocols.web.rooms import principal_here
from statecharts.fleet_door import Acceptance, NewStation, StationFilter

STATION = "/stations/<identifier:identity>"
RECENT = 20


class Decided(msgspec.Struct, forbid_unknown_fields=True):
    reason: Reason


class Accepted(msgspec.Struct, forbid_unknown_fields=True):
    connectors: Annotated[int, Meta(ge=1, le=255)] | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None


class Registered(msgspec.Struct, forbid_unknown_fields=True):
    identity: Annotated[str, Meta(min_length=1, max_length=48)]
    connectors: Annotated[int, Meta(ge=1, le=255)]
    latitude: Latitude
    longitude: Longitude


class LocalCharge(msgspec.Struct, forbid_unknown_fields=True):
    connector_id: Annotated[int, Meta(ge=1, le=255)]
    id_tag: Annotated[str, Meta(min_length=1, max_length=36)]


def station_place(identity: str) -> str:
    """The address of a station's page."""
    return f"/console/stations/{quote(identity, safe='')}"


def add_stations(desk: Desk) -> None:
    """Lists and pages of stations and of operations."""

    @desk.get("/stations")
    async def stations() -> Response:
        query = asked(StationsQuery)
        wanted = StationFilter(**{name: value for name, value in shown_filter(query).items() if name != "limit"})
        page = await desk.operators.stations(wanted, cursor=query.cursor, limit=query.limit)
        return desk.page("stations.html", resources="stations", page=page, filter=shown_filter(query))

    @desk.get(STATION)
    async def station(identity: str) -> Response:
        return await _station(desk, identity)

    @desk.get("/operations")
    async def operations() -> Response:
        query = asked(OperationsQuery)
        page = await desk.operators.operations(
            station=query.station,
            command=query.command,
            state=query.state,
            by=query.by,
            cursor=query.cursor,
            limit=query.limit,
        )
        return desk.page("operations.html", resources="operations", page=page, filter=shown_filter(query))

    @desk.get("/operations/<identifier:operation>")
    async def operation(operation: str) -> Response:
        found = await desk.operators.operation(operation, 0)
        return desk.page("operation.html", resources=f"operations/{operation}", operation=found)

    _add_commands(desk)
    _add_decisions(desk)


async def _station(desk: Desk, identity: str, **more: Any) -> Response:
    sheet = await desk.operators.station(identity)
    recent = await desk.operators.operations(
        station=identity, command=None, state=None, by=None, cursor=None, limit=RECENT
    )
    quirks = await desk.operators.quirks(station=identity, vendor=None, model=None, cursor=None, limit=RECENT)
    log = await desk.operators.station_log(identity, kind=None, cursor=None, limit=RECENT)
    return desk.page(
        "station.html",
        resources=f"stations/{identity} operations",
        sheet=sheet,
        place=station_place(identity),
        recent=recent.items,
        quirks=quirks.items,
        log=log.items,
        **{"password": None, **more},
    )


def _add_commands(desk: Desk) -> None:
    @desk.post(f"{STATION}/commands")
    async def command(identity: str) -> Response:
        form = (await request.form).to_dict()
        form.pop("csrf", None)
        written = form.pop("json", "").strip()
        fields = _decoded(written) if written else {name: text for name, text in form.items() if text}
        told_ = converted(fields, ANY_COMMAND)
        who = principal_here().name
        begun = await desk.operators.operate(identity, told_.for_station(), who, forced=told_.forced)
        return back_to(f"/console/operations/{quote(begun.id, safe='')}")

    @desk.post(f"{STATION}/charges")
    async def local_charge(identity: str) -> Response:
        wish = await told(LocalCharge)
        begun = await desk.operators.start_local(identity, wish.connector_id, wish.id_tag)
        return back_to(f"/console/transactions/local/{quote(begun.transaction_id, safe='')}")


def _decoded(written: str) -> Any:
    try:
        return msgspec.json.decode(written)
    except msgspec.DecodeError as error:
        raise Problem(400, "malformed-json", f"This is not JSON that can be read: {error}.") from error


def _add_decisions(desk: Desk) -> None:
    @desk.post("/stations")
    async def register() -> Response:
        admins_only()
        new = await told(Registered)
        station = NewStation(
            identity=new.identity,
            connectors=new.connectors,
            location=checked_location(new.latitude, new.longitude),
        )
        shown = await desk.operators.register_station(station, principal_here().name)
        return await _station(desk, new.identity, password=shown.password)

    @desk.post(f"{STATION}/accept")
    async def accept(identity: str) -> Response:
        admins_only()
        told_ = await told(Accepted)
        place = None
        if told_.latitude is not None and told_.longitude is not None:
            place = checked_location(told_.latitude, told_.longitude)
        acceptance = Acceptance(connectors=told_.connectors, location=place)
        await desk.operators.accept_station(identity, acceptance, principal_here().name)
        return back_to(station_place(identity))

    @desk.post(f"{STATION}/reject")
    async def reject(identity: str) -> Response:
        admins_only()
        await desk.operators.reject_station(identity, (await told(Decided)).reason, principal_here().name)
        return back_to(station_place(identity))

    @desk.post(f"{STATION}/retire")
    async def retire(identity: str) -> Response:
        admins_only()
        await desk.operators.retire_station(identity, (await told(Decided)).reason, principal_here().name)
        return back_to(station_place(identity))
