"""Local services as a Destination shows them, and as a Source collects them from its partners."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
import trio

from actors.context import Place
from statecharts.doors import LocalServicesFound
from statecharts.station_reports import ConnectorStatus
from statecharts.vocabulary import (
    Declined,
    GetLocalServicesList,
    GetLocalServiceStatus,
    LocalServiceAnswer,
    LocalServicesAnswer,
    Location,
    Refusal,
    Refused,
    ServiceStatus,
    ServiceType,
    Unanswered,
)
from tests.support.house import APP, StationLine, link, open_house, place
from tests.support.roaming import HOME, LOCAL, Roaming, two_operators

DUBLIN = Location(latitude=Decimal("53.3498"), longitude=Decimal("-6.2603"))
DEADLINE_S = 8


def north(metres: int) -> Location:
    """So many metres north of the usual place: 111 194.9 m are a degree."""
    return Location(latitude=DUBLIN.latitude + Decimal(metres) / Decimal("111194.9"), longitude=DUBLIN.longitude)


def station_at(identity: str, metres: int) -> Place:
    return msgspec.structs.replace(place(identity), location=north(metres))


def parking_at(identity: str, metres: int) -> Place:
    return Place(
        identity=identity,
        location=north(metres),
        service_types=(ServiceType.PARKING,),
        status=ServiceStatus.AVAILABLE,
    )


async def listed(roaming: Roaming, radius_m: int, *types: ServiceType) -> list[str]:
    request = GetLocalServicesList(location=DUBLIN, search_radius_m=radius_m, service_types=types)
    answer = await roaming.local.destination(HOME, request)
    assert isinstance(answer, LocalServicesAnswer)
    return [service.local_service_identifier for service in answer.local_services]


async def status(roaming: Roaming, service: str = "CS01") -> ServiceStatus:
    answer = await roaming.local.destination(HOME, GetLocalServiceStatus(local_service_identifier=service))
    assert isinstance(answer, LocalServiceAnswer)
    return answer.local_service.status


# -- a Destination shows -----------------------------------------------------------------------------------------------


async def test_the_list_is_nearest_first_within_the_radius(autojump_clock: object, nursery: trio.Nursery) -> None:
    places = (station_at("FAR", 5_000), station_at("NEAR", 100), station_at("HERE", 0), station_at("MID", 1_000))
    async with two_operators(nursery, places=places) as roaming:
        assert await listed(roaming, 10_000) == ["HERE", "NEAR", "MID", "FAR"]
        assert await listed(roaming, 1_000) == ["HERE", "NEAR", "MID"]
        assert await listed(roaming, 999) == ["HERE", "NEAR"]
        assert await listed(roaming, 0) == ["HERE"]


async def test_the_list_is_filtered_by_type_and_no_type_is_every_type(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with two_operators(nursery, places=(station_at("CS01", 50), parking_at("P1", 10))) as roaming:
        assert await listed(roaming, 100) == ["P1", "CS01"]
        assert await listed(roaming, 100, ServiceType.PARKING) == ["P1"]
        assert await listed(roaming, 100, ServiceType.EV_CHARGING) == ["CS01"]
        assert await listed(roaming, 100, ServiceType.PARKING, ServiceType.EV_CHARGING) == ["P1", "CS01"]
        assert await status(roaming, "P1") is ServiceStatus.AVAILABLE


A, P, C, F = (
    ConnectorStatus.AVAILABLE,
    ConnectorStatus.PREPARING,
    ConnectorStatus.CHARGING,
    ConnectorStatus.FAULTED,
)


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        (A, C, ServiceStatus.AVAILABLE),
        (P, F, ServiceStatus.AVAILABLE),
        (C, F, ServiceStatus.IN_USE),
        (ConnectorStatus.RESERVED, F, ServiceStatus.IN_USE),
        (ConnectorStatus.FINISHING, ConnectorStatus.UNAVAILABLE, ServiceStatus.IN_USE),
        (ConnectorStatus.SUSPENDED_EV, ConnectorStatus.SUSPENDED_EVSE, ServiceStatus.IN_USE),
        (F, ConnectorStatus.UNAVAILABLE, ServiceStatus.OUT_OF_SERVICE),
    ],
)
async def test_the_status_comes_from_the_connectors(
    first: ConnectorStatus,
    second: ConnectorStatus,
    shown: ServiceStatus,
    autojump_clock: object,
    roaming: Roaming,
) -> None:
    await roaming.station.status(1, first)
    await roaming.station.status(2, second)
    assert await status(roaming) is shown


async def test_a_station_that_is_away_is_unknown(autojump_clock: object, roaming: Roaming) -> None:
    await roaming.station.go_offline()
    assert await status(roaming) is ServiceStatus.UNKNOWN


async def test_a_connector_that_a_start_waits_for_is_in_use(autojump_clock: object, roaming: Roaming) -> None:
    await roaming.station.status(2, F)
    await roaming.start_asked()
    assert await status(roaming) is ServiceStatus.IN_USE


async def test_an_unknown_local_service_is_a_404(autojump_clock: object, roaming: Roaming) -> None:
    with pytest.raises(Refused) as caught:
        await status(roaming, "CS99")
    assert caught.value.refusal.code == 404


# -- a Source collects -------------------------------------------------------------------------------------------------


async def found(roaming: Roaming, *destinations: str) -> LocalServicesFound:
    return await roaming.home.source.local_services(
        APP, location=DUBLIN, radius_m=10_000, service_types=(), destinations=destinations
    )


async def test_all_destinations_are_asked_at_once_or_one_by_name(
    autojump_clock: object, nursery: trio.Nursery, roaming: Roaming
) -> None:
    async with open_house("FR-002", nursery, places=(station_at("FR1", 700),)) as other:
        link(roaming.home, other)
        await StationLine(other, "FR1").come_online()
        every = await found(roaming)
        shown = [(s.pms_identifier, s.local_service_identifier, s.distance_m) for s in every.local_services]
        assert shown == [(LOCAL, "CS01", 0), ("FR-002", "FR1", 700)]
        assert every.unanswered == {}
        one = await found(roaming, "FR-002")
        assert [s.local_service_identifier for s in one.local_services] == ["FR1"]
        with pytest.raises(Refused) as caught:
            await found(roaming, "XX-000")
        assert caught.value.refusal.code == 400


async def test_who_does_not_answer_in_time_is_named_and_holds_nobody_up(
    autojump_clock: object, nursery: trio.Nursery, roaming: Roaming
) -> None:
    async with open_house("FR-002", nursery) as silent, open_house("DE-003", nursery) as broken:
        link(roaming.home, silent)[0].down = True
        link(roaming.home, broken)[0].script = [Unanswered(cause="HTTP 500")]
        before = trio.current_time()
        answer = await found(roaming)
        assert trio.current_time() - before <= DEADLINE_S
        assert [s.local_service_identifier for s in answer.local_services] == ["CS01"]
        assert set(answer.unanswered) == {"FR-002", "DE-003"}
        assert answer.unanswered["DE-003"] == "HTTP 500"


async def test_the_status_of_one_service_or_why_not(autojump_clock: object, roaming: Roaming) -> None:
    service = await roaming.home.source.local_service(APP, LOCAL, "CS01")
    assert (service.pms_identifier, service.status) == (LOCAL, ServiceStatus.AVAILABLE)
    for outcome, code in (
        (None, 404),
        (Declined(refusal=Refusal(code=403, kind="peer-refused", message="no")), 403),
        (Unanswered(cause="HTTP 500"), 504),
    ):
        roaming.there.script = [outcome]
        with pytest.raises(Refused) as caught:
            await roaming.home.source.local_service(APP, LOCAL, "CS99")
        assert caught.value.refusal.code == code
