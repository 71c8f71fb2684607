"""`/api/v1` for user apps and operators: what goes in reaches the door, what comes back is whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from statecharts import station_commands as commands
from statecharts import station_vocabulary as values
from statecharts.vocabulary import Location, ServiceType
from tests.unit.rest.fakes import CDR, READY, World

V1 = "/api/v1"
LATER = datetime(2026, 5, 17, 13, tzinfo=UTC)
ASKED = {"user_identifier": "alice", "destination": "IE-001", "local_service_identifier": "DEMO_001"}


async def body_of(response: Any) -> Any:
    return msgspec.json.decode(await response.get_data())


async def test_an_authorization_is_created_once_per_idempotency_key() -> None:
    world = World()
    response = await world.ask("POST", f"{V1}/authorizations", json=ASKED, headers={"Idempotency-Key": "key-1"})
    assert response.status_code == 201
    assert response.headers["Location"] == f"{V1}/transactions/tx-1"
    assert world.apps.asked[0].idempotency_key == "key-1"
    shown = await body_of(response)
    assert shown["state"] == "Ready"
    assert shown["expires_at"] == "2026-05-17T12:15:00Z"


async def test_a_transaction_is_shown_with_its_defaults_and_without_what_is_absent() -> None:
    shown = await body_of(await World(READY).ask("GET", f"{V1}/transactions/tx-1"))
    assert shown["service_type"] == "EV_CHARGING"
    assert shown["flags"] == shown["operations"] == []
    assert "cdr" not in shown
    assert "energy_wh" not in shown


async def test_transactions_are_listed_by_page() -> None:
    world = World(READY, msgspec.structs.replace(READY, transaction_id="tx-2"))
    response = await world.ask("GET", f"{V1}/transactions?limit=1&state=Ready&user=alice&cursor=abc")
    assert world.apps.asked == [("Ready", "alice", "abc", 1)]
    page = await body_of(response)
    assert [item["transaction_id"] for item in page["items"]] == ["tx-1"]
    assert page["next_cursor"] == "next"


async def test_start_answers_202_with_what_it_waits_for_and_until_when() -> None:
    world = World(READY)
    response = await world.ask("POST", f"{V1}/transactions/tx-1/start", headers={"Idempotency-Key": "k"})
    assert response.status_code == 202
    assert response.headers["Location"] == f"{V1}/transactions/tx-1"
    shown = await body_of(response)
    assert shown["operation"]["waits_for"] == "notifyRequestResult"
    assert shown["operation"]["until"] == "2026-05-17T12:04:00Z"
    assert shown["transaction"]["state"] == "StartTxRequested"
    assert ("start", "tx-1", "k") in world.apps.asked


async def test_stop_of_what_does_not_run_is_a_409_with_its_kind() -> None:
    response = await World(READY).ask("POST", f"{V1}/transactions/tx-1/stop")
    assert response.status_code == 409
    assert (await body_of(response))["kind"] == "not-started"


async def test_the_receipt_is_a_409_until_the_cdr_is_there() -> None:
    world = World(READY)
    response = await world.ask("GET", f"{V1}/transactions/tx-1/receipt")
    assert response.status_code == 409
    assert (await body_of(response))["kind"] == "no-receipt-yet"
    world.apps.change("tx-1", cdr=CDR)
    shown = await body_of(await world.ask("GET", f"{V1}/transactions/tx-1/receipt"))
    assert (shown["cdr_id"], shown["energy_wh"], shown["flags"]) == ("IE-001/0A1B2C3D4E5F", 12345, [])


@pytest.mark.parametrize("path", ["", "/receipt", "/events"])
async def test_a_foreign_transaction_is_a_404(path: str) -> None:
    response = await World(READY).ask("GET", f"{V1}/transactions/tx-1{path}", token="other-token")
    assert response.status_code == 404


async def test_local_services_are_searched_with_repeated_filters() -> None:
    world = World()
    query = "latitude=53.349805&longitude=-6.260310&radius_m=500&service_type=EV_CHARGING&service_type=PARKING"
    response = await world.ask("GET", f"{V1}/local-services?{query}&destination=IE-001&destination=NL-OTH")
    place = Location(latitude=Decimal("53.349805"), longitude=Decimal("-6.260310"))
    both = (ServiceType.EV_CHARGING, ServiceType.PARKING)
    assert world.apps.asked == [(place, 500, both, ("IE-001", "NL-OTH"))]
    assert b'"latitude":53.349805,"longitude":-6.260310' in await response.get_data()
    shown = await body_of(response)
    assert shown["local_services"][0]["distance_m"] == 250
    assert shown["unanswered"] == {"NL-OTH": "no answer within 5 s"}


async def test_one_local_service_is_shown_or_404() -> None:
    world = World()
    assert (await world.ask("GET", f"{V1}/local-services/IE-001/DEMO_001")).status_code == 200
    assert (await world.ask("GET", f"{V1}/local-services/IE-001/NONE")).status_code == 404


async def operate(world: World, method: str, path: str, json: Any = None) -> Any:
    return await world.ask(method, f"{V1}/operator{path}", token="operator-token", json=json)


@pytest.mark.parametrize(
    "path", ["/transactions", "/cdrs", "/stations", "/peers", "/deliveries", "/deliveries/summary", "/quarantine"]
)
async def test_operators_see_lists_that_apps_do_not(path: str) -> None:
    world = World()
    assert len((await body_of(await operate(world, "GET", path)))["items"]) == 1
    assert (await world.ask("GET", f"{V1}/operator{path}")).status_code == 403


async def test_operator_filters_reach_the_door() -> None:
    world = World()
    await operate(world, "GET", "/transactions?role=destination&state=TxRunning&limit=7")
    await operate(world, "GET", "/cdrs?role=source&partner=IE-002&status=conflict&since=2026-01-01T00:00:00Z&limit=3")
    records = {"role": "source", "partner": "IE-002", "status": "conflict", "since": datetime(2026, 1, 1, tzinfo=UTC)}
    assert world.operators.asked == [({"role": "destination", "state": "TxRunning"}, None, 7), (records, None, 3)]


async def test_a_transaction_is_found_by_role_and_id() -> None:
    world = World()
    assert (await body_of(await operate(world, "GET", "/transactions/local/tx-1")))["role"] == "local"
    assert (await operate(world, "GET", "/transactions/local/none")).status_code == 404
    assert (await operate(world, "GET", "/transactions/wrong/tx-1")).status_code == 404


async def test_an_operator_starts_and_stops_local_transactions() -> None:
    world = World()
    response = await operate(world, "POST", "/stations/CS01/transactions", {"connector_id": 1, "id_tag": "RFID1"})
    assert response.status_code == 202
    assert response.headers["Location"] == f"{V1}/operator/transactions/local/local-1"
    assert world.operators.asked == [("CS01", 1, "RFID1")]
    assert (await operate(world, "POST", "/transactions/destination/tx-1/stop")).status_code == 202


PROFILE = values.ChargingProfile(
    profile_id=1,
    stack_level=0,
    purpose="TxProfile",
    kind="Absolute",
    schedules=(
        values.ChargingSchedule(
            rate_unit="A", periods=(values.ChargingPeriod(start_s=0, limit=Decimal("16.5"), phases=3),), duration_s=3600
        ),
    ),
)
COMMANDS: tuple[commands.StationCommand, ...] = (
    commands.RemoteStartTransaction(id_tag="RFID1", connector_id=1, charging_profile=PROFILE),
    commands.RemoteStopTransaction(transaction_id=-1),
    commands.GetTransactionStatus(transaction_id=7),
    commands.GetBaseReport(request_id=7, base="SummaryInventory"),
    commands.UnlockConnector(connector_id=2),
    commands.ReserveNow(reservation_id=1, connector_id=0, expiry_date=LATER, id_tag="RFID1", parent_id_tag="GROUP"),
    commands.CancelReservation(reservation_id=1),
    commands.SetChargingProfile(connector_id=0, charging_profile=PROFILE),
    commands.ClearChargingProfile(purpose="TxProfile", stack_level=0),
    commands.GetCompositeSchedule(connector_id=1, duration_s=3600, rate_unit="A"),
    commands.Reset(kind="Soft"),
    commands.ChangeAvailability(connector_id=0, kind="Inoperative"),
    commands.ChangeConfiguration(key="HeartbeatInterval", value="60"),
    commands.GetConfiguration(keys=("HeartbeatInterval",)),
    commands.TriggerMessage(what="StatusNotification", connector_id=1),
    commands.CentralDataTransfer(vendor_id="org.example", data="x"),
    commands.ClearCache(),
    commands.SendLocalList(
        version=1,
        update="Differential",
        entries=(
            commands.LocalListEntry(id_tag="A", id_tag_info=values.IdTagInfo(status=values.IdTagStatus.ACCEPTED)),
            commands.LocalListEntry(id_tag="B"),
        ),
    ),
    commands.GetLocalListVersion(),
    commands.UpdateFirmware(location="https://example.org/fw", retrieve_at=LATER, retries=3),
    commands.GetLog(location="https://example.org/log", log_type="SecurityLog", request_id=1, oldest=LATER),
    commands.InstallCertificate(certificate_type="CSMSRootCertificate", certificate="PEM"),
    commands.DeleteCertificate(
        certificate=commands.CertificateHash(
            algorithm="SHA256", issuer_name_hash="0a", issuer_key_hash="0b", serial_number="0c"
        )
    ),
    commands.GetInstalledCertificateIds(certificate_types=("CSMSRootCertificate",)),
    commands.CertificateSigned(certificate_chain="PEM"),
    commands.PlainCommand(action="ClearDisplayMessage", payload={"id": 1}),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
async def test_every_command_reaches_its_station(command: commands.StationCommand) -> None:
    world = World()
    told = msgspec.json.decode(msgspec.json.Encoder(decimal_format="number").encode(command))
    json = {"command": told.pop("type"), **told}
    assert (await operate(world, "POST", "/stations/CS01/commands", json)).status_code == 202
    assert world.operators.asked == [command]


async def test_every_command_of_the_vocabulary_can_be_sent() -> None:
    assert {type(command) for command in COMMANDS} == set(commands.StationCommand.__args__)


async def test_a_command_is_answered_at_once_with_the_operation_that_it_is() -> None:
    world = World()
    response = await operate(world, "POST", "/stations/CS01/commands", {"command": "Reset", "kind": "Soft"})
    assert (response.status_code, response.headers["Location"]) == (202, "/api/v1/operator/operations/op-1")
    shown = await body_of(response)
    assert (shown["command"], shown["state"], shown["waits_for"]) == ("Reset", "Waiting", "the station boots")
    assert "cause" not in shown


async def test_an_operation_is_waited_for_as_long_as_was_asked() -> None:
    world = World()
    assert (await operate(world, "GET", "/operations/op-1?wait_s=20")).status_code == 200
    assert world.operators.asked == [("wait", 20)]


async def test_operations_are_listed_by_what_was_asked_for() -> None:
    world = World()
    asked = "station=CS01&command=Reset&state=Waiting&by=console&limit=7"
    response = await operate(world, "GET", f"/operations?{asked}")
    assert [each["id"] for each in (await body_of(response))["items"]] == ["op-1"]
    assert world.operators.asked == [("operations", "CS01", "Reset", "Waiting", "console", 7)]


@pytest.mark.parametrize(
    ("json", "field"),
    [
        ({"command": "Explode"}, "command"),
        ({}, "command"),
        ({"command": "Reset", "kind": "Warm"}, "kind"),
        ({"command": "Reset"}, "kind"),
        ({"command": "Reset", "kind": "Soft", "typo": 1}, "typo"),
        ({"command": "UnlockConnector", "connector_id": 0}, "connector_id"),
        ({"command": "UnlockConnector", "connector_id": 10**30}, "connector_id"),
        ({"command": "RemoteStartTransaction", "id_tag": "x" * 21}, "id_tag"),
        ({"command": "GetConfiguration", "keys": ["ok", ""]}, "keys[1]"),
    ],
)
async def test_a_wrong_command_names_the_field_and_reaches_nobody(json: dict[str, Any], field: str) -> None:
    world = World()
    response = await operate(world, "POST", "/stations/CS01/commands", json)
    assert response.status_code == 400
    [error] = (await body_of(response))["errors"]
    assert field in (error["field"] or error["reason"])
    assert world.operators.asked == []


async def test_peers_are_blocked_and_unblocked() -> None:
    world = World()
    assert (await body_of(await operate(world, "POST", "/peers/IE-001/block")))["state"] == "Blocked"
    assert (await body_of(await operate(world, "POST", "/peers/IE-001/unblock")))["state"] == "Up"
    assert (await operate(world, "POST", "/peers/NONE/block")).status_code == 404


async def test_a_parked_delivery_is_replayed() -> None:
    world = World()
    shown = await body_of(await operate(world, "POST", "/deliveries/7/replay"))
    assert (shown["id"], shown["status"]) == (7, "pending")
    assert world.operators.asked == [("replay", 7)]
    for unknown in ("8", "9" * 18, "9" * 19, "9" * 5000, "x", "-1"):
        assert (await operate(world, "POST", f"/deliveries/{unknown}/replay")).status_code == 404


async def test_all_dead_letters_of_a_partner_are_replayed_as_many_as_are_asked_for() -> None:
    world = World()
    asked = {"peer": "IE-001", "operation": "EndTransaction", "limit": 5}
    assert await body_of(await operate(world, "POST", "/deliveries/replay", json=asked)) == {"replayed": 5, "left": 2}
    assert await body_of(await operate(world, "POST", "/deliveries/replay", json={"peer": "IE-001"})) == {
        "replayed": 200,
        "left": 2,
    }
    assert world.operators.asked == [("replay", "IE-001", "EndTransaction", 5), ("replay", "IE-001", None, 200)]


async def test_a_search_for_deliveries_reaches_the_door_as_it_was_asked() -> None:
    world = World()
    await operate(world, "GET", "/deliveries?peer=IE-001&status=parked&overdue=true&since=2026-05-17T13:00:00Z&limit=3")
    (search, cursor, limit) = world.operators.asked[0]
    assert search == {"peer": "IE-001", "status": "parked", "overdue": True, "since": LATER}
    assert (cursor, limit) == (None, 3)


async def test_what_was_put_aside_is_shown_and_released() -> None:
    world = World()
    put_aside = "/quarantine/destination/0A1B2C3D4E5F"
    assert (await body_of(await operate(world, "GET", put_aside)))["message_type"] == "StopAsked"
    for message in ("hand-over", "dismiss"):
        assert (await operate(world, "POST", f"{put_aside}/release", {"message": message})).status_code == 204
    assert world.operators.asked == [("release", "destination/0A1B2C3D4E5F", again) for again in (True, False)]
    assert (await operate(world, "POST", f"{put_aside}/release", {"message": "burn"})).status_code == 400
    assert (await operate(world, "POST", f"{put_aside}/release", {})).status_code == 400
    assert (await operate(world, "GET", "/quarantine/local/7")).status_code == 404
    assert (await operate(world, "GET", "/quarantine/wrong/7")).status_code == 404


async def test_the_names_of_what_changes_are_streamed() -> None:
    response = await operate(World(), "GET", "/changes")
    assert response.content_type.startswith("text/event-stream")
    told = (await response.get_data()).decode()
    events = [block for block in told.split("\n\n") if block.startswith("event: changed")]
    assert [json.loads(block.partition("data: ")[2]) for block in events] == [
        {"resource": "stations", "id": "CS01"},
        {"resource": "audit", "id": ""},
    ]
    assert ": keep-alive" in told
