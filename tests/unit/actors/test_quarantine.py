"""What is put aside: kept with what broke it, told to the operator, released by him, and tried again by a new node."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from actors.policies import STATION, TRANSACTION
from actors.quarantine import Case, case_of
from actors.records import Append, NewFact
from actors.transaction import TransactionActor
from statecharts.charging import StopAsked
from statecharts.events import Event
from statecharts.station_commands import ChangeConfiguration
from statecharts.station_reports import AuthorizeIdTag
from statecharts.vocabulary import Refused
from tests.support.books import CARD, actor, free, going_on, local, locals_of, orphans, restarted
from tests.support.house import APP, EPOCH, House, StationLine
from tests.support.roaming import LOCAL, Roaming


class Defect:
    """A transaction actor of this house that fails on every message of a type, until it is mended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, key: str, when: type = object) -> None:
        self.mended = False
        turn = TransactionActor.turn

        async def fail(broken: TransactionActor[Any], message: Any) -> Any:
            if broken.key == key and isinstance(message, when) and not self.mended:
                raise RuntimeError("a defect of ours")
            return await turn(broken, message)

        monkeypatch.setattr(TransactionActor, "turn", fail)
        monkeypatch.setattr(TransactionActor, "_read", lambda *_: None)


async def unreadable(house: House, stream: str) -> None:
    """Writes a fact into this stream that this release knows nothing of."""
    seq = len(await house.journal.load(stream))
    fact = NewFact(type="FromTheFuture", from_state="?", to_state="?", at=EPOCH, data=b"{}")
    await house.journal.append(Append(stream=stream, after_seq=seq, facts=(fact,)))


async def stop_until_put_aside(line: StationLine, number: int) -> None:
    """Asks a defect transaction to stop until it is put aside and its case is kept."""
    for _ in range(TRANSACTION.restarts + 1):
        with pytest.raises(Refused):
            await line.house.context.system.ask(f"local/{number}", StopAsked(at=line.house.clock.now()))
    await trio.sleep(1)
    assert f"local/{number}" in line.house.context.system.quarantined


async def the_case(house: House) -> Any:
    (found,) = (await house.operator.quarantine()).items
    return found


async def refusal_of(house: House, actor: str, *, hand_over: bool) -> str:
    with pytest.raises(Refused) as no:
        await house.operator.release(actor, hand_over=hand_over)
    return no.value.refusal.kind


# -- kept --------------------------------------------------------------------------------------------------------------


