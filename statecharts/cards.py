"""Charging cards: the RFID cards and other idTags of an operator's own customers, whom they belong with, until when.

OCPI calls them tokens; here a token is what opens our API.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import UNSET, UnsetType

from statecharts.ports import Moment, Page, UserCheck
from statecharts.vocabulary import Value


class Card(Value, frozen=True, kw_only=True):
    """What an operator says of an idTag. Those of one `group` may stop each other's charges (OCPP: parentIdTag).

    It is valid from `valid_from` up to, not including, `valid_until`; `label` is for people.
    """

    id_tag: str
    group: str | None = None
    blocked: bool = False
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    label: str | None = None


class CardRecord(Card, frozen=True, kw_only=True):
    """A card of the store: since when it stands as it does, and who said so."""

    changed_at: Moment
    changed_by: str

    @property
    def key(self) -> str:
        return card_key(self.id_tag)

    def says(self, card: Card) -> bool:
        """Whether it is what an operator says once more."""
        return all(getattr(self, name) == getattr(card, name) for name in Card.__struct_fields__)


class CardFilter(Value, frozen=True, kw_only=True):
    """Which cards a list has; None stands for any. `text` stands in the idTag or the label, whatever its case."""

    group: str | None = None
    blocked: bool | None = None
    text: str | None = None

    def takes(self, card: Card) -> bool:
        wanted = self.text.casefold() if self.text else ""
        return (
            (self.group is None or card_key(self.group) == card_key(card.group or ""))
            and self.blocked in (None, card.blocked)
            and (wanted in card_key(card.id_tag) or wanted in (card.label or "").casefold())
        )


class CardsPut(Value, frozen=True, kw_only=True):
    """What became of many cards that were told at once: how many are new, how many stand otherwise than before."""

    added: int
    changed: int
    unchanged: int
    dry_run: bool


class CardGroup(Value, frozen=True, kw_only=True):
    """A group, and how many cards of the store are in it; there is none without a card."""

    group: str
    cards: int


class GroupChange(Value, frozen=True, kw_only=True):
    """What becomes of every card of a group; what is UNSET stays."""

    blocked: bool | UnsetType = UNSET
    group: str | UnsetType | None = UNSET

    def of(self, card: Card) -> Card:
        told = {name: getattr(card, name) for name in Card.__struct_fields__}
        asked = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}
        return Card(**told | asked)


class LocalListView(Value, frozen=True, kw_only=True):
    """How far a station's local list is what it should be; `statecharts/local_list.py` has the states.

    `version` is the last one that the station took from us, `told_version` the one that it named last. `cards` is how
    many the list should have; `failures` are those in a row, `until` is when it is tried again, `cause` why.
    """

    station: str
    state: str
    version: int | None = None
    told_version: int | None = None
    cards: int
    failures: int
    tried_at: Moment | None = None
    until: Moment | None = None
    cause: str


class CardDoor(Protocol):
    """What an operator may ask of its cards. Every method raises `Refused`; who asks is `by`."""

    async def cards(self, wanted: CardFilter, *, cursor: str | None, limit: int) -> Page[CardRecord]:
        """Cards by their idTag. A page may have fewer than `limit`, or none, and still be followed by another one."""

    async def card(self, id_tag: str) -> CardRecord: ...

    async def put_card(self, card: Card, by: str) -> CardRecord:
        """Makes it so, whatever was said of this idTag before. Refused (429) where there are too many."""

    async def put_cards(self, cards: Sequence[Card], by: str, *, dry_run: bool) -> CardsPut:
        """The same of many, none of them twice; with `dry_run` nothing is done and it is told what would be.

        They are written some at a time: where the store fails on the way, those before stand, and the same again is
        how to go on.
        """

    async def remove_card(self, id_tag: str) -> None: ...

    async def groups(self, *, cursor: str | None, limit: int) -> Page[CardGroup]:
        """Groups by their name."""

    async def group(self, group: str) -> CardGroup: ...

    async def change_group(self, group: str, change: GroupChange, by: str) -> CardsPut:
        """Changes all of its cards, as `put_cards` would."""

    async def local_list(self, identity: str) -> LocalListView:
        """How far the local list of a station is. Refused (409) where the node keeps none."""

    async def push_local_list(self, identity: str) -> LocalListView:
        """Has all of it sent anew. Refused (409) while the station is away."""


def card_key(id_tag: str) -> str:
    """What idTags are compared by: OCPP 1.6, 7.28: an IdToken is a case-insensitive string."""
    return id_tag.casefold()


def judged(card: Card, now: datetime) -> UserCheck:
    """Whether this card may charge now."""
    why, expired = None, False
    if card.blocked:
        why = "is blocked"
    elif card.valid_from is not None and now < card.valid_from:
        why = f"is not valid before {card.valid_from.isoformat()}"
    elif card.valid_until is not None and now >= card.valid_until:
        why, expired = f"has expired on {card.valid_until.isoformat()}", True
    return UserCheck(
        allowed=why is None,
        refusal_message=f"card {card.id_tag} {why}" if why else "",
        blocked=card.blocked,
        expired=expired,
        expires_at=card.valid_until,
        group=card.group,
    )
