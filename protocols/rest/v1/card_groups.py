"""Groups of charging cards, for operators: whose cards may stop each other's charges (parentIdTag, groupIdToken)."""

from __future__ import annotations

import msgspec
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import principal
from protocols.rest.bodies import Cursor, Limit, answer, page_answer
from protocols.rest.routes import Routes
from protocols.rest.v1.cards import Group
from statecharts.cards import CardDoor, CardGroup, CardsPut, GroupChange
from statecharts.ports import Page

GROUP = "/groups/<card:group>"


class GroupsQuery(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    limit: Limit = 50


class GroupRenamed(msgspec.Struct, forbid_unknown_fields=True):
    """What the group is called from now on; where there is one of that name already, they are one."""

    group: Group


def add_card_groups(routes: Routes, operators: CardDoor) -> None:
    """The routes of groups, among those of operators."""
    _add_looks(routes, operators)

    @routes.post(f"{GROUP}/block", CardsPut, refuses=("unknown-group",))
    async def block_group(group: str) -> Response:
        """Blocks every card of a group."""
        return answer(await operators.change_group(group, GroupChange(blocked=True), principal().name))

    @routes.post(f"{GROUP}/unblock", CardsPut, refuses=("unknown-group",))
    async def unblock_group(group: str) -> Response:
        """Blocks no card of a group any more, whoever blocked it."""
        return answer(await operators.change_group(group, GroupChange(blocked=False), principal().name))

    @routes.post(
        f"{GROUP}/rename", CardsPut, reads=GroupRenamed, refuses=("unknown-group",), example={"group": "FLEET-8"}
    )
    async def rename_group(asked: GroupRenamed, group: str) -> Response:
        """Gives a group another name, in all of its cards."""
        return answer(await operators.change_group(group, GroupChange(group=asked.group), principal().name))

    @routes.delete(GROUP, {204: None}, refuses=("unknown-group",))
    async def remove_group(group: str) -> Response:
        """Ends a group: its cards stay, and are in none."""
        await operators.change_group(group, GroupChange(group=None), principal().name)
        return Response(b"", 204)


def _add_looks(routes: Routes, operators: CardDoor) -> None:
    @routes.get("/groups", Page[CardGroup], query=GroupsQuery, answer_headers=("Link",), refuses=("cursor-unknown",))
    async def groups(asked: GroupsQuery) -> Response:
        """Lists the groups that cards are in, by name."""
        return page_answer(await operators.groups(cursor=asked.cursor, limit=asked.limit))

    @routes.get(GROUP, CardGroup, refuses=("unknown-group",))
    async def group(group: str) -> Response:
        """Shows how many cards are in a group; which, `GET /cards?group=` lists."""
        return answer(await operators.group(group))
