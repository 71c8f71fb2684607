"""What the demo is made of: configurations that fit each other, processes that always end, records compared."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import socket
import stat
import subprocess
import sys

import pytest
import trio
from rich.console import Console

from protocols.cli.config import load_config
from protocols.cli.demo import play
from protocols.cli.demo_api import Api
from protocols.cli.demo_guide import guide, steps
from protocols.cli.demo_operators import (
    BESIDE,
    HOME,
    LOCAL,
    RFID,
    STATIONS,
    USER,
    Operators,
    Ports,
    Secrets,
    free_ports,
)
from protocols.cli.demo_processes import lines_of, open_processes
from protocols.cli.demo_record import Evidence, table_of
from protocols.cli.demo_timeline import APP, DESTINATION, SOURCE, STATION, WIDTH, Timeline, node_line, station_line
from protocols.cli.folders import alone_in
from protocols.cli.starter import CannotRun, outcome_of
from statecharts.limits import DEMO_LINE
from statecharts.simulated_equipment import BEHAVIOURS
from tests.support.sizes import ROOT

# -- operators ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def operators(tmp_path):
    fresh = iter(range(256))
    return Operators(tmp_path, free_ports(), Secrets.fresh(lambda count: bytes([next(fresh)]) * count))


def test_both_configurations_load_without_a_warning_and_know_each_other(operators):
    operators.write()
    home, local = (load_config(operators.config_of(name), {}) for name in (HOME, LOCAL))
    assert home.warnings() == local.warnings() == []
    (there,), (back,) = home.destinations, local.sources
    assert (there.pms_identifier, back.pms_identifier) == (LOCAL, HOME)
    assert (there.password, there.incoming_password) == (back.incoming_password, back.password)
    assert str(local.http.port) in there.url and str(home.http.port) in back.url
    assert [station.identity for station in local.stations] == [station.identity for station in STATIONS]
    assert {app.users for app in home.apps} == {(USER,)}


def test_only_we_may_read_the_configurations(operators):
    operators.config_of(HOME).write_text("of an earlier demo")
    operators.config_of(HOME).chmod(0o644)
    operators.write()
    assert {stat.S_IMODE(operators.config_of(name).stat().st_mode) for name in (HOME, LOCAL)} == {0o600}


def test_a_new_demo_forgets_the_journal_of_an_earlier_one_and_nothing_else(operators):
    folder = operators.folder / HOME
    folder.mkdir()
    for name in ("journal.db", "journal.db-wal", "journal.db.head", "mine.txt"):
        (folder / name).touch()
    operators.write()
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_no_secret_is_used_twice(operators):
    secrets = dataclasses.astuple(operators.secrets)
    assert len(set(secrets)) == len(secrets)


def test_a_port_that_is_taken_is_replaced_by_a_free_one():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        chosen = free_ports(Ports(home_http=port))
    assert chosen.home_http not in (port, 0)


def test_the_stations_behave_in_four_ways_and_speak_every_version():
    assert len({station.behaviour for station in STATIONS}) == 4
    assert BEHAVIOURS.keys() >= {station.behaviour for station in STATIONS}
    assert sorted(station.ocpp for station in (STATIONS[0], *BESIDE)) == ["1.6", "2.0.1", "2.1"]


def test_the_guide_is_shell_that_names_every_step(operators):
    text = "\n".join(steps(operators))
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0
    for step in ("/authorizations", "/start", "/events", "/stop", "/receipt", "/operator/cdrs", "/source/sv1/session"):
        assert step in text
    assert operators.home_url in guide(operators) and operators.secrets.app_token in guide(operators)


def test_two_demos_do_not_share_a_folder(tmp_path):
    with alone_in(tmp_path, ""), pytest.raises(CannotRun, match=r"another demo runs in .*--folder"):
        play(None, tmp_path, once=True)


# -- processes ---------------------------------------------------------------------------------------------------------

SPEAK = (
    "import sys, json; print(json.dumps({'n': 1})); print('words'); print('[2]', file=sys.stderr); sys.stdout.flush()"
)


def python(program):
    return [sys.executable, "-c", program]


def test_each_line_is_heard_and_kept_and_all_processes_end_with_the_block(tmp_path):
    heard, alive = [], []

    async def run():
        done = trio.Event()

        def hear(name, record):
            heard.append((name, record))
            done.set()

        async with open_processes(tmp_path, hear) as processes:
            await processes.start("one", python(SPEAK + "; import time; time.sleep(60)"))
            with trio.fail_after(20):
                await done.wait()
            alive.extend(processes.pids)

    outcome_of(run)
    assert heard == [("one", {"n": 1})]
    (pid,) = alive
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_dies_ends_the_demo_with_its_last_lines(tmp_path):
    async def run():
        async with open_processes(tmp_path, lambda *_: None) as processes:
            await processes.start("node", python("print('cannot listen'); raise SystemExit(3)"))
            await trio.sleep_forever()

    with pytest.raises(CannotRun, match=r"node ended with status 3; its last lines:\n  cannot listen"):
        outcome_of(run)
    assert (tmp_path / "node.log").read_text() == "cannot listen\n"


SLOW_TO_END = """
import signal, sys, time
def end(*_):
    print('{"event": "ending"}', flush=True)
    time.sleep(1)
    sys.exit()
