"""All settings of a station are one answer: of OCPP 1.6 its own, of OCPP 2.x the parts of its report."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from actors.station_calls import REPORT_WITHIN_S
from statecharts.bounds import REPORT_SETTINGS
from statecharts.station_commands import (
    CallOutcome,
    CallVerdict,
    ClearCache,
    ClearChargingProfile,
    GetBaseReport,
    GetConfiguration,
    PlainCommand,
    Reset,
    SendLocalList,
    StationCommand,
    TriggerMessage,
    UpdateFirmware,
)
from statecharts.station_reports import BootNotification, NotifyReport
from tests.support.books import actor
from tests.support.house import EPOCH, StationLine, open_house

Content = tuple[dict[str, Any], ...]


def variables(*names: str) -> Content:
    return tuple(
        {
            "component": {"name": "OCPPCommCtrlr"},
            "variable": {"name": name},
            "variableAttribute": [{"value": "1", "mutability": "ReadOnly"}],
        }
        for name in names
    )


class Reporting(StationLine):
    """A station that reports its settings in `parts`, those of `early` before it answers."""

    protocol = "ocpp2.1"
    parts: tuple[Content, ...] = ()
    early = 0
    verdict = CallVerdict.ACCEPTED
    complete = True

    async def call(self, command: StationCommand) -> CallOutcome:
        outcome = await super().call(command)
        if not isinstance(command, GetBaseReport):
            return outcome
        for seq_no in range(self.early):
            await self.report(command, seq_no)
        self.house.context.system.spawn(self.report_rest, command)
        return CallOutcome(verdict=self.verdict, status=str(self.verdict))

    async def report_rest(self, asked: GetBaseReport) -> None:
        await trio.sleep(1)
        for seq_no in range(self.early, len(self.parts)):
            await self.report(asked, seq_no)

    async def report(self, asked: GetBaseReport, seq_no: int) -> None:
        more = seq_no + 1 < len(self.parts) or not self.complete
        part = NotifyReport(request_id=asked.request_id, seq_no=seq_no, more=more, content=self.parts[seq_no])
        await self.say(part)

    async def configuration(self) -> CallOutcome:
        return await actor(self).command(GetConfiguration())


def keys(outcome: CallOutcome) -> list[str]:
    return [each["key"].removeprefix("OCPPCommCtrlr.") for each in outcome.data["configurationKey"]]


@pytest.fixture
async def station(autojump_clock: object, nursery: trio.Nursery) -> AsyncIterator[Reporting]:
    async with open_house("IE-001", nursery) as house:
        station = Reporting(house, "CS01")
        await station.come_online()
        yield station


@pytest.mark.parametrize("early", [0, 1, 3])
async def test_the_parts_of_a_report_are_one_answer(autojump_clock: object, station: Reporting, early: int) -> None:
    station.parts, station.early = (variables("A", "B"), (), variables("C")), early
    outcome = await station.configuration()
    assert outcome.verdict is CallVerdict.ACCEPTED
    assert outcome.data["configurationKey"][0] == {"key": "OCPPCommCtrlr.A", "readonly": True, "value": "1"}
    assert (keys(outcome), outcome.data["unknownKey"]) == (["A", "B", "C"], [])
    page = await station.house.operator.station_log("CS01")
    assert [entry.kind for entry in page.items] == ["NotifyReport"] * 3


async def test_each_report_is_asked_for_by_a_number_of_its_own(autojump_clock: object, station: Reporting) -> None:
    station.parts = (variables("A"),)
    for _ in range(3):
        await station.configuration()
    asked = [command.request_id for command in station.commands if isinstance(command, GetBaseReport)]
    assert len(set(asked)) == 3 and all(0 < number < 2**31 for number in asked)


async def test_a_report_that_breaks_off_is_shown_as_far_as_it_came(autojump_clock: object, station: Reporting) -> None:
    station.parts, station.complete = (variables("A"),), False
    begun = trio.current_time()
    outcome = await station.configuration()
    assert (outcome.verdict, keys(outcome)) == (CallVerdict.UNKNOWN, ["A"])
    assert outcome.cause == "the station reported 1 settings, and not its last part"
    assert trio.current_time() - begun == pytest.approx(REPORT_WITHIN_S)
    station.complete = True
    assert (await station.configuration()).verdict is CallVerdict.ACCEPTED


@pytest.mark.parametrize("verdict", [CallVerdict.REJECTED, CallVerdict.ERROR, CallVerdict.UNKNOWN])
async def test_a_station_that_does_not_report_is_not_waited_for(
    autojump_clock: object, station: Reporting, verdict: CallVerdict
) -> None:
    station.verdict, begun = verdict, trio.current_time()
    assert (await station.configuration()).verdict is verdict
    assert trio.current_time() == begun


async def test_a_report_without_end_is_not_kept(autojump_clock: object, station: Reporting) -> None:
    many = REPORT_SETTINGS.limit // 2
    station.parts = tuple(variables(*(f"V{part}-{n}" for n in range(many))) for part in range(3))
    outcome = await station.configuration()
    assert (outcome.verdict, len(keys(outcome))) == (CallVerdict.UNKNOWN, 2 * many)


async def test_one_report_is_awaited_at_a_time(autojump_clock: object, station: Reporting) -> None:
    station.parts, outcomes = (variables("A"),), list[CallOutcome]()

    async def ask() -> None:
        outcomes.append(await station.configuration())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        nursery.start_soon(ask)
    assert sorted(outcome.verdict for outcome in outcomes) == [CallVerdict.ACCEPTED, CallVerdict.NEVER_SENT]


async def test_named_settings_and_stations_of_ocpp_16_are_asked_as_they_are(
    autojump_clock: object, station: Reporting
) -> None:
    await actor(station).command(GetConfiguration(keys=("A.B",)))
    station.protocol = "ocpp1.6"
    await actor(station).command(GetConfiguration())
    await actor(station).command(PlainCommand(action="GetMonitoringReport"))
    assert station.commands == [
        GetConfiguration(keys=("A.B",)),
        GetConfiguration(),
        PlainCommand(action="GetMonitoringReport"),
    ]


# -- feature profiles of OCPP 1.6 --------------------------------------------------------------------------------------


class OfProfiles(StationLine):
    """A station of OCPP 1.6 that tells its `profiles` when it is asked for its settings."""

    profiles: str | None = "Core, RemoteTrigger,SmartCharging"

    async def call(self, command: StationCommand) -> CallOutcome:
        outcome = await super().call(command)
        if not isinstance(command, GetConfiguration):
            return outcome
        told = [{"key": "supportedfeatureprofiles", "readonly": True, "value": self.profiles}]
        return CallOutcome(verdict=CallVerdict.ACCEPTED, data={"configurationKey": told, "unknownKey": []})

    async def asked(self, command: StationCommand, **more: Any) -> CallOutcome:
        return await self.house.command("CS01", command, **more)


LISTED = SendLocalList(version=1, update="Full")
SIGNED = UpdateFirmware(location="https://x", retrieve_at=EPOCH, request_id=1, signature="s", signing_certificate="c")


@pytest.fixture
async def older(autojump_clock: object, nursery: trio.Nursery) -> AsyncIterator[OfProfiles]:
    async with open_house("IE-001", nursery) as house:
        station = OfProfiles(house, "CS01")
        await station.come_online()
        yield station


async def test_what_a_station_says_it_cannot_do_is_not_sent_unless_it_is_forced(
    autojump_clock: object, older: OfProfiles
) -> None:
    await older.asked(GetConfiguration())
    outcome = await older.asked(LISTED)
    assert outcome.verdict is CallVerdict.NEVER_SENT
    assert outcome.cause == ("the station has no LocalAuthListManagement: it is not among its SupportedFeatureProfiles")
    assert (await older.asked(LISTED, forced=True)).verdict is CallVerdict.ACCEPTED
    assert older.commands == [GetConfiguration(), LISTED]


@pytest.mark.parametrize(
    "command",
    [Reset(kind="Soft"), ClearChargingProfile(), SIGNED, TriggerMessage(what="LogStatusNotification"), ClearCache()],
    ids=lambda command: type(command).__name__,
)
async def test_what_its_profiles_have_or_no_profile_has_is_sent(
    autojump_clock: object, older: OfProfiles, command: StationCommand
) -> None:
    await older.asked(GetConfiguration())
    assert (await older.asked(command)).verdict is CallVerdict.ACCEPTED


@pytest.mark.parametrize("profiles", [None, "", "none"])
async def test_a_station_that_tells_no_profiles_is_sent_everything(
    autojump_clock: object, older: OfProfiles, profiles: str | None
) -> None:
    older.profiles = profiles
    await older.asked(GetConfiguration())
    assert (await older.asked(LISTED)).verdict is CallVerdict.ACCEPTED


async def test_another_firmware_may_have_other_profiles(autojump_clock: object, older: OfProfiles) -> None:
    await older.asked(GetConfiguration())
    await older.say(BootNotification(vendor="V", model="M"))
    assert (await older.asked(LISTED)).verdict is CallVerdict.ACCEPTED
