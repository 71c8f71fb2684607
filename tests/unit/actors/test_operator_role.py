"""What the operator of a node may see and do, through the counter that REST stands on."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from statecharts.ports import CdrView
from statecharts.station_commands import CallVerdict, GetConfiguration, RemoteStopTransaction, Reset
from statecharts.station_reports import FirmwareStatus, LogStatus
from statecharts.vocabulary import Refused
from tests.support.house import link, open_house
from tests.support.roaming import HOME, LOCAL, Roaming


async def code_of(work: object) -> int:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value.refusal.code


async def test_stations_are_shown_as_they_are(autojump_clock: object, roaming: Roaming) -> None:
    (view,) = (await roaming.local.operator.stations()).items
    assert (view.identity, view.registration, view.online, view.protocol) == ("CS01", "Accepted", True, "ocpp1.6")
    assert view.connectors == {"1": "Available", "2": "Available"}
    await roaming.station.go_offline()
    await trio.sleep(0.1)
    (view,) = (await roaming.local.operator.stations()).items
    assert (view.online, view.protocol) == (False, None)


async def test_a_command_reaches_the_station_and_its_outcome_comes_back(
    autojump_clock: object, roaming: Roaming
) -> None:
    operator = roaming.local.operator
    assert (await roaming.local.command("CS01", Reset(kind="Soft"))).verdict is CallVerdict.ACCEPTED
    assert roaming.station.commands == [Reset(kind="Soft")]
    assert await code_of(operator.operate("CS99", GetConfiguration(), "desk")) == 404
    await roaming.station.go_offline()
    await trio.sleep(0.1)
    assert (await roaming.local.command("CS01", GetConfiguration())).verdict is CallVerdict.NEVER_SENT


async def test_the_log_of_a_station_is_shown_by_kind_and_page(autojump_clock: object, roaming: Roaming) -> None:
    operators = roaming.local.operator
    for status in ("Downloading", "Installed"):
        await roaming.station.say(FirmwareStatus(status=status))
    await roaming.station.say(LogStatus(status="Uploaded"))
    newest = await operators.station_log("CS01", limit=1)
    assert [(entry.kind, entry.report["status"]) for entry in newest.items] == [("LogStatus", "Uploaded")]
    firmware = await operators.station_log("CS01", kind="FirmwareStatus")
    assert [entry.report["status"] for entry in firmware.items] == ["Installed", "Downloading"]
    older = await operators.station_log("CS01", cursor=newest.next_cursor)
    assert older.items == firmware.items
    assert await code_of(operators.station_log("CS99")) == 404


async def test_the_operator_stops_a_roaming_charge_and_the_record_is_made(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    view = await roaming.local.operator.stop("destination", charge.name)
    assert view.state == "StopTxRequested"
    await trio.sleep(0.1)
    assert roaming.station.commands[-1] == RemoteStopTransaction(transaction_id=charge.number)
    await roaming.station.stop(charge.number, 5_000, reason="Remote")
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 4_000
    assert await code_of(roaming.local.operator.stop("destination", charge.name)) == 409
    assert await code_of(roaming.home.operator.stop("source", charge.transaction_id)) == 409
    assert await code_of(roaming.local.operator.stop("destination", "FFFFFFFFFFFF")) == 404


async def test_transactions_are_listed_by_role_and_state(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.ready()
    operator = roaming.local.operator
    page = await operator.transactions(role="destination", state="Ready", cursor=None, limit=9)
    assert [view.authorization_identifier for view in page.items] == [charge.name]
    assert (await operator.transactions(role="local", state=None, cursor=None, limit=9)).items == ()
    assert (await operator.transaction("destination", charge.name)).pms_identifier == HOME
    assert await code_of(operator.transaction("destination", "FFFFFFFFFFFF")) == 404


async def test_the_last_open_session_is_the_newest_that_goes_on_else_the_newest(
    autojump_clock: object, roaming: Roaming
) -> None:
    operator = roaming.local.operator
    assert await operator.last_open_session() is None
    first = await roaming.running()
    await trio.sleep(1)
    second = await roaming.ready("2")
    await trio.sleep(901)
    shown = await operator.last_open_session()
    assert shown is not None and shown.authorization_identifier == first.name, "the second has lapsed"
    await roaming.station.stop(first.number, 5_000)
    await roaming.settled(first)
    shown = await operator.last_open_session()
    assert shown is not None and shown.authorization_identifier == second.name


async def test_partners_are_those_of_either_role_and_no_other(
    autojump_clock: object, nursery: trio.Nursery, roaming: Roaming
) -> None:
    async with open_house("FR-002", nursery) as other:
        link(roaming.local, other)
        names = [peer.pms_identifier for peer in (await roaming.local.operator.peers()).items]
        assert names == ["FR-002", HOME]
    for ask in (
        roaming.local.operator.block_peer("XX-000", True),
        roaming.local.operator.replay_parked("XX-000", None, 9),
        roaming.local.operator.replay(1),
    ):
        assert await code_of(ask) == 404


async def test_a_peer_is_suspect_then_down_then_up_by_the_deliveries_that_are_due(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    roaming.back.down = True
    await roaming.station.stop(charge.number, 5_000)
    seen = []
    for _ in range(10):
        await trio.sleep(120)
        (peer,) = (await roaming.local.operator.peers()).items
        seen.append(peer.state)
    assert list(dict.fromkeys(seen)) == ["Suspect", "Down"]
    calls = len(roaming.back.sent)
    await trio.sleep(300)
    assert len(roaming.back.sent) <= calls + 1, "no synthetic call asks whether it is there"
    roaming.back.down = False
    await roaming.settled(charge, within_s=1_000)
    (peer,) = (await roaming.local.operator.peers()).items
    assert peer.state == "Up"


async def test_charge_records_are_shown_as_each_role_holds_them(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    await roaming.station.stop(charge.number, 5_000)
    await roaming.settled(charge)
    (received,), (made,) = await roaming.cdrs()
    assert (received.pms_identifier, received.status) == (LOCAL, "received")
    assert (made.pms_identifier, made.status) == (HOME, "acknowledged")


async def test_charge_records_are_found_by_partner_status_and_time(autojump_clock: object, roaming: Roaming) -> None:
    for _ in range(2):
        charge = await roaming.running()
        await roaming.station.stop(charge.number, 5_000)
        await roaming.settled(charge)
        await roaming.leave()
        await trio.sleep(600)
    later, earlier = (await roaming.local.operator.cdrs()).items

    async def found(**search: Any) -> list[CdrView]:
        return list((await roaming.local.operator.cdrs(**search)).items)

    assert await found(role="destination", partner=HOME, status="acknowledged") == [later, earlier]
    assert await found(partner="NOBODY") == await found(status="overdue", partner=HOME) == []
    assert await found(since=later.end_timestamp) == [later]
    assert await found(until=later.end_timestamp, status="acknowledged") == [earlier]


async def test_a_dead_letter_that_was_altered_on_the_disk_is_listed_without_what_it_says(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    await roaming.station.stop(charge.number, 5_000)
    await roaming.settled(charge)
    alter = "UPDATE deliveries SET status = 'parked', body = CAST('{' AS BLOB) WHERE operation = 'EndTransaction'"
    await roaming.local.context.journal.store.write(lambda connection: connection.exec_driver_sql(alter))
    (shown,) = (await roaming.local.operator.deliveries(status="parked", peer=HOME)).items
    assert (shown.operation, shown.transaction, shown.message) == ("", "", {})
    assert "altered on the disk" in str(shown.error)
