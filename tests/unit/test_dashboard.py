"""The dashboard that operators import shows what the node exposes, and says what each figure means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from actors.insight import Insight
from protocols.rest.metrics import exposition
from tests.support.house import open_house
from tests.support.sizes import ROOT

Document = dict[str, Any]

DASHBOARD: Document = msgspec.json.decode((ROOT / "examples" / "grafana-dashboard.json").read_bytes())
SHOWN = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
METRIC = re.compile(r"\b(?:roamnode|process)_[a-z0-9_]+")
GROUPING = re.compile(r"\bby \(([^)]*)\)")
MATCHED = re.compile(r"(\w+)=~?\"")
OF_PROMETHEUS = {"le", "instance", "job"}
"""Labels that are not the node's own."""


def expressions(panel: Document) -> Iterator[str]:
    yield from (target["expr"] for target in panel["targets"])


def queries() -> Iterator[str]:
    """All that the dashboard asks of Prometheus, its variables too."""
    for panel in SHOWN:
        yield from expressions(panel)
    yield from (each["definition"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query")


async def exposed(nursery: trio.Nursery) -> dict[str, set[str]]:
    """What a real node exposes: its metrics, as Prometheus keeps them, each with the labels that it has."""
    async with open_house("NL-MOT", nursery) as house:
        readings, meters = await Insight(house.context, trio.Event()).readings(), house.context.meters
        page = exposition(meters, readings, "1").decode()
    labels = {each.name: set(each.labels) for each in (*readings, *meters)}
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(page):
        name = family.name + ("_total" if family.type == "counter" else "")
        own = labels.get(name) or {label for sample in family.samples for label in sample.labels}
        ends = ("_bucket", "_count", "_sum") if family.type == "histogram" else ("",)
        found |= {name + end: own for end in ends}
    return found


async def test_every_metric_of_the_dashboard_is_one_that_the_node_exposes(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    found = await exposed(nursery)
    named = {name for query in queries() for name in METRIC.findall(query)}
    assert len(named) > 20
    assert named <= set(found)


async def test_every_metric_of_ours_is_on_the_dashboard(autojump_clock: object, nursery: trio.Nursery) -> None:
    named = {name for query in queries() for name in METRIC.findall(query)}
    families = {re.sub("_(bucket|count|sum)$", "", name) for name in named}
    ours = {name for name in await exposed(nursery) if name.startswith("roamnode_")}
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in ours} == families - {
        name for name in families if name.startswith("process_")
    }


async def test_it_asks_for_labels_that_a_metric_has(autojump_clock: object, nursery: trio.Nursery) -> None:
    found = await exposed(nursery)
    for target in (target for panel in SHOWN for target in panel["targets"]):
        query, shown = target["expr"], set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        has = {label for name in METRIC.findall(query) for label in found[name]} | OF_PROMETHEUS
        grouped = {label.strip() for group in GROUPING.findall(query) for label in group.split(",")}
        assert shown | grouped | set(MATCHED.findall(query)) <= has, query


@pytest.mark.parametrize("panel", SHOWN, ids=lambda panel: str(panel["title"]))
def test_a_panel_has_a_title_a_unit_and_words_for_what_it_shows(panel: Document) -> None:
    assert panel["title"] and len(panel["description"]) > 8 and panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"] and all(target["expr"] for target in panel["targets"])


def test_it_can_be_imported_and_asks_whichever_prometheus_is_chosen() -> None:
    assert DASHBOARD["schemaVersion"] >= 39
    assert DASHBOARD["id"] is None, "the id of another Grafana keeps it from being imported"
    (chosen,) = [each for each in DASHBOARD["templating"]["list"] if each["type"] == "datasource"]
    wanted = {"type": "prometheus", "uid": f"${{{chosen['name']}}}"}
    asked = [each["datasource"] for panel in SHOWN for each in (panel, *panel["targets"])]
    assert all(each == wanted for each in asked)


def test_no_panel_has_the_place_or_the_number_of_another() -> None:
    assert max(Counter(panel["id"] for panel in DASHBOARD["panels"]).values()) == 1
    taken: Counter[tuple[int, int]] = Counter()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        taken.update((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"]))
    assert max(taken.values()) == 1


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_brackets_of_a_query_are_closed(query: str) -> None:
    for opening, closing in ("()", "[]", "{}"):
        assert query.count(opening) == query.count(closing)
