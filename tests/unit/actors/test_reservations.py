"""Reservations count wherever a charge may begin: for partners' drivers, for an operator's own, over a restart."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from statecharts.cards import Card
from statecharts.station_commands import CallVerdict, CancelReservation, ReserveNow
from statecharts.station_reports import ConnectorStatus, ReservationStatus, StartTransaction
from statecharts.vocabulary import Authorize, AuthorizeAnswer, Refusal, Refused, RequestStartTransaction, ServiceType
from tests.conformance.oca_scene import scene
from tests.support.books import CARD, free, restarted
from tests.support.crashes import Blade
from tests.support.house import EPOCH, House, StationLine
from tests.support.roaming import HOME, Roaming

OTHER = "CARD0099"
HOUR_S = 3_600.0


def order(
    house: House, connector_id: int = 1, id_tag: str = OTHER, *, number: int = 7, group: str | None = None
) -> ReserveNow:
    return ReserveNow(
        reservation_id=number,
        connector_id=connector_id,
        expiry_date=EPOCH + timedelta(seconds=HOUR_S),
        id_tag=id_tag,
        parent_id_tag=group,
    )


async def refusal(doing: Callable[..., Awaitable[Any]], *args: Any) -> Refusal:
    with pytest.raises(Refused) as caught:
        await doing(*args)
    return caught.value.refusal


async def authorize(roaming: Roaming, connector: str | None = "1") -> str:
    request = Authorize(
        pms_identifier=HOME,
        user_identifier="anna",
        service_type=ServiceType.EV_CHARGING,
        local_service_identifier="CS01",
        connector_identifier=connector,
    )
    answer = await roaming.local.destination(HOME, request)
    assert isinstance(answer, AuthorizeAnswer)
    return answer.authorization_identifier


# -- drivers of partners -----------------------------------------------------------------------------------------------


async def test_a_reserved_connector_is_authorised_to_no_partner(autojump_clock: object, roaming: Roaming) -> None:
    await roaming.local.command("CS01", order(roaming.local))
    no = await refusal(authorize, roaming)
    assert (no.code, no.kind) == (409, "connector-reserved")
    assert no.message == "connector 1 of CS01 is taken: reserved for somebody else until 2026-03-01T13:00:00Z"
    assert await authorize(roaming, None), "the other connector is free"
    await roaming.station.status(2, ConnectorStatus.FAULTED)
    assert (await refusal(authorize, roaming, None)).kind == "connector-reserved"
    assert (await refusal(authorize, roaming, "2")).kind == "connector-busy"


async def test_one_that_was_reserved_after_the_authorisation_is_not_started(
    autojump_clock: object, roaming: Roaming
) -> None:
    name = await authorize(roaming)
    await roaming.local.command("CS01", order(roaming.local))
    asked = RequestStartTransaction(request_identifier="r-1", authorization_identifier=name)
    no = await refusal(roaming.local.destination, HOME, asked)
    assert (no.code, no.kind) == (409, "connector-reserved")
    assert "until 2026-" in no.message


async def test_one_that_is_reserved_for_the_authorisation_itself_is_started(
    autojump_clock: object, roaming: Roaming
) -> None:
    name = await authorize(roaming)
    await roaming.local.command("CS01", order(roaming.local, id_tag=name.lower()))
    await roaming.station.status(1, ConnectorStatus.RESERVED)
    asked = RequestStartTransaction(request_identifier="r-1", authorization_identifier=name)
    await roaming.local.destination(HOME, asked)
    await roaming.local.until(f"destination/{name}", "StartTxRequested")


# -- drivers of our own ------------------------------------------------------------------------------------------------


async def test_a_reserved_connector_is_started_only_for_whom_it_is_kept(
    autojump_clock: object, line: StationLine
) -> None:
    start = line.house.operator.start_local
    await line.house.command("CS01", order(line.house))
    assert (await refusal(start, "CS01", 1, CARD)).kind == "connector-reserved"
    await line.house.command("CS01", order(line.house, id_tag=CARD))
    assert (await start("CS01", 1, CARD)).state == "StartTxRequested"


async def test_a_card_of_the_group_may_use_it(autojump_clock: object, line: StationLine) -> None:
    await line.house.context.cards.put(Card(id_tag="FLEET001", group="FLEET"), "olga")
    start = line.house.operator.start_local
    await line.house.command("CS01", order(line.house, group="CLUB"))
    assert (await refusal(start, "CS01", 1, "FLEET001")).kind == "connector-reserved"
    await line.house.command("CS01", order(line.house, group="fleet"))
    assert await start("CS01", 1, "FLEET001")


async def test_a_reservation_of_any_connector_leaves_the_last_free_one_to_its_owner(
    autojump_clock: object, line: StationLine
) -> None:
    await line.house.command("CS01", order(line.house, connector_id=0))
    assert await free(line) == (1, 2)
    await line.status(1, ConnectorStatus.FAULTED)
    assert await free(line) == ()
    assert (await refusal(line.house.operator.start_local, "CS01", 2, CARD)).kind == "connector-reserved"


# -- how it ends -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", CallVerdict)
async def test_one_that_the_station_may_have_counts(
    verdict: CallVerdict, autojump_clock: object, line: StationLine
) -> None:
    line.verdicts = [verdict]
    await line.house.command("CS01", order(line.house))
    counts = verdict in (CallVerdict.ACCEPTED, CallVerdict.UNKNOWN)
    assert await free(line) == ((2,) if counts else (1, 2))


async def test_it_lapses_whether_the_station_says_so_or_not(autojump_clock: object, line: StationLine) -> None:
    await line.house.command("CS01", order(line.house))
    await trio.sleep(HOUR_S - 1)
    assert await free(line) == (2,)
    await trio.sleep(1)
    assert await free(line) == (1, 2)


@pytest.mark.parametrize("verdict", [CallVerdict.ACCEPTED, CallVerdict.REJECTED])
async def test_it_is_over_once_it_is_cancelled_or_the_station_knows_of_none(
    verdict: CallVerdict, autojump_clock: object, line: StationLine
) -> None:
    await line.house.command("CS01", order(line.house))
    line.verdicts = [CallVerdict.UNKNOWN, verdict]
    await line.house.command("CS01", CancelReservation(reservation_id=7))
    assert await free(line) == (2,)
    await line.house.command("CS01", CancelReservation(reservation_id=7))
    assert await free(line) == (1, 2)


async def test_it_is_over_when_a_station_of_ocpp_2_says_so(autojump_clock: object, line: StationLine) -> None:
    await line.house.command("CS01", order(line.house))
    await line.say(ReservationStatus(reservation_id=7, status="Removed"))
    assert await free(line) == (1, 2)


async def test_a_charge_uses_it_up(autojump_clock: object, line: StationLine) -> None:
    await line.house.command("CS01", order(line.house, id_tag=CARD))
    begun = StartTransaction(
        connector_id=1, id_tag=CARD, meter_start_wh=0, timestamp=line.house.clock.now(), reservation_id=7
    )
    number = (await line.say(begun)).transaction_id  # type: ignore[union-attr]
    await line.stop(number, 1_000)
    await line.status(1, ConnectorStatus.PREPARING)
    assert await free(line) == (1, 2)


# -- restarts ----------------------------------------------------------------------------------------------------------


async def test_it_counts_in_the_next_life_of_the_node_too(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    await line.house.command("CS01", order(line.house))
    again = await restarted(line, nursery)
    assert await free(again) == (2,)
    [shown] = (await again.house.operator.station("CS01")).reservations
    assert (shown.reservation_id, shown.connector, shown.id_tag, shown.state) == (7, 1, OTHER, "Held")


async def test_one_that_was_asked_for_when_the_node_died_counts(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    """The station has it, and its answer was never written down."""
    blade = Blade(line.house, cut_at=2)
    with trio.move_on_after(5):
        await line.house.command("CS01", order(line.house))
    assert line.commands == [order(line.house)] and blade.cut.is_set()
    assert await free(await restarted(line, nursery)) == (2,)


# -- with a station on its wire ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_a_station_and_its_operator_agree_for_whom_a_connector_is_kept(
    version: str, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with scene(nursery, version) as at:
        await at.house.context.cards.put(Card(id_tag=OTHER), "olga")
        assert await at.word(order(at.house)) == "Accepted"
        await trio.sleep(1)
        assert await at.shown() == "Reserved"
        assert (await refusal(at.start, 1, CARD)).kind == "connector-reserved"
        await at.start(1, OTHER)
        await trio.sleep(1)
        await at.station.plug(1)
        await trio.sleep(30)
        assert [view.state for view in await at.charges()] == ["TxRunning"]
        assert (await at.house.operator.station("CS01")).reservations == ()
