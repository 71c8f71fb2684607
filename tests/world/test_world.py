"""A world without faults comes to rest, everybody gets what they came for, and a seed is one course of events."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.sizes import ROOT
from tests.world.history import ChargeSeen
from tests.world.plan import drawn
from tests.world.world import play


def digest_of(seed: int) -> str:
    return play(drawn(seed, roaming=2, local=2)).history.digest()


def digest_elsewhere(seed: int, hash_seed: str) -> str:
    ask = f"from tests.world.test_world import digest_of; print(digest_of({seed}))"
    environ = {**os.environ, "PYTHONHASHSEED": hash_seed}
    told = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    return told.stdout.strip().splitlines()[-1]


def test_one_seed_is_one_course_of_events_in_every_process() -> None:
    assert digest_elsewhere(7, "1") == digest_elsewhere(7, "2") == digest_of(7)


def test_worlds_of_different_seeds_differ_and_one_leaves_nothing_behind_for_the_next() -> None:
    first, second = digest_of(7), digest_of(8)
    assert first != second
    assert (digest_of(7), digest_of(8)) == (first, second)


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
