"""What a Destination checks before it authorises, and what an authorisation may be used for."""

from __future__ import annotations

import re

import pytest
import trio

from actors.context import Place
from statecharts.station_commands import CallVerdict, RemoteStartTransaction
from statecharts.station_reports import ConnectorStatus
from statecharts.vocabulary import (
    Authorize,
    AuthorizeAnswer,
    Location,
    Refusal,
    Refused,
    RequestStartTransaction,
    ServiceStatus,
    ServiceType,
)
from tests.support.house import StationLine, place
from tests.support.roaming import HOME, Charge, Roaming, two_operators

PARKING = Place(
    identity="P1",
    location=Location(latitude=place().location.latitude, longitude=place().location.longitude),
    service_types=(ServiceType.PARKING,),
    status=ServiceStatus.AVAILABLE,
)
FREE = (ConnectorStatus.AVAILABLE, ConnectorStatus.PREPARING)


async def ask(
    roaming: Roaming,
    connector: str | None = None,
    *,
    service: str = "CS01",
    service_type: ServiceType = ServiceType.EV_CHARGING,
    user: str = "anna",
) -> str:
    """The authorizationIdentifier that the Destination grants."""
    request = Authorize(
        pms_identifier=HOME,
        user_identifier=user,
        service_type=service_type,
        local_service_identifier=service,
        connector_identifier=connector,
    )
    answer = await roaming.local.destination(HOME, request)
    assert isinstance(answer, AuthorizeAnswer)
    return answer.authorization_identifier


async def refusal(roaming: Roaming, *args: str | None, **more: object) -> Refusal:
    with pytest.raises(Refused) as caught:
        await ask(roaming, *args, **more)
    return caught.value.refusal


async def start(roaming: Roaming, name: str, request_identifier: str) -> None:
    asked = RequestStartTransaction(request_identifier=request_identifier, authorization_identifier=name)
    await roaming.local.destination(HOME, asked)


# -- the place ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connector", ["", "0", "-1", "3", "99999999999999999999", "one", "1.0", "¹", "１", "0x1"])
async def test_a_connector_that_is_no_number_or_unknown_is_a_400(
    connector: str, autojump_clock: object, roaming: Roaming
) -> None:
    assert (await refusal(roaming, connector)).code == 400


@pytest.mark.parametrize("connector", ["1", "2", " 2 ", "02", None])
async def test_a_connector_that_is_there_or_left_open_is_authorised(
    connector: str | None, autojump_clock: object, roaming: Roaming
) -> None:
    assert await ask(roaming, connector)


async def test_a_service_that_we_do_not_have_is_a_404(autojump_clock: object, roaming: Roaming) -> None:
    assert (await refusal(roaming, service="CS99")).code == 404


async def test_a_station_that_is_away_or_has_not_booted_authorises_nobody(
    autojump_clock: object, roaming: Roaming
) -> None:
    await roaming.station.go_offline()
    assert (await refusal(roaming)).kind == "station-unavailable"
    await roaming.station.come_online(boot=False)
    assert await ask(roaming)


async def test_a_station_that_has_not_booted_authorises_nobody(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery, places=(place(), place("CS02"))) as roaming:
        new = StationLine(roaming.local, "CS02")
        await new.come_online(boot=False)
        await new.status(1, ConnectorStatus.AVAILABLE)
        assert (await refusal(roaming, service="CS02")).kind == "station-unavailable"


@pytest.mark.parametrize("status", list(ConnectorStatus))
async def test_only_a_free_connector_is_authorised(
    status: ConnectorStatus, autojump_clock: object, roaming: Roaming
) -> None:
    await roaming.station.status(1, status)
    if status in FREE:
        assert await ask(roaming, "1")
    else:
        assert (await refusal(roaming, "1")).kind == "connector-busy"
        assert await ask(roaming, None), "the other connector is free"


async def test_without_a_connector_any_free_one_will_do_and_none_is_a_409(
    autojump_clock: object, roaming: Roaming
) -> None:
    await roaming.station.status(1, ConnectorStatus.FAULTED)
    assert await ask(roaming)
    await roaming.station.status(2, ConnectorStatus.CHARGING)
    assert (await refusal(roaming)).code == 409


async def test_a_connector_with_an_open_transaction_is_busy_whatever_its_status_says(
    autojump_clock: object, roaming: Roaming
) -> None:
    await roaming.running()
    await roaming.leave()
    assert (await refusal(roaming, "1")).kind == "connector-busy"


async def test_a_connector_that_another_start_waits_for_is_busy(autojump_clock: object, roaming: Roaming) -> None:
    await roaming.start_asked()
    assert (await refusal(roaming, "1")).kind == "connector-busy"
    await trio.sleep(200)
    assert await ask(roaming, "1", user="bert"), "that start came to nothing"


async def test_parking_is_refused_with_a_clear_reason(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery, places=(place(), PARKING)) as roaming:
        for service, service_type in (("P1", ServiceType.PARKING), ("CS01", ServiceType.PARKING)):
            no = await refusal(roaming, service=service, service_type=service_type)
            assert no.code == 400 and "PARKING" in no.message
        assert (await refusal(roaming, service="P1")).code == 400


