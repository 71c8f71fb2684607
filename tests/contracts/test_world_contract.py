"""What every clock and every source of identifiers keeps to: the machine's and the tests' alike."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest

from actors.node_clock import NodeClock
from node import SystemIds, WallClock
from statecharts.ports import Clock, Ids
from tests.contracts.samples import StoppedClock
from tests.support.house import CountingIds, VirtualClock
from tests.world.ground import HostClock, SeededIds

MANY = 1_000


def seeded_ids() -> Ids:
    return SeededIds(random.Random(1))


def node_clock() -> Clock:
    return NodeClock(WallClock())


@pytest.mark.parametrize("make", [WallClock, VirtualClock, StoppedClock, HostClock, node_clock])
async def test_a_clock_is_aware_says_utc_and_never_goes_back(make: Callable[[], Clock]) -> None:
    clock = make()
    times = [clock.now() for _ in range(MANY)]
    assert {time.utcoffset() for time in times} == {timedelta(0)}
    assert times == sorted(times)


@pytest.mark.parametrize("make", [SystemIds, CountingIds, seeded_ids])
def test_an_authorisation_identifier_is_twelve_upper_case_hex_characters_and_fresh(make: Callable[[], Ids]) -> None:
    ids = make()
    names = {ids.authorization_identifier() for _ in range(MANY)}
    assert len(names) == MANY
    assert all(re.fullmatch("[0-9A-F]{12}", name) for name in names)


@pytest.mark.parametrize("make", [SystemIds, CountingIds, seeded_ids])
def test_a_request_identifier_is_a_uuid_as_text_and_fresh(make: Callable[[], Ids]) -> None:
    ids = make()
    names = {ids.request_identifier() for _ in range(MANY)}
    assert len(names) == MANY
    assert all(str(uuid.UUID(name)) == name for name in names)


@pytest.mark.parametrize("make", [SystemIds, CountingIds, seeded_ids])
def test_jitter_is_a_part_of_one(make: Callable[[], Ids]) -> None:
    ids = make()
    assert all(0 <= ids.jitter() < 1 for _ in range(MANY))
