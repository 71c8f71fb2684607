"""Cards at the stations: what an operator says of a card is what the next station is told of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio

from statecharts.cards import Card
from statecharts.station_reports import AuthorizeIdTag, IdTagAnswer
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus
from statecharts.vocabulary import Refused
from tests.support.books import CARD, STRANGER, locals_of, restarted
from tests.support.house import EPOCH, StationLine

TOMORROW = EPOCH + timedelta(days=1)


async def told(line: StationLine, id_tag: str) -> IdTagInfo | None:
    answer = await line.say(AuthorizeIdTag(id_tag=id_tag))
    assert isinstance(answer, IdTagAnswer)
    return answer.id_tag_info


@pytest.mark.parametrize(
    ("card", "status"),
    [
        (Card(id_tag=STRANGER, group="G", valid_until=TOMORROW), "Accepted"),
        (Card(id_tag=STRANGER, group="G", blocked=True), "Blocked"),
        (Card(id_tag=STRANGER, valid_until=EPOCH), "Expired"),
        (Card(id_tag=STRANGER, valid_from=TOMORROW), "Invalid"),
        (Card(id_tag=CARD, blocked=True), "Blocked"),
    ],
)
async def test_stations_are_told_what_the_operator_says_also_after_a_restart(
    card: Card, status: str, autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    await line.house.operator.put_card(card, "olga")
    info = IdTagInfo(status=IdTagStatus(status), expiry_date=card.valid_until, parent_id_tag=card.group)
    assert await told(line, card.id_tag.lower()) == info
    again = await restarted(line, nursery)
    assert await told(again, card.id_tag) == info
    started = await again.start(card.id_tag)
    assert started.id_tag_info == info
    (view,) = await locals_of(again.house)
    assert ("not-authorised" in view.flags) is (status != "Accepted")


async def test_a_card_of_the_store_starts_no_charge_for_the_operator_while_it_is_blocked(
    autojump_clock: object, line: StationLine
) -> None:
    await line.house.operator.put_card(Card(id_tag=CARD, blocked=True), "olga")
    with pytest.raises(Refused, match="invalid-id-tag"):
        await line.house.operator.start_local("CS01", 1, CARD)
    await line.house.operator.remove_card(CARD)
    assert (await told(line, CARD)) == IdTagInfo(status=IdTagStatus.ACCEPTED)


async def test_a_card_may_expire_while_the_node_runs(autojump_clock: object, line: StationLine) -> None:
    await line.house.operator.put_card(Card(id_tag=STRANGER, valid_until=EPOCH + timedelta(hours=1)), "olga")
    assert (info := await told(line, STRANGER)) and info.status is IdTagStatus.ACCEPTED
    await trio.sleep(3600)
    assert (info := await told(line, STRANGER)) and info.status is IdTagStatus.EXPIRED
