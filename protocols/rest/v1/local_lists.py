"""The local authorisation lists of stations, for operators: how far each is what it should be."""

from __future__ import annotations

from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.bodies import answer
from protocols.rest.routes import Routes
from protocols.rest.v1.stations import STATION
from statecharts.cards import CardDoor, LocalListView

LIST = f"{STATION}/local-list"


def add_local_lists(routes: Routes, operators: CardDoor) -> None:
    """The routes of local lists, among those of operators."""

    @routes.get(LIST, LocalListView, refuses=("unknown-station", "local-lists-off"))
    async def local_list(identity: str) -> Response:
        """Shows how far the local list of a station is what it should be, and why not."""
        return answer(await operators.local_list(identity))

    @routes.post(f"{LIST}/push", LocalListView, refuses=("unknown-station", "local-lists-off", "not-connected"))
    async def push(identity: str) -> Response:
        """Has the whole list sent anew, once it is the station's turn."""
        return answer(await operators.push_local_list(identity))
