"""The control rooms of a world: an operator's own people, who use its API as any client does."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import httpx
import trio

from tests.world.apps import PATIENCE_S, AppTransport
from tests.world.ground import Ground
from tests.world.history import DriverDid, PeerBlocked
from tests.world.network import Network
from tests.world.operators import HTTP_PORT, room_token


class Room:
    """The people of one operator. What they ask once is asked once: they see whether it helped."""

    def __init__(self, ground: Ground, network: Network, operator: str, partners: tuple[str, ...]) -> None:
        self.operator, self.name, self.partners = operator, f"room-of-{operator}", partners
        self._ground = ground
        self._http = httpx.AsyncClient(
            transport=AppTransport(network, self.name),
            base_url=f"http://{operator}:{HTTP_PORT}/api/v1/operator",
            headers={"Authorization": f"Bearer {room_token(operator)}"},
        )

    async def command(self, station: str, command: Mapping[str, Any]) -> None:
        """Sends a command to a station."""
        await self._ask("POST", f"/stations/{station}/commands", json=dict(command))

    async def start(self, station: str, connector: int, id_tag: str) -> None:
        """Has a charge started without a partner."""
        wanted = {"connector_id": connector, "id_tag": id_tag}
        await self._ask("POST", f"/stations/{station}/transactions", json=wanted)

    async def stop_some(self, chance: random.Random) -> None:
        """Stops one of the charges that run at our stations."""
        running = [
            each
            for role in ("destination", "local")
            for each in await self._items(f"/transactions?role={role}&state=TxRunning")
        ]
        if running:
            one = chance.choice(running)
            await self._ask("POST", f"/transactions/{one['role']}/{one['transaction_id']}/stop")

    async def block(self, partner: str, *, blocked: bool = True) -> None:
        """Blocks a partner, or lets it come back; it may, as soon as that is asked, whatever becomes of the answer."""
        if not blocked:
            self._ground.saw(PeerBlocked, self.operator, peer=partner, blocked=False)
        answer = await self._ask("POST", f"/peers/{partner}/{'block' if blocked else 'unblock'}")
        if blocked and answer is not None and answer.is_success:
            self._ground.saw(PeerBlocked, self.operator, peer=partner, blocked=True)

    async def replay_parked(self) -> None:
        """Has everything sent again that was parked."""
        for partner in self.partners:
            for each in await self._items(f"/deliveries?peer={partner}&status=parked"):
                self._ground.saw(DriverDid, self.name, what=f"replays {each['operation']} to {partner}")
                await self._ask("POST", f"/deliveries/{each['id']}/replay")

    async def _items(self, path: str) -> list[dict[str, Any]]:
        answer = await self._ask("GET", path)
        return list(answer.json()["items"]) if answer is not None and answer.is_success else []

    async def _ask(self, method: str, path: str, **what: Any) -> httpx.Response | None:
        with trio.move_on_after(PATIENCE_S):
            try:
                return await self._http.request(method, path, timeout=None, **what)
            except httpx.TransportError:
                return None
        return None
