"""/metrics: what Prometheus reads, for operators only, and a page that says what each figure means."""

from __future__ import annotations

import re
from time import process_time

from prometheus_client.parser import text_string_to_metric_families

from protocols.rest.metrics import exposition
from statecharts.bounds import BOUNDS, HTTP_CONNECTIONS
from statecharts.meters import Meters, Reading, Spread, Tally
from tests.support.sizes import ROOT
from tests.unit.rest.fakes import World

OPERATOR = "operator-token"


def _read(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """The samples of a page: name -> label values in the order of the labels' names -> value."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


async def _metrics(world: World) -> dict[str, dict[tuple[str, ...], float]]:
    response = await world.ask("GET", "/metrics", token=OPERATOR)
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return _read(await response.get_data(as_text=True))


async def test_metrics_are_for_operators() -> None:
    for token, status in ((None, 401), ("app-token", 403), (OPERATOR, 200)):
        assert (await World().ask("GET", "/metrics", token=token)).status_code == status


async def test_requests_are_counted_by_route_and_outcome_and_never_by_path() -> None:
    world = World()
    await world.ask("GET", "/api/v1/transactions/none-such")
    await world.ask("GET", "/api/v1/transactions/none-such-either")
    await world.ask("GET", "/made/up", token=None)
    await world.ask("PATCH", "/made/up/too", token=None)
    counts = (await _metrics(world))["roamnode_http_request_duration_seconds_count"]
    assert counts == {
        ("GET", "/api/v1/transactions/<identifier:transaction_id>", "404"): 2,
        ("none", "none", "404"): 2,
    }


async def test_bounds_are_shown_with_their_limit_and_highest_value() -> None:
    world = World()
    world.meters.watermarks.saw(HTTP_CONNECTIONS, 7)
    world.meters.watermarks.limit(HTTP_CONNECTIONS, 50)
    shown = await _metrics(world)
    assert shown["roamnode_bound_highest"][HTTP_CONNECTIONS.name, "connections"] == 7
    assert shown["roamnode_bound_limit"][HTTP_CONNECTIONS.name, "connections"] == 50
    assert {name for name, _ in shown["roamnode_bound_limit"]} == {bound.name for bound in BOUNDS}


async def test_what_is_looked_up_and_what_the_process_uses_stand_beside_what_is_counted() -> None:
    shown = await _metrics(World())
    assert shown["roamnode_deliveries"] == {("IE-001", "pending"): 2}
    assert shown["process_open_fds"][()] > 0
    assert shown["process_resident_memory_bytes"][()] > 0
    assert list(shown["roamnode_build_info"].values()) == [1]


def test_a_spread_becomes_a_histogram_and_a_tally_a_counter() -> None:
    meters = Meters()
    for value in (0.0005, 0.001, 0.2, 99.0):
        meters.journal_commits.saw(value)
    meters.http_refused.add("handshake")
    shown = _read(exposition(meters, (), "1").decode())
    assert shown["roamnode_journal_commit_seconds_bucket"]["0.001",] == 2
    assert shown["roamnode_journal_commit_seconds_bucket"]["0.25",] == 3
    assert shown["roamnode_journal_commit_seconds_bucket"]["+Inf",] == 4
    assert shown["roamnode_journal_commit_seconds_sum"][()] == 99.2015
    assert shown["roamnode_http_refused_total"]["handshake",] == 1


def test_names_follow_the_conventions() -> None:
    for meter in Meters():
        assert re.fullmatch(r"roamnode_[a-z0-9_]+", meter.name)
        assert meter.name.endswith("_total") == isinstance(meter, Tally), meter.name
        assert not {"user", "id_tag", "station", "transaction"}.intersection(meter.labels), "labels name nobody"


def test_counting_costs_little() -> None:
    """Below two microseconds, with room for a machine under load."""
    tally, spread, times = Tally("a_total", "", ("a", "b")), Spread("b", "", ("a",)), 20_000
    began = process_time()
    for _ in range(times):
        tally.add("x", "y")
        spread.saw(0.004, "x")
    assert (process_time() - began) / times < 10e-6


async def test_the_page_of_metrics_names_every_one_of_ours() -> None:
    """What the real node looks up beside it is held to the page by the live test of metrics."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(roamnode_[a-z0-9_]+)`", page, re.MULTILINE))
    own = {meter.name for meter in Meters()} | {"roamnode_build_info", "roamnode_bound_limit", "roamnode_bound_highest"}
    assert own <= named


async def test_a_request_that_is_answered_as_the_first_time_counts_as_a_duplicate_of_the_app() -> None:
    world = World()
    asked = {"user_identifier": "alice", "destination": "IE-001", "local_service_identifier": "DEMO_001"}
    for _ in range(3):
        await world.ask("POST", "/api/v1/authorizations", json=asked, headers={"Idempotency-Key": "k"})
    assert (await _metrics(world))["roamnode_duplicates_total"] == {("authorize", "app"): 2}


def test_a_reading_without_samples_is_still_announced() -> None:
    empty = Reading(name="roamnode_deliveries", meaning="Owed", labels=("peer",), samples=())
    assert b"# TYPE roamnode_deliveries gauge" in exposition(Meters(), (empty,), "1")
