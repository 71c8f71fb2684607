"""A world without faults comes to rest, everybody gets what they came for, and a seed is one course of events."""

from __future__ import annotations

import os
import subprocess
import sys

from protocols.mobieurope.client import _document
from protocols.mobieurope.contract import destination_contract, source_contract
from protocols.mobieurope.messages import _endpoint
from protocols.ocpp.schemas import payload
from tests.support.sizes import ROOT
from tests.world.disk import empty_image
from tests.world.faults import Exchange, ExchangeFate, Faults, Frame, FrameFate, Point
from tests.world.history import ChargeSeen
from tests.world.plan import Plan, Roaming, StationPlan, drawn
from tests.world.world import play


class Deadly(Faults):
    """Nodes die here and there; requests and messages come late, twice or not at all."""

    def at(self, point: Point) -> bool:
        return self.random.random() < 0.005

    def of_exchange(self, exchange: Exchange) -> ExchangeFate:
        return ExchangeFate(lost=self.random.random() < 0.02, delay_s=5 * self.random.random())

    def of_frame(self, frame: Frame) -> FrameFate:
        return FrameFate(arrives_after_s=(0.0, 2.0) if self.random.random() < 0.05 else (self.random.random(),))


def digest_of(seed: int) -> str:
    """The hash of a world in which much goes wrong."""
    return play(drawn(seed, roaming=2, local=2), Deadly(seed)).history.digest()


def digest_elsewhere(seed: int, hash_seed: str) -> str:
    ask = f"from tests.world.test_world import digest_of; print(digest_of({seed}))"
    environ = {**os.environ, "PYTHONHASHSEED": hash_seed}
    told = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    return told.stdout.strip().splitlines()[-1]


def test_one_seed_is_one_course_of_events_in_every_process() -> None:
    assert digest_elsewhere(7, hash_seed="1") == digest_of(7)


def test_worlds_of_different_seeds_differ_and_one_leaves_nothing_behind_for_the_next() -> None:
    first, second = digest_of(7), digest_of(8)
    assert first != second
    assert (digest_of(7), digest_of(8)) == (first, second)


def test_worlds_share_what_takes_long_to_make() -> None:
    made = [_document, _endpoint, destination_contract, source_contract, payload, empty_image]
    play(drawn(1, roaming=1, local=1))
    before = [each.cache_info().misses for each in made]
    play(drawn(2, roaming=1, local=1))
    assert [each.cache_info().misses for each in made] == before


def test_in_a_peaceful_world_every_charge_comes_to_its_record() -> None:
    plan = drawn(3)
    outcome = play(plan)
    assert outcome.failures == ()
    assert outcome.drained
    charged = {seen.id_tag for seen in outcome.history.of(ChargeSeen) if seen.stopped_at is not None}
    records = [row for finals in outcome.finals.values() for row in finals.rows("ledger") if row["role"] == "source"]
    roamed = {row["cdr_id"].partition("/")[2] for row in records}
    assert len(roamed) == len(records) > 0
    assert roamed <= charged


def test_a_user_who_comes_twice_charges_twice() -> None:
    station = StationPlan(identity="IE-ESB-CS01", operator="IE-ESB")
    visits = tuple(
        Roaming(user="anna", home="NL-MOT", station=station.identity, connector="1", begins_s=begins_s, lasts_s=60)
        for begins_s in (30.0, 1_800.0)
    )
    outcome = play(Plan(seed=1, operators=("NL-MOT", "IE-ESB"), stations=(station,), roaming=visits))
    assert [row["role"] for row in outcome.finals["NL-MOT"].rows("ledger")] == ["source", "source"]
