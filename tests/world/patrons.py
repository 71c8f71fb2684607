"""People who want something of a world and do not give up: who taps, swipes and plugs again until it is done."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import trio

from actors.simulated_station import SimulatedStation
from statecharts.simulated_connector import AVAILABLE, PLUGGED, RUNNING
from tests.world.world import World

LOOKS_EVERY_S = 10.0
TRIES_AGAIN_AFTER_S = 60.0
ATTEMPTS = 6

RECORDED = frozenset({"Settled"})
OVER = frozenset({"Settled", "Refused", "Expired"})


async def until(holds: Callable[[], bool]) -> None:
    """Waits until somebody who looks from time to time sees that it is so."""
    while not holds():  # noqa: ASYNC110 - virtual time costs nothing
        await trio.sleep(LOOKS_EVERY_S)


class Patron:
    """A user of the operator `home`, with its app, who wants to charge at a station of another operator."""

    def __init__(self, world: World, user: str, home: str, station: str) -> None:
        self.user, self.station = user, station
        self.name: str | None = None
        self._app = world.apps[home]
        self._destination = world.stations[station].plan.operator
        self._place = ""
        self._taps = count(1)

    async def authorised(self) -> bool:
        """Asks until an operator agrees; whether any did."""
        for _ in range(ATTEMPTS):
            if await self.asks_once():
                return True
            await trio.sleep(TRIES_AGAIN_AFTER_S)
        return False

    async def asks_once(self) -> bool:
        """Asks to be authorised; whether it was."""
        asked = {
            "user_identifier": self.user,
            "destination": self._destination,
            "local_service_identifier": self.station,
            "connector_identifier": "1",
        }
        view = await self._tapped("/authorizations", json=asked)
        if view is None or view["state"] != "Ready":
            return False
        self._place = f"/transactions/{view['transaction_id']}"
        self.name = view["authorization_identifier"]
        return True

    async def asks_to_start(self) -> None:
        await self._tapped(f"{self._place}/start")

    async def charges(self, is_asked: Callable[[], bool] = lambda: False) -> None:
        """Asks to start whenever nothing goes on, until the car charges or the station has been asked."""
        while (state := await self.state()) not in {"TxRunning", "StopTxRequested", "TxFinished"} | OVER:
            if is_asked():
                return
            if state == "Ready":
                await self.asks_to_start()
            await trio.sleep(LOOKS_EVERY_S)

    async def stops(self) -> None:
        """Asks to stop whenever it goes on, until it is over."""
        while (state := await self.state()) not in {"TxFinished"} | OVER:
            if state == "TxRunning":
                await self._tapped(f"{self._place}/stop")
            await trio.sleep(LOOKS_EVERY_S)

    async def reaches(self, states: frozenset[str]) -> None:
        """Looks until the transaction is in one of these states."""
        while await self.state() not in states:  # noqa: ASYNC110 - virtual time costs nothing
            await trio.sleep(LOOKS_EVERY_S)

    async def state(self) -> str:
        view = await self._app.until_answered("GET", self._place)
        return str(view["state"]) if view else ""

    async def _tapped(self, path: str, **what: Any) -> dict[str, Any] | None:
        return await self._app.until_answered("POST", path, f"{self.user}-{next(self._taps)}", **what)


class Driver:
    """Somebody with a card at connector 1 of a station."""

    def __init__(self, station: SimulatedStation, card: str) -> None:
        self._station, self._card = station, card

    async def charges(self) -> None:
        """Shows the card until the car charges."""
        await self._station.registered.wait()
        while not self.is_charging:
            if self._station.state(1) in {AVAILABLE, PLUGGED}:
                await self._station.swipe(1, self._card)
            await trio.sleep(TRIES_AGAIN_AFTER_S)

    async def stops(self) -> None:
        """Shows the card until it does no more."""
        while self.is_charging:
            await self._station.swipe(1, self._card)
            await trio.sleep(LOOKS_EVERY_S)

    @property
    def is_charging(self) -> bool:
        return self._station.state(1) in RUNNING
