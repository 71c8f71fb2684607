"""What the live tests share: one pair of operators for the whole session, and a station at one of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.charging import Pair
from tests.live.operators import Operator, Station, broken, make_partners, running, station_of


@pytest.fixture(scope="session")
def session_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    home = Operator("NL-MOT", folder / "home", roles=("source",))
    local = Operator("IE-001", folder / "local", roles=("destination",), stations={"CS01": 2})
    make_partners(home, local)
    with running(home, local):
        yield home, local


@pytest.fixture
def pair(session_pair: Pair) -> Iterator[Pair]:
    """NL-MOT, whose user anna roams, and IE-001, who has the station CS01 with two connectors.

    Both nodes run when a test begins, whatever the test before has done to them, and neither may break during it.
    """
    for operator in session_pair:
        if not operator.node.alive:
            operator.start()
    before = len(broken(session_pair))
    yield session_pair
    failures = broken(session_pair)[before:]
    assert not failures, failures


@pytest.fixture
def station(pair: Pair) -> Iterator[Station]:
    """The foreign station CS01 of IE-001, online; it starts when it is asked to."""
    with station_of(pair[1], "CS01") as station:
        yield station
