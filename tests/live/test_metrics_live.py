"""A node that has roamed shows it in its metrics, and every figure stands on the page that explains them."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.live.charging import Pair, begun, settled
from tests.live.operators import ROOT, Operator, Station

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-pair")]


def _metrics(operator: Operator) -> dict[str, dict[tuple[str, ...], float]]:
    """Metric -> label values in the order of the labels' names -> value; histograms by their count."""
    answer = operator.desk.get("/metrics")
    assert answer.status_code == 200, answer.text
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        kept = found.setdefault(family.name + ("_total" if family.type == "counter" else ""), {})
        for sample in family.samples:
            if sample.name.endswith(("_count", "_total")) or family.type == "gauge":
                kept[tuple(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


def test_a_charge_is_seen_in_the_metrics_of_both_and_each_is_explained(pair: Pair, station: Station) -> None:
    view = begun(pair, station)
    station.order(do="charge", wh=1_000)
    station.wait_for("metered")
    pair[0].request("stop", view["transaction_id"])
    settled(pair, station, view)
    home, local = (_metrics(operator) for operator in pair)
    assert home["roamnode_soap_sent_total"]["authorize", "answered"] >= 1
    assert local["roamnode_soap_received_total"]["authorize", "answered"] >= 1
    assert home["roamnode_soap_received_total"]["endTransaction", "answered"] >= 1
    assert home["roamnode_http_request_duration_seconds"]["POST", "/api/v1/authorizations", "201"] >= 1
    assert local["roamnode_ocpp_received_total"]["StartTransaction", "answered"] >= 1
    assert local["roamnode_ocpp_sent_total"]["RemoteStartTransaction", "Accepted"] >= 1
    assert local["roamnode_stations_online"] == {(): 1}
    assert local["roamnode_journal_commit_seconds"][()] >= 1

    named = set(re.findall(r"^\| `(roamnode_[a-z0-9_]+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
    shown = {name for figures in (home, local) for name in figures if name.startswith("roamnode_")}
    assert shown == named
