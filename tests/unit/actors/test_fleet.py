"""The fleet at work: stations registered while the node runs, accepted, rejected, retired, with charges under way."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec
import pytest
import trio

from statecharts.fleet_door import Acceptance, NewStation, StationFilter, StationShown
from statecharts.station_commands import RemoteStartTransaction, Reset, TriggerMessage
from statecharts.station_credentials import Shown, judged
from statecharts.station_reports import (
    AuthorizeIdTag,
    BootAnswer,
    BootNotification,
    IdTagAnswer,
    RegistrationStatus,
)
from statecharts.vocabulary import GetLocalServicesList, Refused, ServiceType
from tests.support.house import House, StationLine, open_house, place
from tests.support.roaming import HOME, Roaming

CARD = "CARD0001"
BOOT = BootNotification(vendor="V", model="M")
NEW = NewStation(identity="CS77", connectors=2, location=place().location)


async def refusal_of(work: Awaitable[Any]) -> tuple[int, str]:
    with pytest.raises(Refused) as no:
        await work
    return no.value.refusal.code, no.value.refusal.kind


async def register(house: House, **more: Any) -> StationShown:
    return await house.operator.register_station(msgspec.structs.replace(NEW, **more), "olga")


async def found(house: House, **wanted: Any) -> list[str]:
    return [view.identity for view in (await house.operator.stations(StationFilter(**wanted))).items]


async def listed(roaming: Roaming) -> list[str]:
    """What a partner finds."""
    near = GetLocalServicesList(location=place().location, search_radius_m=10_000)
    services = (await roaming.local.destination(HOME, near)).local_services
    return sorted(each.local_service_identifier for each in services)


async def authorized(line: StationLine) -> str:
    answer = await line.say(AuthorizeIdTag(id_tag=CARD))
    assert isinstance(answer, IdTagAnswer) and answer.id_tag_info is not None
    return str(answer.id_tag_info.status)


async def told_at_boot(line: StationLine) -> tuple[str, int]:
    answer = await line.say(BOOT)
    assert isinstance(answer, BootAnswer)
    return str(answer.status), answer.interval_s


# -- registering -------------------------------------------------------------------------------------------------------


async def test_a_registered_station_charges_for_a_partner_at_once_and_after_a_restart(
    autojump_clock: object, roaming: Roaming
) -> None:
    shown = await register(roaming.local, identity="CS02")
    assert (shown.station.origin, shown.station.standing.state, shown.station.standing.by) == (
        *("store", "Accepted"),
        "olga",
    )
    line = StationLine(roaming.local, "CS02")
    await line.come_online()
    assert await listed(roaming) == ["CS01", "CS02"]
    view = await roaming.home.authorize(roaming.local.name, "CS02")
    assert view.state == "Ready"
    await roaming.local.restart(roaming.nursery)
    assert await listed(roaming) == ["CS01", "CS02"]
    assert await found(roaming.local) == ["CS01", "CS02"]


async def test_a_password_that_was_made_is_shown_once_and_opens(autojump_clock: object, line: StationLine) -> None:
    shown = await register(line.house)
    credentials = line.house.context.fleet.credentials("CS77")
    assert credentials is not None and shown.password is not None and len(shown.password) == 32
    assert judged("CS77", credentials, Shown(passwords=(shown.password.encode(),))).wrong is None
    assert judged("CS77", credentials, Shown(passwords=(b"another",))).wrong is not None
    sheet = await line.house.operator.station("CS77")
    assert sheet.security.has_password and shown.password not in repr(sheet)


async def test_a_password_that_was_given_is_not_shown(autojump_clock: object, line: StationLine) -> None:
    assert (await register(line.house, password="of sixteen bytes")).password is None


async def test_a_name_is_given_once(autojump_clock: object, line: StationLine) -> None:
    await register(line.house)
    assert await refusal_of(register(line.house)) == (409, "already-registered")
    assert await refusal_of(register(line.house, identity="cs77")) == (409, "name-taken")
    assert await refusal_of(register(line.house, identity="CS01")) == (409, "already-registered")
    assert await refusal_of(register(line.house, identity="..")) == (400, "invalid-identity")


# -- lists -------------------------------------------------------------------------------------------------------------


async def test_lists_have_those_that_fit(autojump_clock: object, line: StationLine) -> None:
    await register(line.house)
    await line.house.operator.reject_station("CS77", "not ours", "olga")
    assert await found(line.house) == ["CS01", "CS77"]
    assert await found(line.house, online=True) == ["CS01"] == await found(line.house, vendor="V", model="M")
    assert await found(line.house, online=False) == ["CS77"] == await found(line.house, standing="Rejected")
    assert await found(line.house, registration="Accepted") == ["CS01"] == await found(line.house, text="s01")
    assert await found(line.house, vendor="W") == [] == await found(line.house, model="m")


async def test_lists_are_filtered_by_what_stations_were_before_a_restart(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    await line.house.restart(nursery)
    assert await found(line.house, vendor="V") == ["CS01"]


async def test_a_list_goes_on_where_its_page_ended(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with open_house("IE-001", nursery, places=tuple(place(f"CS{n}") for n in range(5))) as house:
        cursor, seen = None, []
        while cursor is not None or not seen:
            page = await house.operator.stations(StationFilter(text="cs"), cursor=cursor, limit=2)
            seen += [view.identity for view in page.items]
            cursor = page.next_cursor
    assert seen == [f"CS{n}" for n in range(5)]


async def test_a_station_is_shown_whole(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    sheet = await line.house.operator.station("CS01")
    assert sheet.online and sheet.online_since is not None and sheet.boot is not None and sheet.boot.vendor == "V"
    busy, free = sheet.connectors
    assert (busy.charge and busy.charge.number, free.charge, free.state) == (number, None, "Available")
    assert free.since is not None
    assert await refusal_of(line.house.operator.station("CS99")) == (404, "unknown-station")


# -- deciding ----------------------------------------------------------------------------------------------------------


async def test_a_rejected_station_hears_so_and_nobody_charges_there(autojump_clock: object, roaming: Roaming) -> None:
    operator, station = roaming.local.operator, roaming.station
    assert await authorized(station) == "Accepted"
    await operator.reject_station("CS01", "not ours", "olga")
    await trio.sleep(0.1)
    assert station.commands == [TriggerMessage(what="BootNotification")]
    assert await authorized(station) == "Invalid"
    assert await listed(roaming) == []
    assert await refusal_of(operator.start_local("CS01", 1, CARD)) == (409, "station-unavailable")
    start = RemoteStartTransaction(id_tag=CARD)
    assert (await roaming.local.command("CS01", start)).verdict == "NeverSent"
    assert await told_at_boot(station) == ("Rejected", 60)
    assert (await roaming.local.command("CS01", Reset(kind="Soft"))).verdict == "NeverSent"


async def test_an_accepted_station_is_back_once_it_has_booted(autojump_clock: object, roaming: Roaming) -> None:
    operator, station = roaming.local.operator, roaming.station
    await operator.reject_station("CS01", "not ours", "olga")
    assert (await told_at_boot(station))[0] == "Rejected"
    sheet = await operator.accept_station("CS01", Acceptance(), "olga")
    assert (sheet.standing.state, sheet.registration) == ("Accepted", "Rejected")
    assert await told_at_boot(station) == ("Accepted", 300)
    assert (await roaming.home.authorize(roaming.local.name)).state == "Ready"


async def test_a_station_that_was_away_hears_of_a_decision_when_it_is_back(
    autojump_clock: object, line: StationLine
) -> None:
    await line.go_offline()
    await line.house.operator.reject_station("CS01", "not ours", "olga")
    await line.come_online(boot=False)
    await trio.sleep(0.1)
    assert line.commands == [TriggerMessage(what="BootNotification")]
    assert (await told_at_boot(line))[0] == "Rejected"


@pytest.mark.parametrize("decide", ["accept", "reject", "retire"])
async def test_a_decision_may_be_repeated(autojump_clock: object, line: StationLine, decide: str) -> None:
    operator = line.house.operator
    repeat = {
        "accept": lambda: operator.accept_station("CS01", Acceptance(), "otto"),
        "reject": lambda: operator.reject_station("CS01", "not ours", "otto"),
        "retire": lambda: operator.retire_station("CS01", "taken down", "otto"),
    }[decide]
    first = await repeat()
    await trio.sleep(1)
    assert (await repeat()).standing == first.standing


async def test_what_the_configuration_says_is_not_changed(autojump_clock: object, line: StationLine) -> None:
    accept = line.house.operator.accept_station("CS01", Acceptance(connectors=3), "olga")
    assert await refusal_of(accept) == (409, "fixed-by-file")


async def test_a_retired_station_goes_at_once_and_its_name_opens_nothing(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    house = line.house
    await house.operator.retire_station("CS01", "taken down", "olga")
    await trio.sleep(0.1)
    assert line.closed == (1008, "this station is retired")
    await line.go_offline()
    assert house.context.fleet.credentials("CS01") is None
    assert await refusal_of(house.operator.reject_station("CS01", "no", "olga")) == (409, "wrong-state")
    await house.restart(nursery)
    assert house.context.fleet.credentials("CS01") is None
    assert (await house.operator.station("CS01")).standing.reason == "taken down"
    await house.operator.accept_station("CS01", Acceptance(), "olga")
    assert house.context.fleet.credentials("CS01") is not None


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_charge_at_a_retired_station_comes_to_its_end_and_is_settled(
    autojump_clock: object, roaming: Roaming, restarted: bool
) -> None:
    charge = await roaming.running()
    await roaming.local.operator.retire_station("CS01", "taken down", "olga")
    await trio.sleep(0.1)
    line = roaming.station
    assert line.closed is None and await listed(roaming) == []
    if restarted:
        await roaming.local.restart(roaming.nursery)
        assert roaming.local.context.fleet.credentials("CS01") is not None
        line = StationLine(roaming.local, "CS01")
        await line.come_online(boot=False)
        assert await told_at_boot(line) == (RegistrationStatus.ACCEPTED, 300)
    await line.stop(charge.number, 5_000)
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000
    assert line.closed == (1008, "this station is retired")
    assert roaming.local.context.fleet.credentials("CS01") is None


async def test_service_types_are_those_of_charging(autojump_clock: object, line: StationLine) -> None:
    assert (await register(line.house)).station.service_types == (ServiceType.EV_CHARGING,)
