"""The meter, the configuration and the habits of a simulated station."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecharts.simulated_equipment import HABITS, Meter, configuration, moment

KEYS = configuration(connectors=2, meter_interval_s=60)


@given(st.integers(0, 400_000), st.lists(st.tuples(st.booleans(), st.integers(0, 10**7)), max_size=30))
def test_the_meter_never_falls_and_no_switching_loses_energy(power_w: int, changes: list[tuple[bool, int]]) -> None:
    meter, now_ms, flowing, flowed_ms = Meter(power_w=power_w), 0, False, 0
    for wanted, wait_ms in changes:
        before = meter.read_wh(now_ms)
        now_ms += wait_ms
        flowed_ms += wait_ms if flowing else 0
        meter, flowing = meter.switched(wanted, now_ms), wanted
        assert meter.read_wh(now_ms) >= before
    assert meter.read_wh(now_ms) == power_w * flowed_ms // 3_600_000


def test_a_clock_that_steps_back_takes_no_energy_away() -> None:
    assert Meter(power_w=1000, watt_ms=3_600_000, flowing_since_ms=5_000).read_wh(1_000) == 1


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("HeartbeatInterval", "10", "Accepted"),
        ("HEARTBEATINTERVAL", "10", "Accepted"),
        ("HeartbeatInterval", "-10", "Rejected"),
        ("HeartbeatInterval", "1e3", "Rejected"),
        ("HeartbeatInterval", "٣", "Rejected"),
        ("HeartbeatInterval", "9" * 5000, "Rejected"),
        ("AuthorizeRemoteTxRequests", "TRUE", "Accepted"),
        ("AuthorizeRemoteTxRequests", "yes", "Rejected"),
        ("SupportedFeatureProfiles", "Everything", "Rejected"),
        ("Unheard", "1", "NotSupported"),
    ],
)
def test_a_key_changes_only_to_what_makes_sense(key: str, value: str, status: str) -> None:
    changed, word = KEYS.changed(key, value)
    assert word == status
    assert (changed == KEYS) == (status != "Accepted")


def test_what_is_found_is_what_was_set() -> None:
    changed, _ = KEYS.changed("connectiontimeout", "30")
    found = changed.find("CONNECTIONTIMEOUT")
    assert found is not None
    assert (found[0], found[1].value) == ("ConnectionTimeOut", "30")
    assert changed.rules().connection_timeout_s == 30
    assert changed.find("Unheard") is None


@given(st.floats(0, 1, exclude_max=True))
def test_a_moment_lies_within_its_span(number: float) -> None:
    spans = [h.plugs_after_s for h in HABITS.values()] + [h.unplugs_after_s for h in HABITS.values()]
    for span in filter(None, spans):
        assert span[0] <= moment(span, number) <= span[1]
