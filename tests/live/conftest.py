"""What the live tests share: a pair of operators per module, and a station at one of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.operators import Operator, Station, make_partners, running, station_of


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Operator, Operator]]:
    """NL-MOT, whose user anna roams, and IE-001, who has the station CS01 with two connectors."""
    folder = tmp_path_factory.mktemp("pair")
    home = Operator("NL-MOT", folder / "home", roles=("source",))
    local = Operator("IE-001", folder / "local", roles=("destination",), stations={"CS01": 2})
    make_partners(home, local)
    with running(home, local):
        yield home, local


@pytest.fixture
def station(pair: tuple[Operator, Operator]) -> Iterator[Station]:
    """The foreign station CS01 of IE-001, online; it starts when it is asked to."""
    with station_of(pair[1], "CS01") as station:
        yield station
