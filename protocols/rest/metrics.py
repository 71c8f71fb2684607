"""`GET /metrics`: what the node counts and knows of itself, as Prometheus reads it.

For operators' tokens only: it names partners and says how busy the node is. No label ever names a user, a card, a
station or a transaction. What the figures mean stands in docs/metrics.md.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from itertools import accumulate

import trio
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from quart import g, request
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioResponse as Response

from protocols.rest.auth import BearerAuth
from protocols.rest.routes import Access, Routes
from statecharts.doors import Insight
from statecharts.meters import Meters, Reading, Spread, Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

UNKNOWN_ROUTE = "none"
"""The route of a request that fits no route: its own path would make as many labels as a stranger likes."""


def metrics_routes(auth: BearerAuth, meters: Meters, insight: Insight, version: str) -> Routes:
    """The route that answers Prometheus."""
    routes = Routes(name="metrics", prefix="", auth=auth, access=Access.OPERATOR, media_type="text/plain")

    @routes.get("/metrics", str)
    async def metrics() -> Response:
        """Shows all figures of the node in the text format of Prometheus."""
        text = exposition(meters, await insight.readings(), version)
        return Response(text, 200, {"Cache-Control": "no-store"}, content_type=CONTENT_TYPE)

    return routes


def count_requests(app: QuartTrio, meters: Meters) -> None:
    """Counts every request that reaches `app`, by its route and outcome."""

    @app.before_request
    async def _begin() -> None:
        g.began_at = trio.current_time()

    @app.after_request
    async def _count(response: Response) -> Response:
        rule = request.url_rule
        took_s = trio.current_time() - g.began_at
        known = (rule.rule, request.method) if rule else (UNKNOWN_ROUTE, UNKNOWN_ROUTE)
        meters.http_requests.saw(took_s, *known, str(response.status_code))
        return response


def exposition(meters: Meters, readings: tuple[Reading, ...], version: str) -> bytes:
    """All figures in the text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(meters, readings, version))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, meters: Meters, readings: tuple[Reading, ...], version: str) -> None:
        self._meters, self._readings, self._version = meters, readings, version

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("roamnode_build_info", "Which release runs, on which Python", labels=BUILD)
        build.add_metric([self._version, platform.python_version()], 1)
        yield build
        yield from self._bounds()
        for meter in self._meters:
            yield _counter(meter) if isinstance(meter, Tally) else _histogram(meter)
        for reading in self._readings:
            gauge = GaugeMetricFamily(reading.name, reading.meaning, labels=reading.labels)
            for labels, value in reading.samples:
                gauge.add_metric(labels, value)
            yield gauge

    def _bounds(self) -> Iterator[Metric]:
        limits = GaugeMetricFamily("roamnode_bound_limit", "The limit in force of each bound", labels=BOUND)
        highest = GaugeMetricFamily("roamnode_bound_highest", "The highest value since the start", labels=BOUND)
        for bound, value, limit in self._meters.watermarks:
            limits.add_metric([bound.name, bound.unit], limit)
            highest.add_metric([bound.name, bound.unit], value)
        yield limits
        yield highest


BUILD = ("version", "python")
BOUND = ("bound", "unit")


def _counter(tally: Tally) -> Metric:
    family = CounterMetricFamily(tally.name, tally.meaning, labels=tally.labels)
    for labels, count in tally:
        family.add_metric(labels, count)
    return family


def _histogram(spread: Spread) -> Metric:
    family = HistogramMetricFamily(spread.name, spread.meaning, labels=spread.labels)
    ends = [*(f"{end:g}" for end in spread.ends), "+Inf"]
    for labels, counts, total in spread:
        family.add_metric(labels, list(zip(ends, accumulate(counts), strict=True)), total)
    return family
