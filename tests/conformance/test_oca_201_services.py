"""Cases of the compliancy test tool for OCPP 2.0.1 that are not about charging itself, by their ids.

Local lists (D), reservations (H), costs (I), smart charging (K) and display messages (O). The ids and titles are those
that are known publicly; what a case does in between is read off the specification.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from statecharts.station_commands import (
    CallVerdict,
    CancelReservation,
    ClearChargingProfile,
    GetCompositeSchedule,
    GetLocalListVersion,
    LocalListEntry,
    PlainCommand,
    RemoteStartTransaction,
    ReserveNow,
    SendLocalList,
    SetChargingProfile,
)
from statecharts.station_vocabulary import ChargingPeriod, ChargingProfile, ChargingSchedule, IdTagInfo, IdTagStatus
from statecharts.vocabulary import Refused
from tests.conformance.oca_scene import CARD, CS
from tests.conformance.oca_tool import TOKEN, Tool, tool

STRANGER = "GUEST001"
ACCEPTED, REJECTED = CallVerdict.ACCEPTED, CallVerdict.REJECTED


def entry(id_tag: str, status: IdTagStatus | None = IdTagStatus.ACCEPTED) -> LocalListEntry:
    return LocalListEntry(id_tag=id_tag, id_tag_info=status and IdTagInfo(status=status))


def profile(purpose: str, **more: Any) -> ChargingProfile:
    schedule = ChargingSchedule(rate_unit="A", periods=(ChargingPeriod(start_s=0, limit=Decimal(6)),), duration_s=300)
    whole = {"profile_id": 1, "stack_level": 0, "purpose": purpose, "kind": "Absolute", **more}
    return ChargingProfile(schedules=(schedule,), **whole)


async def plain(at: Tool, action: str, payload: dict[str, Any], status: str = "Accepted") -> None:
    """An operator's wish reaches the station as it is, and the station's word the operator."""
    said, asked, outcome = await at.sent(PlainCommand(action=action, payload=payload), status=status)
    assert (said, asked, outcome.status) == (action, payload, status)
    assert (outcome.verdict is ACCEPTED) is (status == "Accepted")


# -- D: local list -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("update", "entries"),
    [
        ("Full", (entry(CARD), entry(STRANGER, IdTagStatus.BLOCKED))),
        ("Differential", (entry(CARD),)),
        ("Differential", (entry(CARD, None),)),
        ("Full", ()),
    ],
    ids=["full", "update", "remove", "empty"],
)
async def test_tc_d_01_csms_tc_d_02_csms_tc_d_03_csms_tc_d_04_csms_local_list(
    autojump_clock: MockClock, nursery: trio.Nursery, update: str, entries: tuple[LocalListEntry, ...]
) -> None:
    async with tool(nursery) as at:
        order = SendLocalList(version=3, update=update, entries=entries)
        action, asked, outcome = await at.sent(order, status="Accepted")
        assert (action, asked["versionNumber"], asked["updateType"]) == ("SendLocalList", 3, update)
        said = asked.get("localAuthorizationList", [])
        assert [each["idToken"]["idToken"] for each in said] == [each.id_tag for each in entries]
        assert ["idTokenInfo" in each for each in said] == [each.id_tag_info is not None for each in entries]
        assert outcome.verdict is ACCEPTED


@pytest.mark.parametrize("version", [1, 0], ids=["success", "no list"])
async def test_tc_d_08_csms_tc_d_09_csms_local_list_version(
    autojump_clock: MockClock, nursery: trio.Nursery, version: int
) -> None:
    async with tool(nursery) as at:
        action, asked, outcome = await at.sent(GetLocalListVersion(), versionNumber=version)
        assert (action, asked) == ("GetLocalListVersion", {})
        assert version in outcome.data.values()


# -- H: reservations ---------------------------------------------------------------------------------------------------


def reservation(at: Tool, number: int = 1, evse: int = 1, **more: Any) -> ReserveNow:
    whole = {"id_tag": CARD, "expiry_date": at.soon(900), **more}
    return ReserveNow(reservation_id=number, connector_id=evse, **whole)


async def startable(at: Tool, evse: int = 1) -> bool:
    """Whether a driver with the card would be let charge there."""
    try:
        await at.house.operator.start_local(CS, evse, CARD)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("evse", [1, 0], ids=["specific", "unspecified"])
async def test_tc_h_01_csms_tc_h_08_csms_reservation_is_used(
    autojump_clock: MockClock, nursery: trio.Nursery, evse: int
) -> None:
    async with tool(nursery) as at:
        action, asked, outcome = await at.sent(reservation(at, evse=evse), status="Accepted")
        assert (action, asked.get("evseId", 0), asked["idToken"]["idToken"]) == ("ReserveNow", evse, CARD)
        assert (asked["id"], outcome.verdict) == (1, ACCEPTED)
        if evse:
            await at.shows("Reserved")
        answer = await at.event("Started", 1_000, idToken=TOKEN, reservationId=1)
        assert answer["idTokenInfo"]["status"] == "Accepted" and (await at.charge()).state == "TxRunning"


@pytest.mark.parametrize(("word", "shown"), [("Expired", "Available"), ("Removed", "Faulted")])
async def test_tc_h_07_csms_tc_h_20_csms_reservation_ends(
    autojump_clock: MockClock, nursery: trio.Nursery, word: str, shown: str
) -> None:
    async with tool(nursery) as at:
        await at.sent(reservation(at, id_tag=STRANGER), status="Accepted")
        assert not await startable(at)
        assert await at.say("ReservationStatusUpdate", reservationId=1, reservationUpdateStatus=word) == {}
        await at.shows(shown)
        assert await at.shown() == shown
        assert await startable(at) is (shown == "Available")


async def test_tc_h_14_csms_as_many_reservations_as_evses(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        for number in (1, 2):
            await at.sent(reservation(at, number, evse=0, id_tag=STRANGER), status="Accepted")
        assert not await startable(at, 1) and not await startable(at, 2)


@pytest.mark.parametrize("word", ["Accepted", "Rejected"])
async def test_tc_h_17_csms_cancel_reservation(autojump_clock: MockClock, nursery: trio.Nursery, word: str) -> None:
    async with tool(nursery) as at:
        await at.sent(reservation(at, id_tag=STRANGER), status="Accepted")
        assert not await startable(at)
        action, asked, outcome = await at.sent(CancelReservation(reservation_id=1), status=word)
        assert (action, asked, outcome.status) == ("CancelReservation", {"reservationId": 1}, word)
        assert await startable(at), "H02.FR.01: Rejected says that the station has no such reservation"


async def test_tc_h_19_csms_reservation_of_a_group(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        _, asked, _ = await at.sent(reservation(at, id_tag=STRANGER, parent_id_tag="CLUB"), status="Accepted")
        assert asked["groupIdToken"]["idToken"] == "CLUB"
        answer = await at.event("Started", 1_000, idToken=TOKEN, reservationId=1)
        assert answer["idTokenInfo"]["status"] == "Accepted"


@pytest.mark.parametrize("word", ["Rejected", "Occupied", "Faulted", "Unavailable"])
async def test_tc_h_22_csms_reservation_refused(autojump_clock: MockClock, nursery: trio.Nursery, word: str) -> None:
    async with tool(nursery) as at:
        _, _, outcome = await at.sent(reservation(at, id_tag=STRANGER), status=word)
        assert (outcome.verdict, outcome.status) == (REJECTED, word)
        assert await startable(at)


# -- I: costs ----------------------------------------------------------------------------------------------------------


async def test_tc_i_01_csms_running_cost(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        await at.event("Started", 1_000, idToken=TOKEN)
        cost = PlainCommand(action="CostUpdated", payload={"totalCost": 1.5, "transactionId": "octt-1"})
        before = len(at.asked)
        at.answers["CostUpdated"] = {}
        outcome = await at.ask(cost)
        assert at.asked[before] == ("CostUpdated", cost.payload)
        assert outcome.verdict is ACCEPTED


# -- K: smart charging -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evse", "wish"),
    [
        (1, profile("TxDefaultProfile")),
        (0, profile("ChargingStationMaxProfile")),
        (0, profile("TxDefaultProfile")),
        (1, profile("TxDefaultProfile", kind="Recurring", recurrency="Daily")),
        (1, profile("TxProfile", kind="Relative", reference="octt-1")),
    ],
    ids=["default", "station", "all EVSEs", "recurring", "transaction"],
)
@pytest.mark.parametrize("word", ["Accepted", "Rejected"])
async def test_tc_k_01_csms_tc_k_02_csms_tc_k_03_csms_tc_k_10_csms_tc_k_19_csms_tc_k_60_csms_set_profile(
    autojump_clock: MockClock, nursery: trio.Nursery, evse: int, wish: ChargingProfile, word: str
) -> None:
    async with tool(nursery) as at:
        order = SetChargingProfile(connector_id=evse, charging_profile=wish)
        action, asked, outcome = await at.sent(order, status=word)
        said = asked["chargingProfile"]
        assert (action, asked["evseId"], said["chargingProfilePurpose"]) == ("SetChargingProfile", evse, wish.purpose)
        assert (said["chargingProfileKind"], said.get("recurrencyKind")) == (wish.kind, wish.recurrency)
        assert said.get("transactionId", "") == wish.reference
        [period] = said["chargingSchedule"][0]["chargingSchedulePeriod"]
        assert period == {"startPeriod": 0, "limit": 6.0}
        assert (outcome.verdict is ACCEPTED, outcome.status) == (word == "Accepted", word)


@pytest.mark.parametrize(("first", "second"), [((7, 0), (7, 0)), ((7, 0), (8, 1))], ids=["replaced", "several"])
async def test_tc_k_04_csms_tc_k_70_csms_another_profile(
    autojump_clock: MockClock, nursery: trio.Nursery, first: tuple[int, int], second: tuple[int, int]
) -> None:
    async with tool(nursery) as at:
        for number, level in (first, second):
            wish = profile("TxDefaultProfile", profile_id=number, stack_level=level)
            order = SetChargingProfile(connector_id=1, charging_profile=wish)
            _, asked, _ = await at.sent(order, status="Accepted")
            said = asked["chargingProfile"]
            assert (said["id"], said["stackLevel"]) == (number, level)


@pytest.mark.parametrize(
    ("order", "criteria"),
    [
        (ClearChargingProfile(profile_id=1), {"chargingProfileId": 1}),
        (
            ClearChargingProfile(purpose="TxDefaultProfile", stack_level=2),
            {"chargingProfileCriteria": {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 2}},
        ),
    ],
    ids=["id", "criteria"],
)
@pytest.mark.parametrize("word", ["Accepted", "Unknown"])
async def test_tc_k_05_csms_tc_k_06_csms_tc_k_08_csms_clear_profile(
    autojump_clock: MockClock, nursery: trio.Nursery, order: ClearChargingProfile, criteria: dict[str, Any], word: str
) -> None:
    async with tool(nursery) as at:
        action, asked, outcome = await at.sent(order, status=word)
        assert (action, asked, outcome.status) == ("ClearChargingProfile", criteria, word)


async def test_tc_k_15_csms_profiles_not_supported(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        at.errors["SetChargingProfile"] = "NotSupported"
        outcome = await at.ask(SetChargingProfile(connector_id=1, charging_profile=profile("TxDefaultProfile")))
        assert outcome.verdict not in (ACCEPTED, REJECTED) and outcome.status == "NotSupported"


async def asked_for(at: Tool, criteria: dict[str, Any]) -> None:
    """The operator asks for the station's profiles, and is told."""
    await plain(at, "GetChargingProfiles", {"requestId": 5, **criteria})
    await reported(at, "CSO")


