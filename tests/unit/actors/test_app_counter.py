"""What user apps may count on: keys that repeat nothing and hide nothing, lists in order, streams that end."""

from __future__ import annotations

from collections.abc import Awaitable

import msgspec
import pytest
import trio

from statecharts.ports import AuthorizationRequest, Principal, TransactionView
from statecharts.station_commands import CallOutcome, CallVerdict, StationCommand
from statecharts.vocabulary import Authorize, Location, Refused, RequestStartTransaction
from tests.support.house import APP, place
from tests.support.roaming import LOCAL, Roaming, two_operators

ASKED = AuthorizationRequest(
    user_identifier="anna",
    destination=LOCAL,
    local_service_identifier="CS01",
    connector_identifier="1",
    idempotency_key="key-1",
)


async def refusal_of(work: Awaitable[TransactionView]) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await work
    return caught.value.refusal.code, caught.value.refusal.kind


async def test_a_key_that_stood_for_another_authorisation_is_refused_and_nobody_is_asked(roaming: Roaming) -> None:
    await roaming.home.source.authorize(APP, ASKED)
    for other in ({"user_identifier": "bob"}, {"local_service_identifier": "CS02"}, {"connector_identifier": "2"}):
        request = msgspec.structs.replace(ASKED, **other)
        assert await refusal_of(roaming.home.source.authorize(APP, request)) == (422, "idempotency-key-reused")
    assert len(roaming.there.of(Authorize)) == 1


async def test_the_same_authorisation_asked_for_twice_at_once_is_one_and_both_get_it(roaming: Roaming) -> None:
    views: list[TransactionView] = []

    async def ask() -> None:
        views.append(await roaming.home.source.authorize(APP, ASKED))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
    assert len({view.transaction_id for view in views}) == 1
    assert len(roaming.there.of(Authorize)) == 1


async def test_one_key_may_be_used_for_a_whole_charge_and_stops_what_it_started(roaming: Roaming) -> None:
    view = await roaming.home.source.authorize(APP, ASKED)
    name, source = view.authorization_identifier or "", roaming.home.source
    assert (await source.start(APP, view.transaction_id, "key-1")).state == "StartTxRequested"
    await roaming.local.until(f"destination/{name}", "StartTxRequested")
    await roaming.station.start(name)
    await roaming.home.until(f"source/{view.transaction_id}", "TxRunning")
    assert (await source.start(APP, view.transaction_id, "key-1")).state == "TxRunning"
    assert (await source.stop(APP, view.transaction_id, "key-1")).state == "StopTxRequested"


async def test_a_key_is_of_the_app_that_uses_it_and_stands_for_nothing_of_anothers(roaming: Roaming) -> None:
    source, other = roaming.home.source, Principal(name="another app", users=frozenset({"anna"}))
    first = await source.authorize(APP, ASKED)
    second = await source.authorize(other, ASKED)
    assert first.transaction_id != second.transaction_id
    elsewhere = msgspec.structs.replace(ASKED, connector_identifier="2", idempotency_key="key-2")
    third = await source.authorize(APP, elsewhere)
    assert (await source.start(APP, third.transaction_id, "key-3")).state == "StartTxRequested"
    assert (await source.start(other, second.transaction_id, "key-3")).state == "StartTxRequested"


async def test_a_key_that_stood_for_another_transactions_start_is_refused(roaming: Roaming) -> None:
    first, second = await roaming.ready("1"), await roaming.ready("2")
    source = roaming.home.source
    await source.start(APP, first.transaction_id, "key-1")
    assert await refusal_of(source.start(APP, second.transaction_id, "key-1")) == (422, "idempotency-key-reused")


async def test_a_local_service_at_the_very_place_comes_first(autojump_clock: object, nursery: trio.Nursery) -> None:
    here = place("HERE").location
    north = Location(latitude=here.latitude + 1, longitude=here.longitude)
    away = msgspec.structs.replace(place("AWAY"), location=north)
    async with two_operators(nursery, places=(away, place("HERE"))) as roaming:
        found = await roaming.home.source.local_services(
            APP, location=here, radius_m=500_000, service_types=(), destinations=()
        )
    assert [service.local_service_identifier for service in found.local_services] == ["HERE", "AWAY"]


async def test_a_stream_ends_when_the_node_drains_though_the_transaction_changes_at_the_same_moment(
    roaming: Roaming,
) -> None:
    charge = await roaming.ready()
    changes = roaming.home.source.changes(APP, charge.transaction_id, 0)
    first = await anext(changes)
    assert first is not None
    roaming.home.context.changes.drain()
    roaming.home.context.changes.publish(charge.source, msgspec.structs.replace(first, position=first.position + 1))
    with trio.fail_after(1):
        assert [view async for view in changes] == []


async def test_a_key_sent_with_a_start_that_runs_already_starts_nothing_once_that_has_failed(
    autojump_clock: object, roaming: Roaming
) -> None:
    view = await roaming.home.source.authorize(APP, ASKED)
    stream, source = f"source/{view.transaction_id}", roaming.home.source
    first = await source.start(APP, view.transaction_id, "first")
    again = await source.start(APP, view.transaction_id, "second")
    assert again.request_identifier == first.request_identifier
    await roaming.home.until(stream, "Ready")
    assert (await source.start(APP, view.transaction_id, "second")).state == "Ready"
    assert len(roaming.there.of(RequestStartTransaction)) == 1


async def test_a_start_that_still_waits_its_turn_at_its_deadline_is_never_sent(
    autojump_clock: object, roaming: Roaming
) -> None:
    sent = []

    async def busy(command: StationCommand) -> CallOutcome:
        await trio.sleep(7_200)
        sent.append(command)
        return CallOutcome(verdict=CallVerdict.ACCEPTED)

    roaming.station.call = busy  # type: ignore[method-assign]
    view = await roaming.home.source.authorize(APP, ASKED)
    await roaming.home.source.start(APP, view.transaction_id, None)
    await roaming.local.until(f"destination/{view.authorization_identifier}", "StartTxRequested")
    await roaming.home.until(f"source/{view.transaction_id}", "Ready")
    await trio.sleep(9_000)
    assert sent == []


async def test_an_authorisation_of_absurd_length_is_not_taken(autojump_clock: object, roaming: Roaming) -> None:
    roaming.local.ids.minted = ["A" * 5_000]
    assert await refusal_of(roaming.home.source.authorize(APP, ASKED)) == (502, "no-identifier")
