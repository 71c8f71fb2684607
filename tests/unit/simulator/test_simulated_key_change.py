"""A simulated station is told another key over OCPP, and shows it from its next connection on."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from central_in_memory import new_station
from hall import Hall, OpenDirectory, on_the_wire, word

from protocols.ocpp.client import Dialling
from protocols.ocpp.server import serve_stations
from statecharts.credentials import hash_secret
from statecharts.ports import StationConnection
from statecharts.promises import Promise
from statecharts.simulated_equipment import StationPlan
from statecharts.station_commands import CallVerdict, ChangeConfiguration, GetConfiguration
from statecharts.station_credentials import SecurityProfile, StationCredentials

OLD = "a-first-password"
NEW = {
    "1.6": ("AuthorizationKey", b"another-password".hex()),
    "2.0.1": ("SecurityCtrlr.BasicAuthPassword", "another-password"),
    "2.1": ("SecurityCtrlr.BasicAuthPassword", "another-password"),
}
UNFIT = {"1.6": "another-password", "2.0.1": "x" * 41, "2.1": "short"}


class Locked(OpenDirectory):
    """One password opens."""

    def __init__(self) -> None:
        self.password = OLD

    def credentials(self, identity: str) -> StationCredentials | None:
        hashed = hash_secret(self.password.encode(), bytes(16))
        return StationCredentials(profile=SecurityProfile.BASIC, password_hash=hashed)


class Watched(Hall):
    """Tells when the next station has come in."""

    came = trio.Event()

    def connected(self, identity: str, connection: StationConnection) -> Promise[None]:
        self.came.set()
        return super().connected(identity, connection)


@pytest.mark.parametrize("version", NEW)
async def test_the_new_key_opens_the_next_connection_where_the_old_one_does_not(
    nursery: trio.Nursery, version: str
) -> None:
    hall, directory = Watched(version), Locked()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    serve = partial(serve_stations, listeners, directory=directory, door=hall, epochs=iter("ABC").__next__)
    server = await nursery.start(serve)
    url = f"ws://127.0.0.1:{server.ports[0]}/ocpp"
    plan = StationPlan(identity="CS01", url=url, password=OLD, ocpp_version=version)
    dialling = Dialling(plan, iter("abc").__next__)
    station = new_station(hall.central, connect=dialling, rekey=dialling.rekey, ocpp_version=version)
    await nursery.start(station.run)
    with trio.fail_after(10):
        await station.registered.wait()
        key, value = NEW[version]
        assert await word(hall, ChangeConfiguration(key=key, value=UNFIT[version])) == "Rejected"
        assert await word(hall, ChangeConfiguration(key=key, value=value)) == "Accepted"
        shown = await hall.connections[0].call(GetConfiguration(keys=(key,))) if version == "1.6" else None
        assert shown is None or shown.data["unknownKey"] == [key], "it is for writing only"
        directory.password = "another-password"
        came = hall.came = trio.Event()
        await station.lose_connection(0)
        await came.wait()
    nursery.cancel_scope.cancel()


async def test_a_station_without_a_password_has_no_key_to_change(autojump_clock: object) -> None:
    async with on_the_wire() as (hall, _):
        outcome = await hall.connections[0].call(ChangeConfiguration(key="AuthorizationKey", value="00" * 16))
        assert (outcome.verdict, outcome.status) == (CallVerdict.REJECTED, "NotSupported")
