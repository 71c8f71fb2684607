"""Two real nodes on PostgreSQL, whose server is restarted while they roam: none of their charges is lost or doubled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.chaos import Chaos, Plan, books_of, complaints, drain, metered_by
from tests.live.chaos_books import judged
from tests.live.charging import Pair, begun, settled
from tests.live.operators import EXIT_S, START_S, Operator, Process, broken, make_partners, running, station_of
from tests.support.postgresql import Server, own_server

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-postgresql"), pytest.mark.timeout(240)]

AWAY = ("store.unavailable", "store.in_doubt")
"""What a node logs, and should, while its server is away."""

STATIONS = {"CS01": 2, "CS02": 2}
PLAN = Plan(seed=7, charges=12, foreign=STATIONS, simulated={}, simulated_each=0, kills_max=0)
RESTARTS = ("immediate", "fast", "immediate")
LINES_BETWEEN = 25


@pytest.fixture(scope="module")
def server(needs_postgresql: None) -> Iterator[Server]:
    with own_server() as server:
        yield server


@pytest.fixture(scope="module")
def session_pair(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("postgresql")
    operators = []
    for name, role in (("home", "source"), ("local", "destination")):
        server.sql(f"CREATE DATABASE {name}")
        settings = {
            "": {"database_url": server.url(name), "open_authorizations_per_user_max": 1_000, "start_margin_s": 1},
            "destination_deadlines": {"stop_s": 3},
            "source_deadlines": {"start_s": 8, "stop_s": 5, "authorize_answer_s": 3},
        }
        stations = STATIONS if role == "destination" else {}
        operators.append(Operator(name.upper(), folder / name, roles=(role,), stations=stations, settings=settings))
    home, local = operators
    make_partners(home, local)
    with running(home, local):
        yield home, local


@pytest.fixture
def pair(session_pair: Pair) -> Pair:
    return session_pair


def health(operator: Operator) -> tuple[int, str]:
    answer = operator.stranger.get("/health/ready")
    return answer.status_code, answer.text


def test_while_the_server_is_away_a_node_says_so_and_comes_back_by_itself(server: Server, pair: Pair) -> None:
    _, local = pair
    with station_of(local, "CS01") as station:
        view = begun(pair, station)
        server.stop("immediate")
        try:
            assert local.until_true(lambda: health(local), lambda found: found[0] == 503)[1].count("store") > 0
            station.order(do="charge", wh=4_200)
            station.order(do="unplug")
            station.wait_for("retry")
        finally:
            server.start()
        assert settled(pair, station, view)["energy_wh"] == 4_200
        for operator in pair:
            operator.until_true(lambda operator=operator: health(operator), lambda found: found[0] == 200)
    assert not broken(pair, but=AWAY)


def test_no_charge_is_lost_or_doubled_however_often_the_server_restarts(server: Server, pair: Pair) -> None:
    _, local = pair
    earlier = {each["authorization_identifier"] for each in local.cdrs("destination")}
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        stations = {name: stack.enter_context(station_of(local, name)) for name in STATIONS}
        chaos = Chaos(pair, PLAN, stations)
        restarting = pool.submit(restart_again_and_again, server, local, chaos.over)
        views = chaos.run()
        assert restarting.result() >= 2
        drain(pair)
        metered = list(metered_by(stations.values()))
        assert not judged(books_of(pair, metered, views, earlier)).findings
        assert not list(complaints(pair, stations.values(), views, but=AWAY))


def restart_again_and_again(server: Server, local: Operator, over: threading.Event) -> int:
    for number, mode in enumerate(RESTARTS):
        local.node.wait_for_news(len(local.node.records) + LINES_BETWEEN, 3.0)
        if over.is_set():
            return number
        server.restart(mode)
    return len(RESTARTS)


def test_a_second_node_on_the_same_database_does_not_start(pair: Pair, tmp_path: Path) -> None:
    _, local = pair
    text = local.configuration().replace(str(local.folder / "data"), str(tmp_path / "elsewhere"))
    (tmp_path / "second.toml").write_text(text)
    second = Process(["node.py", "run", "-c", str(tmp_path / "second.toml")], lines_on="stderr")
    try:
        assert second.exit_status(START_S) == 1
        assert "another node runs on this database" in second.transcript()
    finally:
        second.close()
    assert health(local)[0] == 200


def test_a_backup_of_a_running_node_holds_its_charge_records(pair: Pair, tmp_path: Path) -> None:
    _, local = pair
    arguments = ["node.py", "backup", "-c", str(local.config_file), "--to", str(tmp_path / "backup.db")]
    backup = Process(arguments, lines_on="stdout")
    assert backup.exit_status(START_S + EXIT_S) == 0, backup.transcript()
    restored = Operator("LOCAL", tmp_path / "restored", roles=("destination",), stations=STATIONS)
    restored.partners = local.partners
    (restored.folder / "data").mkdir(parents=True)
    for name in ("", ".head"):
        (tmp_path / f"backup.db{name}").rename(restored.folder / "data" / f"journal.db{name}")
    with running(restored):
        assert restored.cdrs("destination") == local.cdrs("destination")
    assert not broken([restored])
