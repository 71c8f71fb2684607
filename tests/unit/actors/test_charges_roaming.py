"""Roaming at the station: who may start there, what a RemoteStart promises, and who holds which connector."""

from __future__ import annotations

import pytest
import trio

from statecharts.station_commands import CallVerdict, RemoteStartTransaction
from statecharts.station_reports import AuthorizeIdTag, ConnectorStatus, IdTagAnswer
from statecharts.station_vocabulary import IdTagStatus
from statecharts.vocabulary import EndTransaction, NotifyRequestResult, Refused, RequestStartTransaction
from tests.support.books import CARD, ago, free, going_on, local, locals_of
from tests.support.house import APP, StationLine, place
from tests.support.roaming import HOME, Charge, Roaming

START_S, AUTHORIZATION_S = 150, 900


async def asked(line: StationLine, id_tag: str) -> str:
    """What the station is told when it asks about an idTag."""
    answer = await line.say(AuthorizeIdTag(id_tag=id_tag))
    assert isinstance(answer, IdTagAnswer) and answer.id_tag_info is not None
    return answer.id_tag_info.status


async def results(roaming: Roaming) -> list[bool]:
    """What the Source was told of its requests."""
    await trio.sleep(1)
    return [told.request_success for told in roaming.back.of(NotifyRequestResult)]


# -- Authorize ---------------------------------------------------------------------------------------------------------


async def test_cards_are_judged_in_any_case(autojump_clock: object, line: StationLine) -> None:
    assert await asked(line, CARD) == await asked(line, CARD.lower()) == "Accepted"
    assert await asked(line, "NOBODY") == "Invalid"


