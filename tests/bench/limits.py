"""What the node's figures are to be seen beside: the disk alone, HTTP alone, SOAP alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from time import perf_counter, process_time

import trio

from protocols.mobieurope.contract import destination_contract
from protocols.mobieurope.messages import Codec
from statecharts.vocabulary import Acknowledgement, EnergyUnit
from tests.bench.lean import Http
from tests.bench.measures import Figure, scratch
from tests.bench.nodes import running, two_operators

COMMITS, REQUESTS, MESSAGES, SPINS = 1_000, 800, 1_000, 2_000_000
START = (
    b'<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:p="http://webservice.pms.mobieurope.com">'
    b"<e:Body><p:requestStartTransactionRequest><requestIdentifier>f3ab1d2c-0000-4000-8000-000000000000"
    b"</requestIdentifier><authorizationIdentifier>0A1B2C3D4E5F</authorizationIdentifier>"
    b"</p:requestStartTransactionRequest></e:Body></e:Envelope>"
)


async def figures() -> list[Figure]:
    codec = Codec(destination_contract(), EnergyUnit.WH)
    return [
        _figure("limit_python_loop_ms", 1000 * _cpu_s(_spin), "ms", SPINS),
        _figure("limit_disk_commits_per_s", _commits_per_s(), "commits/s", COMMITS),
        _figure("limit_http_cpu_ms", await _http_cpu_ms(), "ms", REQUESTS),
        _figure("limit_soap_cpu_ms", 1000 * _cpu_s(lambda: _soap(codec)) / MESSAGES, "ms", MESSAGES),
    ]


def _figure(name: str, value: float, unit: str, n: int) -> Figure:
    return Figure(figure=name, value=round(value, 2), unit=unit, goal="", n=n)


def _cpu_s(work: Callable[[], None]) -> float:
    begun = process_time()
    work()
    return process_time() - begun


def _spin() -> None:
    """The same for every run: says how fast this machine is just now."""
    total = 0
    for number in range(SPINS):
        total += number * number


def _commits_per_s() -> float:
    """One row, one commit, one fsync, on Python's own sqlite3."""
    with scratch() as folder:
        database = sqlite3.connect(folder / "bare.db", isolation_level=None)
        database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE facts (data BLOB)")
        begun = perf_counter()
        for _ in range(COMMITS):
            database.execute("INSERT INTO facts VALUES (?)", (b"x" * 286,))
        took = perf_counter() - begun
        database.close()
    return COMMITS / took


async def _http_cpu_ms() -> float:
    """What a node spends on a request that asks for nothing; one connection serves a thousand of them at most."""
    with scratch() as folder:
        node, _ = two_operators(folder, stations={"CS01": 1})
        with running(node):
            http = await Http.open(node.operator.port, node.operator.app_token)
            await _ask(http, REQUESTS // 10)
            before = node.cpu_s
            await _ask(http, REQUESTS)
            used_s = node.cpu_s - before
            await http.aclose()
    return 1000 * used_s / REQUESTS


async def _ask(http: Http, count: int) -> None:
    with trio.fail_after(60):
        for _ in range(count):
            await http.call("GET", "/health/live")


def _soap(codec: Codec) -> None:
    """A request read and its answer written, as spyne does it for us."""
    for _ in range(MESSAGES):
        codec.decode(START).answer(Acknowledgement())
