"""The OpenAPI document tells of every route, and every answer that the other tests get is one that it allows."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import msgspec
import pytest

from protocols.rest.kinds import KINDS
from protocols.rest.paths import path_of
from protocols.rest.schemas import Schemas
from tests.unit.rest.fakes import CDR, READY, World

DOCUMENT = "/api/openapi.json"


async def document(world: World | None = None) -> Any:
    response = await (world or World()).ask("GET", DOCUMENT, token=None)
    assert response.status_code == 200
    return msgspec.json.decode(await response.get_data())


def operations(shown: Any) -> dict[str, Any]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in shown["paths"].items()
        for method, operation in methods.items()
    }


async def test_every_route_is_described_and_none_that_is_not_there() -> None:
    world = World()
    mounted = {
        f"{method} {path_of(rule.rule)}"
        for rule in world.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert mounted == set(operations(await document(world)))


async def test_a_role_that_is_not_played_is_not_described() -> None:
    shown = operations(await document(World(source=False, dv1=False)))
    assert not [name for name in shown if "sv1" in name or "dv1" in name or name.endswith("/authorizations")]
    assert "GET /api/v1/operator/transactions" in shown


async def test_every_route_says_what_it_does_and_who_may() -> None:
    for name, operation in operations(await document()).items():
        assert operation["summary"], name
        assert operation["security"] or name.startswith(("GET /health", f"GET {DOCUMENT}", "GET /api/docs")), name
        assert {"500"} <= set(operation["responses"]), name


async def test_what_it_refers_to_is_there_and_all_that_is_there_is_referred_to() -> None:
    shown = await document()
    text = msgspec.json.encode(shown).decode()
    for group in ("schemas", "responses"):
        for name in shown["components"][group]:
            assert text.count(f'"#/components/{group}/{name}"') >= 1, name
    told = {part.split('"')[0] for part in text.split("#/components/")[1:]}
    assert told == {f"{group}/{name}" for group in ("schemas", "responses") for name in shown["components"][group]}


async def test_the_schemas_are_schemas_and_the_examples_fit_them() -> None:
    shown = await document()
    examples = 0
    for operation in operations(shown).values():
        for media in operation.get("requestBody", {}).get("content", {}).values():
            validator = jsonschema_rs.Draft202012Validator({**media["schema"], "components": shown["components"]})
            if "example" in media:
                validator.validate(media["example"])
                examples += 1
    assert examples >= 4


async def test_it_is_cached_by_its_etag() -> None:
    world = World()
    first = await world.ask("GET", DOCUMENT, token=None)
    again = await world.ask("GET", DOCUMENT, token=None, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, await again.get_data()) == (304, b"")
    other = await world.ask("GET", DOCUMENT, token=None, headers={"If-None-Match": '"other"'})
    assert (await other.get_data()) == await first.get_data()


ASKED = {"user_identifier": "alice", "destination": "IE-001", "local_service_identifier": "DEMO_001"}
SV1, DV1, OPERATOR = "/rest/mobieurope/source/sv1", "/rest/mobieurope/destination/dv1", "/api/v1/operator"
NEARBY = {"location": {"latitude": 1.0, "longitude": 2}, "searchRadius": 5}
HOURS = {
    "weekly": [{"weekday": 1, "opens": "08:00", "closes": "24:00"}],
    "exceptions": [{"begins": "2026-12-24T00:00:00Z", "ends": "2026-12-27T00:00:00Z", "is_open": False, "why": "Yule"}],
}
STATION = {"connectors": 1, "location": {"latitude": 52.3702, "longitude": 4.8952}}
REQUESTS: list[tuple[str, str, Any, int]] = [
    *(("GET", path, None, 200) for path in ("/health", "/health/live", "/health/ready", "/metrics")),
    ("POST", "/api/v1/authorizations", ASKED, 201),
    ("POST", "/api/v1/authorizations", ASKED | {"local_service_identifier": "BUSY"}, 409),
    ("POST", "/api/v1/authorizations", {}, 400),
    ("GET", "/api/v1/transactions", None, 200),
    ("GET", "/api/v1/transactions?limit=0", None, 400),
    ("GET", "/api/v1/transactions/tx-1", None, 200),
    ("GET", "/api/v1/transactions/tx-2", None, 404),
    ("GET", "/api/v1/transactions/tx-1/receipt", None, 200),
    ("POST", "/api/v1/transactions/tx-1/start", None, 202),
    ("POST", "/api/v1/transactions/tx-1/stop", None, 409),
    ("GET", "/api/v1/local-services?latitude=1&longitude=2&radius_m=5", None, 200),
    ("GET", "/api/v1/local-services/IE-001/DEMO_001", None, 200),
    ("GET", f"{OPERATOR}/transactions", None, 200),
    ("GET", f"{OPERATOR}/transactions/destination/tx-1", None, 200),
    ("POST", f"{OPERATOR}/transactions/destination/tx-1/stop", None, 202),
    ("POST", f"{OPERATOR}/transactions/destination/tx-1/close", {"reason": "towed away"}, 200),
    ("POST", f"{OPERATOR}/transactions/destination/tx-1/close", {}, 400),
    ("GET", f"{OPERATOR}/cdrs", None, 200),
    ("GET", f"{OPERATOR}/cdrs/export?status=overdue", None, 200),
    ("GET", f"{OPERATOR}/cdrs/export?format=json", None, 200),
    ("GET", f"{OPERATOR}/cdrs/export?format=xml", None, 400),
    ("GET", f"{OPERATOR}/orphans?station=CS01&kind=StopTransaction&state=open", None, 200),
    ("GET", f"{OPERATOR}/orphans?state=lost", None, 400),
    ("GET", f"{OPERATOR}/orphans/1", None, 200),
    ("GET", f"{OPERATOR}/orphans/2", None, 404),
    ("POST", f"{OPERATOR}/orphans/1/assign", {"role": "local", "transaction_id": "7"}, 200),
    ("POST", f"{OPERATOR}/orphans/1/assign", {"role": "source", "transaction_id": "7"}, 400),
    ("POST", f"{OPERATOR}/orphans/1/dismiss", {"reason": "a test"}, 200),
    ("POST", f"{OPERATOR}/orphans/1/dismiss", {}, 400),
    ("GET", f"{OPERATOR}/quirks?vendor=Acme&station=CS01", None, 200),
    ("GET", f"{OPERATOR}/stations", None, 200),
    ("GET", f"{OPERATOR}/stations?standing=Accepted&online=true&text=cs", None, 200),
    ("GET", f"{OPERATOR}/stations?standing=Lost", None, 400),
    ("GET", f"{OPERATOR}/stations/CS01", None, 200),
    ("GET", f"{OPERATOR}/stations/CS02", None, 404),
    ("POST", f"{OPERATOR}/stations", STATION | {"identity": "CS07"}, 201),
    ("POST", f"{OPERATOR}/stations", STATION | {"identity": "CS01"}, 409),
    ("POST", f"{OPERATOR}/stations", STATION | {"identity": "CS/07"}, 400),
    ("POST", f"{OPERATOR}/stations", STATION | {"identity": "CS07", "password": "short"}, 400),
    ("PATCH", f"{OPERATOR}/stations/CS01", {"price_note": "0.39 EUR/kWh", "opening_hours": HOURS}, 200),
    ("PATCH", f"{OPERATOR}/stations/CS01", {"opening_hours": HOURS | {"around_the_clock": True}}, 400),
    ("PATCH", f"{OPERATOR}/stations/CS01", {"location": {"latitude": 91, "longitude": 0}}, 400),
    ("PATCH", f"{OPERATOR}/stations/CS01", {"address": None, "connectors": 3}, 200),
    ("PATCH", f"{OPERATOR}/stations/CS02", {}, 404),
    ("POST", f"{OPERATOR}/stations/CS01/credentials", {}, 200),
    ("POST", f"{OPERATOR}/stations/CS01/credentials", {"password": "of sixteen bytes"}, 400),
    ("POST", f"{OPERATOR}/stations/CS01/credentials", {"password": "of-sixteen-bytes"}, 200),
    ("POST", f"{OPERATOR}/stations/CS01/accept", {}, 200),
    ("POST", f"{OPERATOR}/stations/CS02/accept", {"connectors": 2}, 404),
    ("POST", f"{OPERATOR}/stations/CS01/reject", {"reason": "not ours"}, 200),
    ("POST", f"{OPERATOR}/stations/CS01/reject", {}, 400),
    ("GET", f"{OPERATOR}/stations/CS01/local-list", None, 200),
    ("GET", f"{OPERATOR}/stations/CS99/local-list", None, 404),
    ("POST", f"{OPERATOR}/stations/CS01/local-list/push", None, 200),
    ("POST", f"{OPERATOR}/stations/CS01/retire", {"reason": "taken down"}, 200),
    ("GET", f"{OPERATOR}/stations/CS01/log?kind=SecurityEvent", None, 200),
    ("GET", f"{OPERATOR}/stations/CS02/log", None, 404),
    ("POST", f"{OPERATOR}/stations/CS01/commands", {"command": "ClearCache"}, 202),
    ("POST", f"{OPERATOR}/stations/CS02/commands", {"command": "ClearCache"}, 404),
    ("GET", f"{OPERATOR}/operations?station=CS01&state=Waiting", None, 200),
    ("GET", f"{OPERATOR}/operations?state=Lost", None, 400),
    ("GET", f"{OPERATOR}/operations/op-1?wait_s=1.5", None, 200),
    ("GET", f"{OPERATOR}/operations/op-1?wait_s=61", None, 400),
    ("GET", f"{OPERATOR}/operations/op-2", None, 404),
    ("POST", f"{OPERATOR}/stations/CS01/transactions", {"connector_id": 1.0, "id_tag": "A"}, 202),
    ("GET", f"{OPERATOR}/cards?group=FLEET-7&blocked=false&text=van", None, 200),
    ("GET", f"{OPERATOR}/cards?blocked=perhaps", None, 400),
    ("GET", f"{OPERATOR}/cards/04A1B2", None, 200),
    ("GET", f"{OPERATOR}/cards/04A1B3", None, 404),
    ("PUT", f"{OPERATOR}/cards/04A1B3", {"group": "FLEET-7", "valid_until": "2030-01-01T00:00:00Z"}, 200),
    ("PUT", f"{OPERATOR}/cards/04A1B3", {"valid_until": "2030-01-01T00:00:00"}, 400),
    ("PUT", f"{OPERATOR}/cards/04A1B3", {"valid_from": "2030-01-01T00:00:00Z", "valid_until": "2030-01-01T00:00:00Z"},
     400),
    ("PUT", f"{OPERATOR}/cards/04A1B3", {"id_tag": "04A1B4"}, 400),
    ("PUT", f"{OPERATOR}/cards/04A1B3", {"valid_until": "9999-12-31T23:59:59-14:00"}, 400),
    ("POST", f"{OPERATOR}/cards.csv?dry_run=true", "id_tag,group\r\n04A1B3,FLEET-7\r\n", 200),
    ("POST", f"{OPERATOR}/cards.csv", "id_tag,group\r\n04A1B3,FLEET 7\r\n", 400),
    ("GET", f"{OPERATOR}/cards.csv?group=FLEET-7", None, 200),
    ("GET", f"{OPERATOR}/groups?limit=5", None, 200),
    ("GET", f"{OPERATOR}/groups/FLEET-7", None, 200),
    ("GET", f"{OPERATOR}/groups/FLEET-9", None, 404),
    ("POST", f"{OPERATOR}/groups/FLEET-7/block", None, 200),
    ("POST", f"{OPERATOR}/groups/FLEET-7/unblock", None, 200),
    ("POST", f"{OPERATOR}/groups/FLEET-7/rename", {"group": "FLEET-8"}, 200),
    ("DELETE", f"{OPERATOR}/groups/FLEET-7", None, 204),
    ("DELETE", f"{OPERATOR}/cards/04A1B2", None, 204),
    ("DELETE", f"{OPERATOR}/cards/04A1B3", None, 404),
    ("GET", f"{OPERATOR}/peers", None, 200),
    ("GET", f"{OPERATOR}/peers/IE-001", None, 200),
    ("GET", f"{OPERATOR}/peers/XX-000", None, 404),
    ("POST", f"{OPERATOR}/peers/IE-001/test", None, 200),
    ("POST", f"{OPERATOR}/peers/XX-000/test", None, 404),
    ("POST", f"{OPERATOR}/peers/IE-001/block", None, 200),
    ("POST", f"{OPERATOR}/peers/IE-001/unblock", None, 200),
    ("GET", f"{OPERATOR}/deliveries?peer=IE-001&status=parked&overdue=true", None, 200),
    ("GET", f"{OPERATOR}/deliveries?since=yesterday", None, 400),
    ("GET", f"{OPERATOR}/deliveries/summary", None, 200),
    ("GET", f"{OPERATOR}/deliveries/7", None, 200),
    ("GET", f"{OPERATOR}/deliveries/8", None, 404),
    ("POST", f"{OPERATOR}/deliveries/7/replay", None, 200),
    ("POST", f"{OPERATOR}/deliveries/8/replay", None, 404),
    ("POST", f"{OPERATOR}/deliveries/replay", {"peer": "IE-001", "operation": "EndTransaction"}, 200),
    ("POST", f"{OPERATOR}/deliveries/replay", {"peer": "IE-001", "limit": 201}, 400),
    ("GET", f"{OPERATOR}/webhooks?limit=5", None, 200),
    ("POST", f"{OPERATOR}/webhooks", {"url": "https://erp.example", "events": ["cdr", "transaction"]}, 201),
    ("POST", f"{OPERATOR}/webhooks", {"url": "ftp://erp.example", "events": ["cdr"]}, 400),
    ("POST", f"{OPERATOR}/webhooks", {"url": "https://erp.example", "events": []}, 400),
    ("POST", f"{OPERATOR}/webhooks", {"url": "https://erp.example", "events": ["cdr"], "roles": ["local"]}, 400),
    ("GET", f"{OPERATOR}/webhooks/hook-1", None, 200),
    ("GET", f"{OPERATOR}/webhooks/hook-2", None, 404),
    ("POST", f"{OPERATOR}/webhooks/hook-1/pause", None, 200),
    ("POST", f"{OPERATOR}/webhooks/hook-1/resume", None, 200),
    ("DELETE", f"{OPERATOR}/webhooks/hook-1", None, 204),
    ("GET", f"{OPERATOR}/webhooks/hook-1/deliveries?status=given-up", None, 200),
    ("GET", f"{OPERATOR}/webhooks/hook-1/deliveries?status=lost", None, 400),
    ("GET", f"{OPERATOR}/webhooks/hook-1/deliveries/7", None, 200),
    ("GET", f"{OPERATOR}/webhooks/hook-1/deliveries/8", None, 404),
    ("POST", f"{OPERATOR}/webhooks/hook-1/deliveries/7/replay", None, 200),
    ("GET", f"{OPERATOR}/audit?by=operator&since=2026-05-17T12:00:00Z", None, 200),
    ("GET", f"{OPERATOR}/audit?since=yesterday", None, 400),
    ("GET", f"{OPERATOR}/quarantine", None, 200),
    ("GET", f"{OPERATOR}/quarantine/destination/0A1B2C3D4E5F", None, 200),
    ("POST", f"{OPERATOR}/quarantine/destination/0A1B2C3D4E5F/release", {"message": "dismiss"}, 204),
    ("POST", f"{SV1}/authorize", {"userIdentifier": "alice", "servicePms": "IE-001", "localServiceIdentifier": "X"},
     200),
    ("POST", f"{SV1}/requestStartTransaction", {"authorizationIdentifier": "0A1B2C3D4E5F"}, 200),
    ("POST", f"{SV1}/requestStopTransaction", {"authorizationIdentifier": "0A1B2C3D4E5F"}, 400),
    ("POST", f"{SV1}/session", "0A1B2C3D4E5F", 200),
    ("POST", f"{SV1}/getLocalServicesList", NEARBY, 200),
    ("POST", f"{SV1}/getLocalServiceStatus", {"servicePms": "IE-001", "localServiceIdentifier": "DEMO_001"}, 200),
    ("GET", f"{DV1}/lastopensession", None, 200),
    ("GET", "/api/v1/transactions/tx-1/course", None, 200),
    ("GET", f"{OPERATOR}/transactions/source/tx-1/timeline", None, 200),
    *(("GET", path, None, 200) for path in (DOCUMENT, "/api/docs", "/api/docs/style.css")),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status"), REQUESTS, ids=lambda part: str(part)[:50])
async def test_an_answer_is_what_the_document_says(method: str, path: str, body: Any, status: int) -> None:
    world = World(msgspec.structs.replace(READY, cdr=CDR))
    world.operators.last = READY
    sent = {"Content-Type": "text/csv"} if ".csv" in path else {}
    text = {"data": body, "headers": sent} if isinstance(body, str) else {"json": body}
    response = await world.ask(method, path, token="operator-token", **text)
    assert response.status_code == status, await response.get_data()
    shown = await document(world)
    told = operations(shown)
    named = [name for name in told if _is_asked(name, method, path.partition("?")[0])]
    operation = told[min(named, key=lambda name: name.count("{"))]  # a path without places to fill in comes first
    assert_allowed(shown, operation, response, await response.get_data())


@pytest.mark.parametrize("card", ["two words", "A" * 37, "K\u00fche", "a/b"])
async def test_what_no_station_can_say_is_no_card(card: str) -> None:
    world = World()
    response = await world.ask("PUT", f"{OPERATOR}/cards/{card}", token="operator-token", json={})
    assert (response.status_code, world.operators.asked) == (404, [])


def _is_asked(name: str, method: str, path: str) -> bool:
    told_method, _, template = name.partition(" ")
    parts, told = path.split("/"), template.split("/")
    fitting = [a == b or b.startswith("{") for a, b in zip(parts, told, strict=False)]
    return told_method == method and len(parts) == len(told) and all(fitting)


def assert_allowed(shown: Any, operation: Any, response: Any, content: bytes) -> None:
    status = str(response.status_code)
    told = operation["responses"][status]
    told = shown["components"]["responses"][told["$ref"].rpartition("/")[2]] if "$ref" in told else told
    for name, header in told["headers"].items():
        assert name in response.headers or not header.get("required"), name
    if "content" not in told:
        assert content == b""
        return
    schema = told["content"][response.mimetype]["schema"]
    value = content.decode() if response.mimetype.startswith("text/") else msgspec.json.decode(content)
    jsonschema_rs.Draft202012Validator({**schema, "components": shown["components"]}).validate(value)


async def test_every_route_has_an_answer_that_was_compared() -> None:
    streams = {f"GET {path}/events" for path in ("/api/v1", OPERATOR, "/api/v1/transactions/{transaction_id}")}
    streams.add(f"GET {OPERATOR}/changes")
    compared = {
        name
        for name in operations(await document())
        if any(_is_asked(name, method, path.partition("?")[0]) for method, path, _, _ in REQUESTS)
    }
    assert compared | streams == set(operations(await document()))


def test_two_types_of_one_name_are_noticed() -> None:
    schemas = Schemas()
    schemas.written(msgspec.defstruct("Thing", [("a", int)]))
    with pytest.raises(ValueError, match="Thing"):
        schemas.written(msgspec.defstruct("Thing", [("a", str)]))


def test_what_is_written_has_no_null_and_always_has_its_defaults() -> None:
    schemas = Schemas()
    schemas.written(msgspec.defstruct("Shown", [("a", int | None), ("b", tuple[str, ...], ())]))
    assert schemas.components["Shown"]["required"] == ["b"]
    assert schemas.components["Shown"]["properties"]["a"] == {"type": "integer"}


def test_every_kind_has_a_status_of_its_own_class() -> None:
    assert all(400 <= status <= 599 for status in KINDS.values())
