"""Journals that this release cannot read, in a real node: what they belong to is put aside, everything else goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

from actors.journal import open_journal
from actors.records import Append, NewFact
from tests.live.operators import Operator, Record, running, station_of

pytestmark = pytest.mark.live

CARD = "04A1B2C3D4"


class NoClock:
    """A moment is as good as any other."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


def from_the_future(journal: Path, *streams: str) -> None:
    """Writes a fact of a later release into these streams of a node that is down."""

    async def write() -> None:
        async with open_journal(f"sqlite:///{journal}", clock=NoClock()) as opened:
            for stream in streams:
                seq = len(await opened.load(stream))
                fact = NewFact(type="FromTheFuture", from_state="?", to_state="?", at=NoClock().now(), data=b"{}")
                await opened.append(Append(stream=stream, after_seq=seq, facts=(fact,)))

    trio.run(write)


def put_aside(operator: Operator) -> dict[str, Record]:
    found = operator.desk.get("/api/v1/operator/quarantine").json()["items"]
    return {case["actor"]: case for case in found}


def test_a_transaction_and_a_station_that_cannot_be_read_are_put_aside_and_their_neighbour_charges_to_its_end(
    tmp_path: Path,
) -> None:
    local = Operator("IE-001", tmp_path / "local", roles=("destination",), stations={"CS01": 1, "CS02": 1, "CS03": 1})
    with running(local):
        with station_of(local, "CS01", manual=True) as broken, station_of(local, "CS02", manual=True) as sound:
            for station in (broken, sound):
                station.order(do="plug_in", id_tag=CARD)
                station.wait_for("started", id_tag=CARD)
            bad = next(t for t in local.transactions("local") if t["local_service_identifier"] == "CS01")
            local.kill()
            stream = f"local/{bad['transaction_id']}"
            from_the_future(tmp_path / "local" / "data" / "journal.db", stream, "station/CS03")
            local.start()
            cases = local.until_true(lambda: put_aside(local), lambda cases: len(cases) == 2)
            assert set(cases) == {stream, "station/CS03"}
            assert "FromTheFuture" in cases[stream]["error"] and not cases[stream]["at_work"]
            for station in (sound, broken):
                station.wait_for("online", count=2)
                station.order(do="charge", wh=1_234)
                station.order(do="unplug")
                station.wait_for("stopped")
            good = next(t for t in local.transactions("local") if t["local_service_identifier"] == "CS02")
            assert local.until("local", good["transaction_id"], "Settled")["energy_wh"] == 1_234
            assert local.station("CS03")["registration"] == "Quarantined"
            answer = local.desk.post(f"/api/v1/operator/quarantine/{stream}/release", json={"message": "dismiss"})
            assert (answer.status_code, answer.json()["kind"]) == (409, "failed-again")
            assert local.node.alive and len(local.log("actor.quarantined", actor="station/CS03")) == 1
        local.restart()
        assert set(put_aside(local)) == {stream, "station/CS03"}