signal.signal(signal.SIGTERM, end)
print('{"event": "started"}', flush=True)
time.sleep(60)
"""
PARENT = """
import json, os, sys
from pathlib import Path
import trio
from protocols.cli.demo import ended_by_signals
from protocols.cli.demo_processes import open_processes
async def run():
    def hear(name, record):
        print(record["event"], *processes.pids, flush=True)
    async with ended_by_signals(), open_processes(Path(sys.argv[1]), hear) as processes:
        await processes.start("slow", [sys.executable, "-c", sys.argv[2]])
        await trio.sleep_forever()
trio.run(run)
print("over", flush=True)
"""


@pytest.mark.live
def test_impatience_leaves_no_process_behind(tmp_path):
    """A second signal comes while the processes still end: they are waited for all the same."""
    command = [*python(PARENT), str(tmp_path), SLOW_TO_END]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        heard, pid = parent.stdout.readline().split()
        assert heard == "started"
        parent.send_signal(signal.SIGINT)
        assert parent.stdout.readline().split()[0] == "ending"
        parent.send_signal(signal.SIGTERM)
        parent.send_signal(signal.SIGINT)
        assert parent.stdout.read() == "over\n"
    assert parent.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


async def test_lines_are_whole_however_they_arrive():
    sender, receiver = trio.testing.memory_stream_one_way_pair()
    async with trio.open_nursery() as nursery:

        async def send():
            for chunk in (b"a\nb", b"b\n\nc", b"d" * DEMO_LINE.limit, b"e"):
                await sender.send_all(chunk)
            await sender.aclose()

        nursery.start_soon(send)
        lines = [line async for line in lines_of(receiver)]
    assert lines[:3] == [b"a", b"bb", b""]
    assert b"".join(lines[3:]) == b"c" + b"d" * DEMO_LINE.limit + b"e"


# -- the timeline ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (("TransactionStarted", "destination/A", "StartTxRequested", "TxRunning"), "transaction started → TxRunning"),
        (("TransactionStarted", "local/1", "New", "TxRunning"), "RFID: transaction started → TxRunning"),
        (("ProgressReported", "source/1", "TxRunning", "TxRunning"), "progress reported"),
        (("MeterRead", "destination/A", "TxRunning", "TxRunning"), None),
        (("DeliveryEnded", "destination/A", "TxFinished", "Settled"), "delivery ended → Settled"),
    ],
)
def test_an_event_of_a_transaction_is_told_in_words(record, told):
    names = ("event_type", "transaction", "from_state", "to_state")
    assert node_line({"event": "transaction.event", **dict(zip(names, record, strict=True))}) == told


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"kind": "commanded", "text": "RemoteStartTransaction"}, "CS01 ◀ RemoteStartTransaction"),
        ({"kind": "sent", "text": "StartTransaction", "message": {}}, "CS01 ⇒ StartTransaction"),
        ({"kind": "sent", "text": "MeterValues", "message": {"samples": [{"value": "41"}]}}, "CS01 ⇒ meter 41 Wh"),
        ({"kind": "connector", "text": "Available -> Charging"}, "CS01 Available → Charging"),
        ({"kind": "sent", "text": "Heartbeat", "message": {}}, None),
        ({"kind": "answered", "text": "StartTransaction"}, None),
    ],
)
def test_a_step_of_a_station_is_told_if_it_belongs_to_a_charge(record, told):
    assert station_line({"station": "IE-001-CS01", **record}) == told


def test_the_rfid_station_does_not_drown_the_rest_in_meter_values():
    message = {"samples": [{"value": "41"}]}
    assert station_line({"station": RFID, "kind": "sent", "text": "MeterValues", "message": message}) is None


def test_what_goes_on_beside_the_story_is_not_told_until_it_is_over():
    out = io.StringIO()
    timeline = Timeline(Console(file=out, width=WIDTH), lambda: 0.0)
    event = {"event": "transaction.event", "event_type": "Seen", "from_state": "A", "to_state": "B"}
    timeline.follow("destination/A")
    for name in ("destination/A", "destination/B", "local/1"):
        timeline.hear(LOCAL, {**event, "transaction": name})
    assert (out.getvalue().count("seen"), out.getvalue().count("RFID")) == (2, 1)
    timeline.follow()
    timeline.hear(LOCAL, {**event, "transaction": "destination/B"})
    assert out.getvalue().count("seen") == 3


@pytest.mark.parametrize(
    "text",
    [
        (APP, "◀ Ready, authorisation 633C7585E2A2"),
        (SOURCE, f"⇒ {LOCAL} RequestStartTransaction: Answered"),
        (DESTINATION, f"⇒ {HOME} NotifyRequestResult: Answered"),
        (STATION, "CS02 Authorizing → AwaitingCable"),
    ],
)
def test_every_step_fits_into_one_line_where_there_is_room(text):
    out = io.StringIO()
    Timeline(Console(file=out, width=WIDTH), lambda: 0.0).row(*text)
    assert len(out.getvalue().splitlines()) == 1


@pytest.mark.parametrize("width", [20, 80, 132, 300])
def test_a_row_stands_under_its_column_at_any_width(width):
    out, seconds = io.StringIO(), iter([0.0, 1.5])
    timeline = Timeline(Console(file=out, width=width), lambda: next(seconds))
    timeline.head()
    timeline.hear(LOCAL, {"event": "station.command", "station": RFID, "command": "Reset", "verdict": "Accepted"})
    text = out.getvalue()
    assert "⇒" in text
    if width >= 80:
        assert "1.5" in text
        head = next(line for line in text.splitlines() if "Destination" in line)
        row = next(line for line in text.splitlines() if "⇒" in line)
        assert row.index("⇒") == head.index(f"{LOCAL} ") and DESTINATION == 2


# -- the record --------------------------------------------------------------------------------------------------------

CDR = {
    "cdr_id": "IE-001/A", "authorization_identifier": "A", "user_identifier": USER, "energy_wh": 173,
    "local_service_identifier": "CS", "start_timestamp": "s", "end_timestamp": "e",
}  # fmt: skip


@pytest.fixture
def evidence():
    return Evidence(
        source={"state": "Settled", "authorization_identifier": "A", "cdr": {**CDR, "status": "received"}},
        destination={"state": "Settled", "cdr": {**CDR, "status": "acknowledged"}},
        station={"energy_wh": 173, "reason": "Remote", "id_tag": "A", "started_at": "s", "stopped_at": "e"},
        seconds=7.44,
    )


def test_one_record_at_all_three_is_no_difference(evidence):
    assert list(evidence.differences()) == []
    assert evidence.summary() == {
        "authorizationIdentifier": "A",
        "state": {"source": "Settled", "destination": "Settled"},
        "energy_wh": {"source": 173, "destination": 173, "station": 173},
        "cdr_id": "IE-001/A",
        "seconds": 7.4,
    }
    out = io.StringIO()
    Console(file=out, width=132).print(evidence.table())
    assert out.getvalue().count("173") == 3
    Console(file=out, width=132).print(table_of({"1.6": evidence, "2.1": evidence}))
    assert out.getvalue().count("173") == 9


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source": {"state": "TxFinished"}}, "the Source's transaction is TxFinished"),
        ({"destination": {"state": "TxFinished"}}, "the Destination's transaction is TxFinished"),
        ({"source": {"cdr": None}}, "the Source holds no CDR"),
        ({"source": {"cdr": {**CDR, "energy_wh": 1}}}, "energy_wh is 1 at the Source, 173 at the Destination"),
        ({"station": {"energy_wh": 9}}, "the CDR says 173 Wh, the station 9 Wh"),
        ({"destination": {"cdr": {**CDR, "status": "pending"}}}, "is pending, not acknowledged"),
    ],
)
def test_every_difference_is_named(evidence, changes, reason):
    ((name, change),) = changes.items()
    changed = dataclasses.replace(evidence, **{name: {**getattr(evidence, name), **change}})
    assert any(reason in difference for difference in changed.differences())


# -- the API -----------------------------------------------------------------------------------------------------------


async def answering(nursery, *answers):
    """A server on loopback that gives these answers, one a connection; its URL."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    waiting = iter(answers)

    async def serve(stream):
        await stream.receive_some()
        status, kind, body = next(waiting)
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        await stream.send_all(head.encode() + body)
        await stream.aclose()

    nursery.start_soon(trio.serve_listeners, serve, [listener])
    return f"http://127.0.0.1:{listener.socket.getsockname()[1]}"


