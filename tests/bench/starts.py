"""How long a node takes from the start of its process until it is ready, with warm caches and a journal that exists."""

from __future__ import annotations

from statistics import median
from time import perf_counter

from tests.bench.measures import Figure, scratch
from tests.bench.nodes import Node, two_operators

STARTS = 5


def figures() -> list[Figure]:
    with scratch() as folder:
        _, node = two_operators(folder, stations={"CS01": 2})
        times = [_start(node) for _ in range(1 + STARTS)][1:]
    return [Figure(figure="start_s", value=round(median(times), 2), unit="s", goal="<= 2.5", n=STARTS)]


def _start(node: Node) -> float:
    begun = perf_counter()
    node.launch()
    node.wait_until_ready()
    took = perf_counter() - begun
    node.end()
    return took