async def test_a_roaming_tag_is_accepted_from_its_start_request_to_its_end(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.ready()
    assert await asked(roaming.station, charge.name) == "Invalid"
    await roaming.start_asked(charge)
    assert await asked(roaming.station, charge.name) == await asked(roaming.station, charge.name.lower()) == "Accepted"
    number = (await roaming.station.start(charge.name)).transaction_id
    assert await asked(roaming.station, charge.name) == "Accepted"
    await roaming.station.stop(number, 2_000)
    assert await asked(roaming.station, charge.name) == "Invalid"


async def test_a_roaming_tag_opens_no_other_station(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.start_asked()
    await roaming.local.add(place("CS02"))
    elsewhere = StationLine(roaming.local, "CS02")
    await elsewhere.come_online()
    assert await asked(elsewhere, charge.name) == "Invalid"
    assert (await elsewhere.start(charge.name)).id_tag_info.status == "Invalid"
    assert (await roaming.local.data(charge.destination)).state == "StartTxRequested"


# -- RemoteStart -------------------------------------------------------------------------------------------------------


async def test_an_accepted_remote_start_means_only_that_it_will_be_attempted(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked()
    await trio.sleep(START_S - 10)
    assert (await roaming.local.data(charge.destination)).state == "StartTxRequested"
    assert await results(roaming) == []
    await trio.sleep(20)
    assert (await roaming.local.data(charge.destination)).state == "Ready"
    assert await results(roaming) == [False]


async def test_a_start_after_its_deadline_still_charges_and_the_source_is_told(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked()
    await trio.sleep(START_S + 10)
    answer = await roaming.station.start(charge.name)
    assert answer.id_tag_info.status == "Accepted"
    await roaming.home.until(charge.source, "TxRunning")
    assert await results(roaming) == [False, True]


@pytest.mark.parametrize("verdict", [CallVerdict.REJECTED, CallVerdict.ERROR, CallVerdict.NEVER_SENT])
async def test_a_remote_start_that_failed_frees_the_connector_and_may_be_asked_again(
    autojump_clock: object, roaming: Roaming, verdict: CallVerdict
) -> None:
    roaming.station.verdicts = [verdict]
    charge = await roaming.ready()
    await roaming.start(charge)
    await roaming.home.until(charge.source, "Ready")
    assert await results(roaming) == [False] and await free(roaming.station) == (1, 2)
    await roaming.running(await roaming.start_asked(charge))


async def test_a_remote_start_of_unknown_outcome_waits_for_a_fact_or_the_deadline(
    autojump_clock: object, roaming: Roaming
) -> None:
    roaming.station.verdicts = [CallVerdict.UNKNOWN]
    charge = await roaming.start_asked()
    await trio.sleep(60)
    assert await results(roaming) == [] and await free(roaming.station) == (2,)
    await roaming.running(charge)


# -- connectors --------------------------------------------------------------------------------------------------------


async def start(roaming: Roaming, charge: Charge, request: str) -> None:
    """Asks the Destination itself, as a Source would."""
    message = RequestStartTransaction(request_identifier=request, authorization_identifier=charge.name)
    await roaming.local.destination(HOME, message)


async def test_the_second_start_on_a_held_connector_is_refused(autojump_clock: object, roaming: Roaming) -> None:
    first, second = await roaming.ready(), await roaming.ready()
    await start(roaming, first, "first")
    with pytest.raises(Refused) as refusal:
        await start(roaming, second, "second")
    assert refusal.value.refusal.code == 409
    assert len(roaming.station.commands) == 1
    await trio.sleep(START_S + 1)
    await start(roaming, second, "third")


async def test_holds_survive_a_restart(autojump_clock: object, roaming: Roaming) -> None:
    first, second = await roaming.ready(), await roaming.ready()
    await start(roaming, first, "first")
    await roaming.down_time(roaming.local, 5)
    again = StationLine(roaming.local, "CS01")
    await again.come_online(boot=False)
    with pytest.raises(Refused) as refusal:
        await start(roaming, second, "second")
    assert refusal.value.refusal.code == 409
    assert await free(again) == (2,) and again.commands == []


async def test_a_start_for_any_connector_takes_a_free_one(autojump_clock: object, roaming: Roaming) -> None:
    await roaming.start_asked()
    anywhere = await roaming.ready(connector=None)
    await roaming.start_asked(anywhere)
    assert [c.connector_id for c in roaming.station.commands if isinstance(c, RemoteStartTransaction)] == [1, 2]


async def test_whoever_leaves_while_asking_for_a_start_leaves_no_connector_held(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.ready()
    for waits in range(1, 30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start, roaming, charge, f"given-up-{waits}")
            for _ in range(waits):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        await trio.sleep(1)
        held = await free(roaming.station) == (2,)
        asked_for = (await roaming.local.data(charge.destination)).state == "StartTxRequested"
        assert held == asked_for
        if asked_for:
            return
    raise AssertionError("no asker got as far as its start")


async def test_an_authorisation_that_lapses_holds_nothing(autojump_clock: object, roaming: Roaming) -> None:
    await roaming.ready()
    await trio.sleep(AUTHORIZATION_S + 1)
    assert await free(roaming.station) == (1, 2)


async def test_a_card_on_a_held_connector_takes_it(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.start_asked()
    number = (await roaming.station.start(CARD)).transaction_id
    await roaming.home.until(charge.source, "Ready")
    assert await results(roaming) == [False]
    assert "another charge" in ((await roaming.view(charge)).cause or "")
    assert await going_on(roaming.station) == [number]


async def test_a_queued_charge_from_before_a_start_request_does_not_take_its_connector(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked()
    began = ago(roaming.station, hours=2)
    queued = (await roaming.station.start(CARD, at=began)).transaction_id
    await roaming.station.stop(queued, 2_000, at=ago(roaming.station, hours=1))
    assert (await roaming.local.data(charge.destination)).state == "StartTxRequested"
    await roaming.running(charge)
    assert (await local(roaming.station, queued)).charge.energy_wh == 1_000


async def test_authorising_on_a_busy_connector_is_refused(autojump_clock: object, roaming: Roaming) -> None:
    await roaming.station.start(CARD)
    with pytest.raises(Refused) as refusal:
        await roaming.ready()
    assert refusal.value.refusal.kind == "connector-busy"


async def test_a_cable_that_is_plugged_in_first_is_normal(autojump_clock: object, roaming: Roaming) -> None:
    await roaming.station.status(1, ConnectorStatus.PREPARING)
    await roaming.running()


# -- misuse ------------------------------------------------------------------------------------------------------------


async def test_an_authorisation_that_was_never_started_and_is_used_as_a_card_is_not_billed(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.ready()
    answer = await roaming.station.start(charge.name)
    assert answer.id_tag_info.status == "Invalid"
    await roaming.station.stop(answer.transaction_id, 5_000, id_tag=charge.name)
    (kept,) = await locals_of(roaming.local)
    assert (kept.state, kept.energy_wh, kept.flags) == ("Settled", 4_000, ("not-authorised",))
    data = await roaming.local.data(charge.destination)
    assert (data.state, data.flags) == ("Ready", ("misuse",))
    assert roaming.back.of(EndTransaction) == []


async def test_a_misused_authorisation_may_still_be_started_properly(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.ready()
    misused = (await roaming.station.start(charge.name, connector_id=2)).transaction_id
    charge = await roaming.running(await roaming.start_asked(charge))
    await roaming.station.stop(misused, 9_000)
    await roaming.station.stop(charge.number, 2_000)
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 1_000


async def test_a_start_at_another_connector_than_asked_is_misuse(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.start_asked()
    assert (await roaming.station.start(charge.name, connector_id=2)).id_tag_info.status == "Invalid"
    assert (await roaming.local.data(charge.destination)).state == "StartTxRequested"


async def test_a_second_start_with_a_used_tag_becomes_local(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    await roaming.station.stop(charge.number, 2_000)
    await roaming.settled(charge)
    await trio.sleep(60)
    answer = await roaming.station.start(charge.name, meter_start_wh=2_000)
    assert answer.id_tag_info.status == "Invalid" and answer.transaction_id != charge.number
    assert len(await locals_of(roaming.local)) == 1


async def test_a_car_that_leaves_ends_the_charge_without_any_request(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    await roaming.station.stop(charge.number, 3_500, reason="EVDisconnected")
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 2_500


async def test_a_local_charge_runs_beside_a_roaming_one(autojump_clock: object, roaming: Roaming) -> None:
    charge = await roaming.running()
    number = (await roaming.station.start(CARD, connector_id=2, meter_start_wh=7_000)).transaction_id
    await roaming.home.source.stop(APP, charge.transaction_id, None)
    await roaming.station.stop(charge.number, 3_000, reason="Remote")
    await roaming.station.stop(number, 9_000, id_tag=CARD)
    await roaming.settled(charge)
    assert (await roaming.same_cdr(charge)).energy_wh == 2_000
    assert (await local(roaming.station, number)).charge.energy_wh == 2_000


async def test_a_late_start_counts_only_where_the_station_was_asked_to_start(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked(await roaming.ready(connector=None))
    await roaming.local.until(charge.destination, "Ready")
    (command,) = roaming.station.commands
    assert isinstance(command, RemoteStartTransaction) and command.connector_id == 1
    elsewhere = await roaming.station.start(charge.name, connector_id=2)
    assert elsewhere.id_tag_info.status is IdTagStatus.INVALID
    assert (await roaming.station.start(charge.name, connector_id=1)).id_tag_info.status is IdTagStatus.ACCEPTED
    assert (await roaming.local.data(charge.destination)).state == "TxRunning"
