"""How full what can fill up has been: told where it is met, and never more than its limit."""

from __future__ import annotations

from statecharts.bounds import BOUNDS, IN_FLIGHT, MAILBOX, Watermarks
from tests.support.roaming import Roaming


async def test_a_charge_leaves_its_marks(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.stop_asked()
    await roaming.station.stop(charge.number, 3_000)
    await roaming.settled(charge)
    marks = {bound.name: (highest, limit) for bound, highest, limit in roaming.local.context.watermarks}
    met = {name for name, (highest, limit) in marks.items() if 0 < highest <= limit}
    assert met >= {
        *("actor_mailbox", "open_authorizations_per_user", "transaction_requests_kept", "station_charges_kept"),
        *("peer_in_flight", "peer_owed"),
    }
    assert met == {name for name, (highest, _) in marks.items() if highest}


async def test_the_configuration_says_the_limit_in_force(autojump_clock: object, roaming: Roaming) -> None:
    in_force = {bound: limit for bound, _, limit in roaming.local.context.watermarks}
    assert in_force[IN_FLIGHT] == roaming.local.settings.delivery.in_flight_max


def test_the_highest_value_stays() -> None:
    marks = Watermarks()
    for value in (3, 9, 4):
        marks.saw(MAILBOX, value)
    marks.limit(MAILBOX, 10)
    assert [bound for bound, _, _ in marks] == list(BOUNDS)
    assert (MAILBOX, 9, 10) in list(marks)