async def test_the_operator_finds_what_broke_it_and_when(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    Defect(monkeypatch, f"local/{number}", StopAsked)
    await stop_until_put_aside(line, number)
    case = await the_case(line.house)
    assert (case.actor, case.error, case.at_work) == (f"local/{number}", "RuntimeError: a defect of ours", False)
    assert case.message_type == case.message["type"] == "StopAsked" and case.at > EPOCH
    assert await line.house.operator.case(case.actor) == case


async def test_a_stream_that_cannot_be_read_is_put_aside_at_once_and_its_neighbour_charges_on(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    broken, sound = [(await line.start(CARD, connector_id=c)).transaction_id for c in (1, 2)]
    await unreadable(line.house, f"local/{broken}")
    again = await restarted(line, nursery)
    began = trio.current_time()
    await again.meter(sound, 2_000, connector_id=2)
    await again.stop(sound, 4_000)
    assert (await local(again, sound)).charge.energy_wh == 3_000
    await again.stop(broken, 9_000)
    assert trio.current_time() - began < 1, "nobody waited for the broken one"
    case = await the_case(again.house)
    assert case.actor == f"local/{broken}" and "FromTheFuture" in case.error and case.message is None
    assert [each.kind for each in await orphans(again)] == ["StopTransaction"]


async def test_an_unreadable_station_is_put_aside_alone(
    autojump_clock: object, roaming: Roaming, nursery: trio.Nursery
) -> None:
    await roaming.running()
    await unreadable(roaming.local, "station/CS01")
    await roaming.local.restart(nursery)
    await trio.sleep(1)
    with pytest.raises(Refused) as no:
        await roaming.station.come_online(boot=False)
    assert no.value.refusal.kind == "quarantined"
    (shown,) = (await roaming.local.operator.stations()).items
    assert (shown.registration, shown.online) == ("Quarantined", False)
    assert [peer.state for peer in (await roaming.local.operator.peers()).items] == ["Up"]
    services = await roaming.home.source.local_service(APP, LOCAL, "CS01")
    assert services.status == "UNKNOWN"


async def test_what_is_owed_to_a_partner_who_is_put_aside_waits_for_him(
    autojump_clock: object, roaming: Roaming, nursery: trio.Nursery
) -> None:
    charge = await roaming.running()
    await unreadable(roaming.local, "peer/NL-MOT")
    await roaming.local.restart(nursery)
    roaming.station = StationLine(roaming.local, "CS01")
    await roaming.station.come_online(boot=False)
    await roaming.station.stop(charge.number, 4_000)
    await trio.sleep(60)
    (peer,) = (await roaming.local.operator.peers()).items
    assert (peer.state, peer.pending_deliveries) == ("Quarantined", 1)
    with pytest.raises(Refused) as no:
        await roaming.ready()
    assert no.value.refusal.code >= 500


def test_secrets_in_a_message_are_not_written_down() -> None:
    command = ChangeConfiguration(key="AuthorizationKey", value="0011")
    told = {"AuthorizationKey": "0011", "inner": [{"password": "x", "id_tag": "CARD"}], "command": command}
    case = case_of("station/CS01", EPOCH, RuntimeError("x"), told)
    assert '"AuthorizationKey":"***"' in case.message and '"password":"***"' in case.message
    assert "CARD" in case.message and case.masked


async def test_a_case_survives_as_it_was_written(autojump_clock: object, line: StationLine) -> None:
    cases = line.house.context.system.quarantine
    first = Case(actor="local/7", at=EPOCH, error="é\x00" * 9)
    await cases.keep(first)
    second = Case(actor="local/7", at=EPOCH, error="newer", message_type="StopAsked", message="{}")
    assert await cases.case("local/7") == first
    await cases.keep(second)
    assert await cases.cases() == (second,)
    await cases.drop("local/7")
    await cases.drop("local/7")
    assert await cases.case("local/7") is None


# -- released ----------------------------------------------------------------------------------------------------------


async def test_the_kept_message_is_handed_over_again_and_does_what_it_should_have_done(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    defect = Defect(monkeypatch, f"local/{number}", StopAsked)
    await stop_until_put_aside(line, number)
    defect.mended = True
    await line.house.operator.release(f"local/{number}", hand_over=True)
    assert (await local(line, number)).state == "StopTxRequested"
    assert (await line.house.operator.quarantine()).items == ()


async def test_a_message_can_be_dismissed(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    Defect(monkeypatch, f"local/{number}", StopAsked)
    await stop_until_put_aside(line, number)
    await line.house.operator.release(f"local/{number}", hand_over=False)
    assert (await local(line, number)).state == "TxRunning"
    assert (await line.house.operator.quarantine()).items == ()


async def test_a_message_that_breaks_it_again_stays_on_the_list(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    Defect(monkeypatch, f"local/{number}", StopAsked)
    await stop_until_put_aside(line, number)
    assert await refusal_of(line.house, f"local/{number}", hand_over=True) == "internal-error"
    assert (await the_case(line.house)).at_work


async def test_an_actor_that_cannot_be_loaded_still_is_not_released(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    number = (await line.start(CARD)).transaction_id
    await unreadable(line.house, f"local/{number}")
    await line.house.restart(nursery)
    await trio.sleep(1)
    assert await refusal_of(line.house, f"local/{number}", hand_over=True) == "not-repeatable"
    assert await refusal_of(line.house, f"local/{number}", hand_over=False) == "failed-again"
    assert not (await the_case(line.house)).at_work
    assert await refusal_of(line.house, "local/999", hand_over=False) == "not-in-quarantine"


async def test_the_end_of_a_charge_that_was_put_aside_reaches_it_with_its_release(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    defect = Defect(monkeypatch, f"local/{number}", Event)
    await stop_until_put_aside(line, number)
    await line.stop(number, 4_200)
    assert await going_on(line) == [] and await free(line) == (1, 2) and len(await orphans(line)) == 1
    defect.mended = True
    await line.house.operator.release(f"local/{number}", hand_over=False)
    await trio.sleep(1)
    data = await local(line, number)
    assert (data.state, data.charge.energy_wh, data.corrections) == ("Settled", 3_200, 0)
    assert await orphans(line) == ()


async def test_what_was_metered_while_a_charge_was_put_aside_reaches_it_with_its_release_before_its_end(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, other = [(await line.start(CARD, connector_id=c)).transaction_id for c in (1, 2)]
    for each in (number, other):
        defect = Defect(monkeypatch, f"local/{each}", Event)
        await stop_until_put_aside(line, each)
        for meter in (2_000, 3_000):
            await line.meter(each, meter)
        if each == number:
            await line.stop(number, 4_200)
            defect.mended = True
    assert len(await orphans(line)) == 5
    await line.house.operator.release(f"local/{number}", hand_over=False)
    await trio.sleep(1)
    facts = [fact.type for fact in await line.house.journal.load(f"local/{number}")]
    assert facts.count("MeterRead") == 2 and facts.index("MeterRead") < facts.index("TransactionStopped")
    data = await local(line, number)
    assert (data.state, data.charge.energy_wh, data.corrections) == ("Settled", 3_200, 0)
    assert [json.loads(each.body)["transaction_id"] for each in await orphans(line)] == [other, other]


async def test_a_station_that_is_released_is_there_though_it_never_reconnected(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Any) -> Any:
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(actor(line), "turn", fail)
    kinds = []
    for _ in range(STATION.restarts + 2):
        with pytest.raises(Refused) as no:
            await line.say(AuthorizeIdTag(id_tag=CARD))
        kinds.append(no.value.refusal.kind)
    assert kinds == ["internal-error"] * (STATION.restarts + 1) + ["quarantined"]
    await trio.sleep(1)
    assert await refusal_of(line.house, "station/CS01", hand_over=True) == "not-repeatable"
    await line.house.operator.release("station/CS01", hand_over=False)
    number = (await line.start(CARD)).transaction_id
    assert (await local(line, number)).state == "TxRunning"
    (shown,) = (await line.house.operator.stations()).items
    assert shown.online and line.closed is None


# -- after a restart of the node ---------------------------------------------------------------------------------------


async def test_a_new_node_tries_what_was_put_aside_and_closes_the_case_if_it_works(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    load = TransactionActor.load
    mended = False

    async def fail(broken: TransactionActor[Any]) -> None:
        await load(broken)
        if not mended:
            raise RuntimeError("a defect of ours")

    monkeypatch.setattr(TransactionActor, "load", fail)
    await line.house.restart(nursery)
    await trio.sleep(TRANSACTION.within_s)
    first = await the_case(line.house)
    assert not first.at_work and first.message is None
    await line.house.restart(nursery)
    await trio.sleep(TRANSACTION.within_s)
    assert (await the_case(line.house)).at > first.at, "the same again"
    mended = True
    await line.house.restart(nursery)
    await trio.sleep(1)
    assert (await line.house.operator.quarantine()).items == ()
    assert [each.state for each in await locals_of(line.house)] == ["TxRunning"]
    assert (await local(line, number)).state == "TxRunning"


async def test_a_message_is_never_handed_over_by_a_restart_and_waits_for_the_operator(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await line.start(CARD)).transaction_id
    defect = Defect(monkeypatch, f"local/{number}", StopAsked)
    await stop_until_put_aside(line, number)
    defect.mended = True
    line = await restarted(line, nursery)
    assert (await local(line, number)).state == "TxRunning"
    await trio.sleep(TRANSACTION.within_s)
    assert (await the_case(line.house)).at_work
    await line.house.operator.release(f"local/{number}", hand_over=True)
    assert (await local(line, number)).state == "StopTxRequested"
    assert (await line.house.operator.quarantine()).items == ()
