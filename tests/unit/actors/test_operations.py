"""Operations of operators: what a station's answer, its reports and its charges make of each, also over restarts."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from actors.masking import MASK
from statecharts.bounds import OPERATIONS_AT_STATION
from statecharts.doors import StationOperation
from statecharts.ports import Page
from statecharts.station_commands import (
    CallOutcome,
    CallVerdict,
    ChangeAvailability,
    ChangeConfiguration,
    ClearCache,
    GetBaseReport,
    GetConfiguration,
    GetLog,
    PlainCommand,
    RemoteStartTransaction,
    RemoteStopTransaction,
    Reset,
    StationCommand,
    TriggerMessage,
    UpdateFirmware,
)
from statecharts.station_reports import (
    BootNotification,
    ConnectorStatus,
    FirmwareStatus,
    Heartbeat,
    LogStatus,
    NotifyCustomerInformation,
    NotifyReport,
)
from statecharts.vocabulary import Refused
from tests.support.books import CARD, STRANGER
from tests.support.house import EPOCH, StationLine

START = RemoteStartTransaction(id_tag=CARD, connector_id=1)
FILES = "ftp://files.example/"
FIRMWARE = UpdateFirmware(location="ftp://user:pass@files.example/fw.bin", retrieve_at=EPOCH, request_id=3)


async def begun(line: StationLine, command: StationCommand, **more: Any) -> str:
    """The id of the operation that this command is, once the station has answered."""
    operation = await line.house.operator.operate(line.identity, command, "desk", **more)
    assert operation.state == "Asked"
    await trio.sleep(1)
    return operation.id


async def seen(line: StationLine, operation: str, wait_s: float = 0) -> StationOperation:
    return await line.house.operator.operation(operation, wait_s)


async def state_of(line: StationLine, operation: str) -> tuple[str, str | None]:
    found = await seen(line, operation)
    return found.state, found.cause


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (CallVerdict.ACCEPTED, "Succeeded"),
        (CallVerdict.REJECTED, "Failed"),
        (CallVerdict.ERROR, "Failed"),
        (CallVerdict.NEVER_SENT, "Failed"),
        (CallVerdict.UNKNOWN, "Unknown"),
    ],
)
async def test_what_has_no_outcome_beside_its_answer_ends_with_that(
    autojump_clock: object, line: StationLine, verdict: CallVerdict, state: str
) -> None:
    line.verdicts = [verdict]
    found = await seen(line, await begun(line, ClearCache()))
    assert (found.state, found.verdict, found.by, found.until) == (state, verdict, "desk", None)
    assert line.commands == [ClearCache()]


async def test_a_start_waits_for_its_cable_and_names_its_charge(autojump_clock: object, line: StationLine) -> None:
    operation = await begun(line, START)
    waiting = await seen(line, operation)
    assert (waiting.state, waiting.verdict) == ("Waiting", "Accepted")
    assert waiting.waits_for == "the cable, and the charge that begins at connector 1"
    assert waiting.until is not None
    assert (waiting.until - waiting.changed_at).total_seconds() == 150
    number = (await line.start(CARD)).transaction_id
    done = await seen(line, operation, wait_s=5)
    assert (done.state, done.progress, done.transaction) == ("Succeeded", f"started #{number}", f"local/{number}")


async def test_a_start_whose_cable_never_comes_has_failed(autojump_clock: object, line: StationLine) -> None:
    operation = await begun(line, START)
    await trio.sleep(151)
    state, cause = await state_of(line, operation)
    assert (state, cause) == ("Failed", "in vain awaited: the cable, and the charge that begins at connector 1")


async def test_a_start_at_a_station_that_was_away_meanwhile_may_have_happened(
    autojump_clock: object, line: StationLine
) -> None:
    operation = await begun(line, START)
    await line.go_offline()
    await trio.sleep(151)
    assert (await state_of(line, operation))[0] == "Unknown"


@pytest.mark.parametrize(
    ("verdict", "state"),
    [(CallVerdict.REJECTED, "Failed"), (CallVerdict.ACCEPTED, "Succeeded"), (CallVerdict.UNKNOWN, "Succeeded")],
)
async def test_what_shows_before_the_answer_does_not_outweigh_a_no(
    autojump_clock: object, line: StationLine, verdict: CallVerdict, state: str
) -> None:
    released = trio.Event()

    async def answers_late(_: StationCommand) -> CallOutcome:
        await released.wait()
        return CallOutcome(verdict=verdict, status=verdict.value)

    line.call = answers_late  # type: ignore[method-assign]
    operation = await begun(line, Reset(kind="Hard"))
    await line.say(BootNotification(vendor="V", model="M"))
    await trio.sleep(1)
    assert (await seen(line, operation)).state == "Asked"
    released.set()
    assert (await seen(line, operation, wait_s=5)).state == state


async def test_a_charge_that_nobody_told_it_of_is_found_at_the_end_of_its_time(
    autojump_clock: object, line: StationLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = await begun(line, START)
    monkeypatch.setattr(line.house.context.watches, "at", lambda _: {})
    number = (await line.start(CARD)).transaction_id
    await trio.sleep(151)
    found = await seen(line, operation)
    assert (found.state, found.progress) == ("Succeeded", f"started #{number}")


async def test_a_start_that_was_not_answered_is_unknown_when_nothing_began(
    autojump_clock: object, line: StationLine
) -> None:
    line.verdicts = [CallVerdict.UNKNOWN]
    operation = await begun(line, START)
    assert (await seen(line, operation)).state == "Waiting"
    await trio.sleep(151)
    assert (await state_of(line, operation))[0] == "Unknown"


async def test_a_start_fails_where_another_card_was_faster(autojump_clock: object, line: StationLine) -> None:
    operation = await begun(line, START)
    number = (await line.start(STRANGER)).transaction_id
    await trio.sleep(1)
    assert await state_of(line, operation) == ("Failed", f"another charge, {number}, began on this connector")


async def test_a_start_is_shown_by_no_charge_of_another_connector(autojump_clock: object, line: StationLine) -> None:
    operation = await begun(line, START)
    await line.start(STRANGER, connector_id=2)
    await trio.sleep(1)
    assert (await seen(line, operation)).state == "Waiting"


async def test_a_stop_is_over_when_its_charge_is(autojump_clock: object, line: StationLine) -> None:
    number = (await line.start(CARD)).transaction_id
    operation = await begun(line, RemoteStopTransaction(transaction_id=number))
    assert (await seen(line, operation)).waits_for == f"the end of charge {number}"
    await line.stop(number, 3_000)
    done = await seen(line, operation, wait_s=5)
    assert (done.state, done.transaction) == ("Succeeded", f"local/{number}")


async def test_a_station_is_unavailable_once_every_connector_shows_it(
    autojump_clock: object, line: StationLine
) -> None:
    operation = await begun(line, ChangeAvailability(connector_id=0, kind="Inoperative"))
    await line.status(1, ConnectorStatus.UNAVAILABLE)
    await trio.sleep(1)
    assert (await seen(line, operation)).state == "Waiting"
    await line.status(2, ConnectorStatus.UNAVAILABLE)
    assert (await seen(line, operation, wait_s=5)).state == "Succeeded"


async def test_what_is_so_already_need_not_be_reported_again(autojump_clock: object, line: StationLine) -> None:
    operation = await begun(line, ChangeAvailability(connector_id=1, kind="Operative"))
    found = await seen(line, operation)
    assert (found.state, found.progress) == ("Succeeded", "Available")


async def test_a_reset_is_over_when_the_station_has_booted(autojump_clock: object, line: StationLine) -> None:
    operation = await begun(line, Reset(kind="Hard"))
    assert (await seen(line, operation)).waits_for == "the station boots"
    await line.say(BootNotification(vendor="V", model="M", reason="RemoteReset"))
    done = await seen(line, operation, wait_s=5)
    assert (done.state, done.progress) == ("Succeeded", "booted: RemoteReset")


async def test_a_station_that_does_not_come_back_leaves_a_reset_unknown(
    autojump_clock: object, line: StationLine
) -> None:
    operation = await begun(line, Reset(kind="Hard"))
    await line.go_offline()
    await trio.sleep(901)
    assert await state_of(line, operation) == ("Unknown", "in vain awaited: the station boots")


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (("Downloading", "Downloaded", "Installing", "Installed"), "Succeeded"),
        (("Downloading", "DownloadFailed"), "Failed"),
        (("Downloaded", "InvalidSignature"), "Failed"),
        (("Idle", "Downloading"), "Waiting"),
    ],
)
async def test_firmware_is_followed_to_its_last_word(
    autojump_clock: object, line: StationLine, words: tuple[str, ...], state: str
) -> None:
    operation = await begun(line, FIRMWARE)
    await line.say(FirmwareStatus(status="Installed", request_id=2))  # of another request
    for word in words:
        await line.say(FirmwareStatus(status=word, request_id=3))
        await trio.sleep(0.1)
    found = await seen(line, operation)
    assert (found.state, found.progress) == (state, words[-1])
    assert found.cause == (words[-1] if state == "Failed" else None)


async def test_a_log_is_there_once_it_was_uploaded(autojump_clock: object, line: StationLine) -> None:
    operation = await begun(line, GetLog(location="ftp://files.example/"))
    for word in ("Uploading", "Uploaded"):
        assert (await seen(line, operation)).state == "Waiting"
        await line.say(LogStatus(status=word))
        await trio.sleep(0.1)
    assert (await seen(line, operation)).state == "Succeeded"


async def test_a_report_is_over_with_its_last_part(autojump_clock: object, line: StationLine) -> None:
    operation = await begun(line, GetBaseReport(request_id=9))
    await line.say(NotifyReport(request_id=8))
    await line.say(NotifyReport(request_id=9, seq_no=0, more=True))
    await trio.sleep(0.1)
    assert (await seen(line, operation)).progress == "part 1"
    await line.say(NotifyReport(request_id=9, seq_no=1))
    assert (await seen(line, operation, wait_s=5)).state == "Succeeded"


@pytest.mark.parametrize(
    ("protocol", "command", "is_numbered"),
    [
        ("ocpp2.0.1", GetBaseReport(), True),
        ("ocpp2.0.1", GetLog(location=FILES), True),
        ("ocpp2.1", UpdateFirmware(location=FILES, retrieve_at=EPOCH), True),
        ("ocpp1.6", GetLog(location=FILES), False),
        ("ocpp1.6", UpdateFirmware(location=FILES, retrieve_at=EPOCH), False),
        ("ocpp1.6", UpdateFirmware(location=FILES, retrieve_at=EPOCH, signature="c2lnbmVk"), True),
    ],
)
async def test_a_request_id_that_is_demanded_is_chosen_by_the_node(
    autojump_clock: object, line: StationLine, protocol: str, command: StationCommand, is_numbered: bool
) -> None:
    line.protocol = protocol
    await begun(line, command)
    await begun(line, command)
    first, second = (sent.request_id for sent in line.commands[-2:])
    if is_numbered:
        assert 0 < first < second < 2**31
    else:
        assert first is second is None


async def test_a_plain_command_waits_for_the_reports_that_it_asks_for(
    autojump_clock: object, line: StationLine
) -> None:
    operation = await begun(line, PlainCommand(action="CustomerInformation", payload={"requestId": 5}))
    assert (await seen(line, operation)).command == "CustomerInformation"
    await line.say(NotifyReport(request_id=5))
    await trio.sleep(0.1)
    assert (await seen(line, operation)).state == "Waiting"
    await line.say(NotifyCustomerInformation(request_id=5, data="nothing"))
    assert (await seen(line, operation, wait_s=5)).state == "Succeeded"


@pytest.mark.parametrize("what", ["Heartbeat", "MeterValues", "StatusNotification"])
async def test_a_triggered_message_is_noticed_also_where_it_needs_no_turn(
    autojump_clock: object, line: StationLine, what: str
) -> None:
    number = (await line.start(CARD)).transaction_id
    connector = None if what == "Heartbeat" else 1
    operation = await begun(line, TriggerMessage(what=what, connector_id=connector))
    match what:
        case "Heartbeat":
            await line.say(Heartbeat())
        case "MeterValues":
            await line.meter(number, 1_500)
        case _:
            await line.status(1, ConnectorStatus.CHARGING)
    assert (await seen(line, operation, wait_s=5)).state == "Succeeded"


async def test_secrets_are_shown_and_written_down_nowhere(autojump_clock: object, line: StationLine) -> None:
    command = ChangeConfiguration(key="ApnPassword", value="00112233445566778899")
    operation = await begun(line, command)
    assert line.commands == [command]
    assert (await seen(line, operation)).request == {"key": "ApnPassword", "value": MASK}
    other = await begun(line, FIRMWARE)
    assert (await seen(line, other)).request["location"] == f"ftp://{MASK}@files.example/fw.bin"
    for stream in (operation, other):
        for fact in await line.house.journal.load(f"operation/{stream}"):
            assert b"00112233" not in fact.data
            assert b"pass@" not in fact.data


async def test_a_station_is_asked_only_so_many_things_at_a_time(autojump_clock: object, line: StationLine) -> None:
    for _ in range(OPERATIONS_AT_STATION.limit):
        await begun(line, Reset(kind="Soft"))
    with pytest.raises(Refused) as no:
        await line.house.operator.operate(line.identity, Reset(kind="Soft"), "desk")
    assert no.value.refusal.code == 429
    await line.say(BootNotification(vendor="V", model="M"))
    await trio.sleep(1)
    await begun(line, Reset(kind="Soft"))


async def test_they_are_listed_newest_first_by_whatever_is_asked_for(autojump_clock: object, line: StationLine) -> None:
    operations = line.house.operator.operations
    ids = [await begun(line, command) for command in (ClearCache(), Reset(kind="Soft"), ClearCache())]
    anything: dict[str, Any] = {"station": None, "command": None, "state": None, "by": None, "cursor": None}
    first = await operations(**anything, limit=2)
    second = await operations(**{**anything, "cursor": first.next_cursor}, limit=2)
    assert [each.id for each in (*first.items, *second.items)] == ids[::-1]
    for wanted, found in (
        ({"command": "Reset"}, ids[1:2]),
        ({"state": "Succeeded"}, [ids[2], ids[0]]),
        ({"by": "nobody"}, []),
        ({"station": line.identity}, ids[::-1]),
    ):
        page = await operations(**{**anything, **wanted}, limit=9)
        assert [each.id for each in page.items] == found


async def test_an_operation_that_nobody_knows_is_none(autojump_clock: object, line: StationLine) -> None:
    with pytest.raises(Refused) as no:
        await seen(line, "no-such")
    assert no.value.refusal.kind == "unknown-operation"


# -- under an Idempotency-Key ------------------------------------------------------------------------------------------

CLEAR = ClearCache()
ASKED_KEYS = GetConfiguration(keys=("HeartbeatInterval", "ConnectionTimeOut"))


@pytest.mark.parametrize("command", [CLEAR, ASKED_KEYS, FIRMWARE, GetBaseReport()])
async def test_a_command_under_the_same_key_is_one_operation_also_after_a_restart(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery, command: StationCommand
) -> None:
    first = await begun(line, command, idempotency_key="key-1")
    again = await line.house.operator.operate(line.identity, command, "desk", idempotency_key="key-1")
    assert again == await seen(line, first)
    await line.house.restart(nursery)
    after = await line.house.operator.operate(line.identity, command, "desk", idempotency_key="key-1")
    assert after.id == first
    assert [each.id for each in (await operations_of(line)).items] == [first]


async def test_a_key_belongs_to_one_operator_and_one_command(autojump_clock: object, line: StationLine) -> None:
    first = await begun(line, CLEAR, idempotency_key="key-1")
    with pytest.raises(Refused) as no:
        await line.house.operator.operate(line.identity, ASKED_KEYS, "desk", idempotency_key="key-1")
    assert (no.value.refusal.code, no.value.refusal.kind) == (422, "idempotency-key-reused")
    other = await line.house.operator.operate(line.identity, CLEAR, "night desk", idempotency_key="key-1")
    assert other.id != first


async def operations_of(line: StationLine) -> Page[StationOperation]:
    return await line.house.operator.operations(
        station=line.identity, command=None, state=None, by=None, cursor=None, limit=10
    )


# -- over restarts -----------------------------------------------------------------------------------------------------


async def test_what_was_waited_for_is_waited_for_by_the_next_life(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    operation = await begun(line, Reset(kind="Hard"))
    await line.house.restart(nursery)
    again = StationLine(line.house, line.identity)
    await again.come_online()
    assert (await seen(again, operation, wait_s=5)).state == "Succeeded"
    assert again.commands == []


async def test_a_charge_that_began_while_nobody_heard_of_it_is_found(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = await begun(line, START)
    monkeypatch.setattr(line.house.context.watches, "at", lambda _: {})
    number = (await line.start(CARD)).transaction_id
    assert (await seen(line, operation)).state == "Waiting"
    await line.house.restart(nursery)
    assert (await seen(line, operation, wait_s=5)).progress == f"started #{number}"


@pytest.mark.parametrize(
    ("command", "state"), [(ClearCache(), "Unknown"), (Reset(kind="Hard"), "Waiting")], ids=["answer", "boot"]
)
async def test_a_command_that_may_have_been_sent_when_the_node_died_is_never_sent_again(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery, command: StationCommand, state: str
) -> None:
    async def no_answer(_: StationCommand) -> CallOutcome:
        await trio.sleep_forever()
        raise AssertionError("cancelled above")

    line.call = no_answer  # type: ignore[method-assign]
    operation = await begun(line, command)
    await line.house.restart(nursery)
    again = StationLine(line.house, line.identity)
    await trio.sleep(1)
    found = await seen(again, operation)
    assert (found.state, found.cause) == (state, "the node was restarted before the station's answer was known")
    assert again.commands == []


async def test_a_station_that_is_put_aside_keeps_nobody_waiting_for_an_answer(
    autojump_clock: object, line: StationLine
) -> None:
    line.house.context.system.quarantined.add(f"station/{line.identity}")
    operation = await line.house.operator.operate(line.identity, ClearCache(), "desk")
    found = await seen(line, operation.id, wait_s=5)
    assert (found.state, found.verdict) == ("Failed", "NeverSent")