async def test_a_refusal_is_told_with_who_refused_what_and_why():
    async with trio.open_nursery() as nursery:
        problem = json.dumps({"detail": "The connector is busy."}).encode()
        url = await answering(nursery, (409, "application/problem+json", problem), (502, "text/html", b"<p>"))
        async with Api(HOME, url, "token") as api:
            with pytest.raises(CannotRun, match=r"NL-MOT refuses POST /x with 409: The connector is busy\."):
                await api.post("/x", {})
            with pytest.raises(CannotRun, match="NL-MOT refuses GET /y with 502: <p>"):
                await api.get("/y")
        nursery.cancel_scope.cancel()


async def test_a_node_that_is_not_there_is_named():
    async with Api(LOCAL, "http://127.0.0.1:9", "token") as api:
        with pytest.raises(CannotRun, match="IE-001 does not answer GET /x: "):
            await api.get("/x")


async def test_events_are_read_as_they_stream():
    async with trio.open_nursery() as nursery:
        stream = b': keep-alive\n\nevent: state\nid: 1\ndata: {"state":"Ready"}\n\nevent: end\ndata: {}\n\n'
        url = await answering(nursery, (200, "text/event-stream", stream))
        async with Api(HOME, url, "token") as api:
            assert [view async for view in api.changes("/events")] == [{"state": "Ready"}]
        nursery.cancel_scope.cancel()


def test_a_demo_whose_processes_cannot_run_says_which_and_why(tmp_path, capsys):
    class Broken:
        command = (sys.executable, "-c", "raise SystemExit('no roamnode here')")

        def fresh_bytes(self, count):
            return bytes(count)

    with pytest.raises(CannotRun, match=r"ended with status 1.*\n  no roamnode here"):
        play(Broken(), tmp_path, once=True)