async def reported(at: Tool, source: str) -> None:
    """The station tells one of its profiles, which is kept for the operator."""
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6}]}
    told = {"id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative"}
    whole = {**told, "chargingSchedule": [schedule]}
    part = {"requestId": 5, "chargingLimitSource": source, "evseId": 1, "chargingProfile": [whole]}
    assert await at.say("ReportChargingProfiles", **part) == {}
    [kept] = await at.log("ReportChargingProfiles")
    assert (kept["source"], kept["content"][0]["id"]) == (source, 1)


@pytest.mark.parametrize("at_evse", [{"evseId": 0}, {"evseId": 1}, {}])
@pytest.mark.parametrize("which", [{}, {"chargingProfileId": [1]}])
async def test_tc_k_29_csms_tc_k_30_csms_tc_k_31_csms_tc_k_32_csms_get_profiles(
    autojump_clock: MockClock, nursery: trio.Nursery, at_evse: dict[str, int], which: dict[str, Any]
) -> None:
    async with tool(nursery) as at:
        await asked_for(at, {**at_evse, "chargingProfile": which})


@pytest.mark.parametrize(
    "which",
    [
        {"stackLevel": 2},
        {"chargingLimitSource": ["EMS"]},
        {"chargingProfilePurpose": "TxDefaultProfile"},
        {"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 2},
    ],
)
async def test_tc_k_33_csms_tc_k_34_csms_tc_k_35_csms_tc_k_36_csms_get_certain_profiles(
    autojump_clock: MockClock, nursery: trio.Nursery, which: dict[str, Any]
) -> None:
    async with tool(nursery) as at:
        await asked_for(at, {"evseId": 1, "chargingProfile": which})


async def test_tc_k_37_csms_remote_start_with_profile(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        order = RemoteStartTransaction(
            id_tag=CARD, connector_id=1, charging_profile=profile("TxProfile", kind="Relative")
        )
        action, asked, outcome = await at.sent(order, status="Accepted")
        assert (action, asked["chargingProfile"]["chargingProfilePurpose"]) == ("RequestStartTransaction", "TxProfile")
        assert "transactionId" not in asked["chargingProfile"] and outcome.verdict is ACCEPTED


@pytest.mark.parametrize("evse", [1, 0], ids=["EVSE", "station"])
async def test_tc_k_43_csms_tc_k_44_csms_composite_schedule(
    autojump_clock: MockClock, nursery: trio.Nursery, evse: int
) -> None:
    async with tool(nursery) as at:
        periods = [{"startPeriod": 0, "limit": 6.0, "numberPhases": 3}]
        schedule = {"evseId": evse, "duration": 300, "scheduleStart": at.now(), "chargingRateUnit": "A",
                    "chargingSchedulePeriod": periods}  # fmt: skip
        order = GetCompositeSchedule(connector_id=evse, duration_s=300, rate_unit="A")
        action, asked, outcome = await at.sent(order, status="Accepted", schedule=schedule)
        assert (action, asked) == ("GetCompositeSchedule", {"evseId": evse, "duration": 300, "chargingRateUnit": "A"})
        assert outcome.verdict is ACCEPTED and outcome.data["schedule"]["chargingSchedulePeriod"] == periods


@pytest.mark.parametrize("charging", [False, True])
async def test_tc_k_48_csms_tc_k_50_csms_tc_k_51_csms_tc_k_52_csms_external_limits(
    autojump_clock: MockClock, nursery: trio.Nursery, charging: bool
) -> None:
    async with tool(nursery) as at:
        if charging:
            await at.event("Started", 1_000, idToken=TOKEN)
        limit = {"chargingLimitSource": "EMS", "isGridCritical": False}
        assert await at.say("NotifyChargingLimit", chargingLimit=limit, evseId=1) == {}
        await reported(at, "EMS")
        assert await at.say("ClearedChargingLimit", chargingLimitSource="EMS", evseId=1) == {}
        if charging:
            answer = await at.event("Updated", 1_200, triggerReason="ChargingRateChanged")
            assert answer == {} and (await at.charge()).state == "TxRunning"


# -- O: display messages -----------------------------------------------------------------------------------------------

SHOWN = {"id": 1, "priority": "NormalCycle", "message": {"format": "UTF8", "content": "Hello"}}
FROM, UNTIL = {"startDateTime": "2026-03-01T12:05:00Z"}, {"endDateTime": "2026-03-01T12:09:00Z"}
OF = {"transactionId": "octt-1"}


@pytest.mark.parametrize("more", [{}, OF, FROM, UNTIL, {"state": "Charging"}, OF | FROM, OF | UNTIL])
async def test_tc_o_01_csms_tc_o_06_csms_tc_o_13_csms_tc_o_14_csms_tc_o_25_csms_tc_o_27_csms_tc_o_28_csms_set_message(
    autojump_clock: MockClock, nursery: trio.Nursery, more: dict[str, Any]
) -> None:
    async with tool(nursery) as at:
        await plain(at, "SetDisplayMessage", {"message": {**SHOWN, **more}})


async def test_tc_o_12_csms_replace_message(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        for content in ("Hello", "Good bye"):
            text = {"format": "UTF8", "content": content}
            await plain(at, "SetDisplayMessage", {"message": {**SHOWN, "message": text}})


@pytest.mark.parametrize(
    "word",
    ["UnknownTransaction", "NotSupportedPriority", "NotSupportedState", "NotSupportedMessageFormat", "Rejected"],
)
async def test_tc_o_10_csms_tc_o_17_csms_tc_o_18_csms_tc_o_19_csms_tc_o_26_csms_message_refused(
    autojump_clock: MockClock, nursery: trio.Nursery, word: str
) -> None:
    async with tool(nursery) as at:
        await plain(at, "SetDisplayMessage", {"message": {**SHOWN, **OF}}, word)


@pytest.mark.parametrize("criteria", [{}, {"id": [1]}, {"priority": "NormalCycle"}, {"state": "Charging"}])
@pytest.mark.parametrize("word", ["Accepted", "Unknown"])
async def test_tc_o_02_csms_tc_o_03_csms_tc_o_07_csms_tc_o_08_csms_tc_o_09_csms_tc_o_11_csms_get_messages(
    autojump_clock: MockClock, nursery: trio.Nursery, criteria: dict[str, Any], word: str
) -> None:
    async with tool(nursery) as at:
        await plain(at, "GetDisplayMessages", {"requestId": 5, **criteria}, word)
        if word == "Accepted":
            assert await at.say("NotifyDisplayMessages", requestId=5, messageInfo=[SHOWN]) == {}
            [kept] = await at.log("NotifyDisplayMessages")
            assert kept["content"] == [SHOWN]


@pytest.mark.parametrize("word", ["Accepted", "Unknown"])
async def test_tc_o_04_csms_tc_o_05_csms_clear_message(
    autojump_clock: MockClock, nursery: trio.Nursery, word: str
) -> None:
    async with tool(nursery) as at:
        await plain(at, "ClearDisplayMessage", {"id": 1}, word)