# -- ready reserves nothing --------------------------------------------------------------------------------------------


async def test_ready_reserves_nothing_and_the_first_start_wins(autojump_clock: object, roaming: Roaming) -> None:
    first, second = await ask(roaming, "1"), await ask(roaming, "1", user="bert")
    await start(roaming, second, "r-2")
    with pytest.raises(Refused) as caught:
        await start(roaming, first, "r-1")
    assert (caught.value.refusal.code, caught.value.refusal.kind) == (409, "connector-busy")
    await roaming.local.until(f"destination/{second}", "StartTxRequested")
    assert roaming.station.commands == [RemoteStartTransaction(id_tag=second, connector_id=1)]


async def test_the_loser_learns_at_its_app_why(autojump_clock: object, roaming: Roaming) -> None:
    first, second = await roaming.ready("1"), await roaming.ready("1")
    await roaming.start_asked(first)
    await roaming.start(second)
    await trio.sleep(1)
    view = await roaming.view(second)
    assert view.state == "Ready" and view.operations[0].status == "failed"
    assert "in use" in (view.cause or "")


async def test_an_absent_connector_is_chosen_at_the_start(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.ready(None)
    await roaming.station.status(1, ConnectorStatus.CHARGING)
    await roaming.start_asked(charge)
    assert roaming.station.commands == [RemoteStartTransaction(id_tag=charge.name, connector_id=2)]


async def test_a_hold_ends_with_its_start_however_it_ends(autojump_clock: object, roaming: Roaming) -> None:
    first = await ask(roaming, "1")
    roaming.station.verdicts = [CallVerdict.REJECTED]
    await start(roaming, first, "r-1")
    await roaming.local.until(f"destination/{first}", "Ready")
    second = await ask(roaming, "1", user="bert")
    await start(roaming, second, "r-2")
    await roaming.local.until(f"destination/{second}", "StartTxRequested")


# -- how many ----------------------------------------------------------------------------------------------------------


async def test_at_most_so_many_open_authorisations_per_user(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery, open_authorizations_per_user_max=2) as roaming:
        await ask(roaming)
        await ask(roaming)
        no = await refusal(roaming)
        assert (no.code, no.kind) == (429, "too-many-authorisations")
        assert await ask(roaming, user="bert")
        await trio.sleep(1_000)
        assert await ask(roaming), "the earlier ones have lapsed"


async def test_authorisations_asked_for_at_once_are_counted_too(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with two_operators(nursery, open_authorizations_per_user_max=2) as roaming:
        granted: list[str] = []

        async def try_it() -> None:
            try:
                granted.append(await ask(roaming))
            except Refused as no:
                assert no.refusal.kind == "too-many-authorisations"

        async with trio.open_nursery() as askers:
            for _ in range(6):
                askers.start_soon(try_it)
        assert len(granted) == 2


# -- the identifier ----------------------------------------------------------------------------------------------------


async def test_the_identifier_is_12_upper_case_hex_characters(autojump_clock: object, roaming: Roaming) -> None:
    assert re.fullmatch("[0-9A-F]{12}", await ask(roaming))


async def test_an_identifier_minted_again_is_never_given_again(
    autojump_clock: object, nursery: trio.Nursery, roaming: Roaming
) -> None:
    first = await ask(roaming)
    await trio.sleep(2_000)
    await roaming.local.restart(nursery)
    await roaming.station.come_online(boot=False)
    roaming.local.ids.minted = [first, first, "0A1B2C3D4E5F"]
    assert await ask(roaming) == "0A1B2C3D4E5F"
    roaming.local.ids.minted = [first] * 5
    no = await refusal(roaming)
    assert (no.code, no.kind) == (500, "no-identifier")
    view = await roaming.local.operator.transaction("destination", first)
    assert view.state == "Expired"


async def test_an_authorisation_lapses(autojump_clock: object, roaming: Roaming) -> None:
    name = await ask(roaming)
    await trio.sleep(901)
    with pytest.raises(Refused) as caught:
        await start(roaming, name, "r-1")
    assert caught.value.refusal.code == 410


async def test_an_authorisation_is_for_one_charge_only(autojump_clock: object, roaming: Roaming) -> None:
    charge: Charge = await roaming.running()
    await roaming.station.stop(charge.number, 5_000)
    await roaming.leave()
    await roaming.settled(charge)
    with pytest.raises(Refused) as caught:
        await start(roaming, charge.name, "r-9")
    assert caught.value.refusal.code == 410
    assert len(roaming.station.commands) == 1


async def test_it_lapses_at_both_sides_after_the_configured_time(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.ready()
    await trio.sleep(901)
    assert (await roaming.view(charge)).state == "Expired"
    assert (await roaming.local.data(charge.destination)).state == "Expired"
    with pytest.raises(Refused) as caught:
        await roaming.start(charge)
    assert caught.value.refusal.code == 410
