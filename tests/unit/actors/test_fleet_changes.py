"""Stations that change: what is told of them, what they have to show, their keys over OCPP, and strangers that come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from actors.fleet import Fleet, FleetSettings
from actors.records import StoreUnavailable
from statecharts.bounds import NEWCOMERS, STATIONS_PENDING
from statecharts.fleet_door import Acceptance, NewCredentials, NewStation, StationChanges
from statecharts.ports import StationDirectory
from statecharts.station_commands import (
    CallOutcome,
    CallVerdict,
    ChangeConfiguration,
    GetConfiguration,
    PlainCommand,
    RemoteStartTransaction,
    StationCommand,
)
from statecharts.station_credentials import Login, SecurityProfile, Shown, StationCredentials, Wrong, judged
from statecharts.station_details import OpeningHours
from statecharts.station_reports import BootAnswer, BootNotification, ConnectorStatus
from statecharts.vocabulary import Refused
from tests.support.house import House, StationLine, open_house, place
from tests.support.roaming import Roaming

OLD, NEW = "1" * 32, "abcdef0123456789" * 2
STATION = NewStation(identity="CS77", connectors=2, location=place().location, password=OLD)
GONE = (1008, "this station's credentials have changed")


async def refusal_of(work: Awaitable[Any]) -> tuple[int, str]:
    with pytest.raises(Refused) as no:
        await work
    return no.value.refusal.code, no.value.refusal.kind


class KeyedLine(StationLine):
    """A station that is let in by what it shows, and says `answer` to every command once it `may_answer`."""

    def __init__(self, house: House, identity: str = "CS77", password: str = OLD) -> None:
        super().__init__(house, identity)
        credentials = house.context.fleet.credentials(identity)
        assert credentials is not None
        judgement = judged(identity, credentials, Shown(passwords=(password.encode(),)))
        assert judgement.wrong is None
        self.login = Login(opened_by=judgement.opened_by)
        self.answer = CallOutcome(verdict=CallVerdict.ACCEPTED, status="Accepted")
        self.may_answer = trio.Event()
        self.may_answer.set()

    async def call(self, command: StationCommand) -> CallOutcome:
        self.commands.append(command)
        await self.may_answer.wait()
        return self.answer

    def close(self, code: int, reason: str) -> None:
        super().close(code, reason)
        self.answer = CallOutcome(verdict=CallVerdict.UNKNOWN, cause="the connection is closed")
        self.may_answer.set()


def opens(house: House, password: str, identity: str = "CS77") -> bool:
    credentials = house.context.fleet.credentials(identity)
    return (
        credentials is not None and judged(identity, credentials, Shown(passwords=(password.encode(),))).wrong is None
    )


def keys_that_open(house: House) -> list[str]:
    return [key for key in (OLD, NEW) if opens(house, key)]


@pytest.fixture
async def keyed(line: StationLine) -> KeyedLine:
    """Station CS77 of the store, online."""
    await line.house.operator.register_station(STATION, "olga")
    found = KeyedLine(line.house)
    await found.come_online()
    return found


# -- what is told ------------------------------------------------------------------------------------------------------


async def test_what_is_told_of_a_station_stays_until_it_is_told_otherwise(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    hours = OpeningHours(around_the_clock=True)
    change = line.house.operator.change_station
    await change("CS01", StationChanges(details={"opening_hours": hours, "price_note": "0.39 EUR/kWh"}), "olga")
    await line.house.restart(nursery)
    sheet = await line.house.operator.change_station("CS01", StationChanges(details={"price_note": None}), "olga")
    assert (sheet.opening_hours, sheet.price_note, sheet.origin) == (hours, None, "file")


async def test_what_the_file_says_is_not_changed_and_what_the_store_says_is(
    autojump_clock: object, keyed: KeyedLine
) -> None:
    house, fewer = keyed.house, StationChanges(own={"connectors": 1})
    assert await refusal_of(house.operator.change_station("CS01", fewer, "olga")) == (409, "fixed-by-file")
    await house.operator.change_station("CS77", fewer, "olga")
    assert house.context.places["CS77"].connectors == 1
    assert [each.connector for each in (await house.operator.station("CS77")).connectors] == [1]


async def test_a_connector_where_a_charge_goes_on_stays(autojump_clock: object, keyed: KeyedLine) -> None:
    number = (await keyed.start("CARD0001", connector_id=2)).transaction_id
    fewer = keyed.house.operator.change_station
    assert await refusal_of(fewer("CS77", StationChanges(own={"connectors": 1}), "olga")) == (409, "connector-busy")
    await keyed.stop(number, 2_000)
    await fewer("CS77", StationChanges(own={"connectors": 1}), "olga")


# -- credentials -------------------------------------------------------------------------------------------------------


async def test_a_new_password_closes_a_connection_that_it_would_not_let_in(
    autojump_clock: object, keyed: KeyedLine, nursery: trio.Nursery
) -> None:
    shown = await keyed.house.operator.set_credentials("CS77", NewCredentials(password=NEW), "olga")
    await trio.sleep(0.1)
    assert (shown.password, keyed.closed) == (None, GONE)
    assert keys_that_open(keyed.house) == [NEW]
    await keyed.house.restart(nursery)
    assert keys_that_open(keyed.house) == [NEW]


async def test_the_same_password_again_closes_nothing(autojump_clock: object, keyed: KeyedLine) -> None:
    await keyed.house.operator.set_credentials("CS77", NewCredentials(password=OLD), "olga")
    await trio.sleep(0.1)
    assert keyed.closed is None and keys_that_open(keyed.house) == [OLD]


async def test_nothing_named_is_a_password_of_our_own(autojump_clock: object, keyed: KeyedLine) -> None:
    shown = await keyed.house.operator.set_credentials("CS77", NewCredentials(), "olga")
    assert shown.password is not None and opens(keyed.house, shown.password) and keys_that_open(keyed.house) == []


async def test_a_safer_profile_lets_no_plain_connection_stay(autojump_clock: object, keyed: KeyedLine) -> None:
    await keyed.house.operator.set_credentials("CS77", NewCredentials(security_profile=2), "olga")
    await trio.sleep(0.1)
    assert keyed.closed == GONE and keys_that_open(keyed.house) == []


async def test_what_a_station_of_the_file_shows_is_fixed_there(autojump_clock: object, keyed: KeyedLine) -> None:
    change = keyed.house.operator.set_credentials
    assert await refusal_of(change("CS01", NewCredentials(password=NEW), "olga")) == (409, "fixed-by-file")
    assert await refusal_of(change("CS77", NewCredentials(as_in_file=True), "olga")) == (409, "fixed-by-file")


# -- a key changed over OCPP -------------------------------------------------------------------------------------------


async def change_key(line: KeyedLine) -> Any:
    return await line.house.operator.set_credentials("CS77", NewCredentials(password=NEW, over_ocpp=True), "olga")


async def key_state(house: House) -> str | None:
    return (await house.operator.station("CS77")).security.key_state


async def test_an_accepted_key_drops_the_old_one_at_once(autojump_clock: object, keyed: KeyedLine) -> None:
    await change_key(keyed)
    assert keyed.commands == [ChangeConfiguration(key="AuthorizationKey", value=NEW)]
    assert (keys_that_open(keyed.house), await key_state(keyed.house)) == ([NEW], "Settled")
    await trio.sleep(0.1)
    assert keyed.closed is None


@pytest.mark.parametrize(
    "answer",
    [
        CallOutcome(verdict=CallVerdict.REJECTED, status="Rejected"),
        CallOutcome(verdict=CallVerdict.REJECTED, status="NotSupported"),
        CallOutcome(verdict=CallVerdict.ERROR, status="NotImplemented"),
        CallOutcome(verdict=CallVerdict.NEVER_SENT, cause="closed"),
    ],
    ids=lambda answer: answer.status or answer.cause,
)
async def test_a_refused_key_leaves_the_old_one(autojump_clock: object, keyed: KeyedLine, answer: CallOutcome) -> None:
    keyed.answer = answer
    assert await refusal_of(change_key(keyed)) == (409, "key-refused")
    assert (keys_that_open(keyed.house), await key_state(keyed.house)) == ([OLD], "Settled")


@pytest.mark.parametrize(
    "answer",
    [
        CallOutcome(verdict=CallVerdict.UNKNOWN, cause="no answer in time"),
        CallOutcome(verdict=CallVerdict.ERROR, status="InternalError"),
        CallOutcome(verdict=CallVerdict.ACCEPTED, status="RebootRequired"),
    ],
    ids=lambda answer: answer.status or answer.cause,
)
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("has", [OLD, NEW])
async def test_where_the_answer_is_lost_both_open_until_the_first_login(
    autojump_clock: object, keyed: KeyedLine, nursery: trio.Nursery, answer: CallOutcome, has: str, restarted: bool
) -> None:
    keyed.answer = answer
    await change_key(keyed)
    assert (keys_that_open(keyed.house), await key_state(keyed.house)) == ([OLD, NEW], "Doubtful")
    assert await refusal_of(change_key(keyed)) == (409, "key-change-under-way")
    if restarted:
        await keyed.house.restart(nursery)
    await KeyedLine(keyed.house, password=has).come_online(boot=False)
    assert (keys_that_open(keyed.house), await key_state(keyed.house)) == ([has], "Settled")


async def test_both_open_while_the_station_has_not_answered_also_after_a_crash(
    autojump_clock: object, keyed: KeyedLine, nursery: trio.Nursery
) -> None:
    keyed.may_answer = trio.Event()
    with trio.move_on_after(1):
        await change_key(keyed)
    assert keys_that_open(keyed.house) == [OLD, NEW]
    await keyed.house.restart(nursery)
    assert (keys_that_open(keyed.house), await key_state(keyed.house)) == ([OLD, NEW], "Doubtful")


async def test_an_asker_that_hangs_up_leaves_no_answer_unheard(autojump_clock: object, keyed: KeyedLine) -> None:
    keyed.may_answer = trio.Event()
    with trio.move_on_after(1):
        await change_key(keyed)
    keyed.may_answer.set()
    await trio.sleep(0.1)
    assert keys_that_open(keyed.house) == [NEW]


async def test_no_key_leaves_before_it_is_on_the_disk(
    autojump_clock: object, keyed: KeyedLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(keyed.house.journal.store, "write", away)
    assert await refusal_of(change_key(keyed)) == (503, "store-unavailable")
    assert keyed.commands == [] and keys_that_open(keyed.house) == [OLD]


async def test_an_answer_that_cannot_be_kept_is_kept_when_the_store_is_back(
    autojump_clock: object, keyed: KeyedLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    keyed.may_answer = trio.Event()
    with trio.move_on_after(1):
        await change_key(keyed)
    with monkeypatch.context() as full:
        full.setattr(keyed.house.journal.store, "write", away)
        keyed.may_answer.set()
        await trio.sleep(5)
        assert keys_that_open(keyed.house) == [OLD, NEW]
    await trio.sleep(5)
    assert keys_that_open(keyed.house) == [NEW]


async def test_a_changed_key_wins_over_the_files_until_it_is_dropped(
    autojump_clock: object, keyed: KeyedLine, nursery: trio.Nursery
) -> None:
    await change_key(keyed)
    house = keyed.house
    house.places["CS77"] = place("CS77")
    await house.restart(nursery)
    sheet = await house.operator.station("CS77")
    assert (sheet.origin, sheet.security.password_from, sheet.flags) == ("file", "store", ("in-file-and-store",))
    shown = await house.operator.set_credentials("CS77", NewCredentials(as_in_file=True), "olga")
    assert shown.station.security.password_from is None


async def test_a_key_that_the_version_does_not_have_is_not_sent(autojump_clock: object, keyed: KeyedLine) -> None:
    words = NewCredentials(password="of-sixteen-bytes", over_ocpp=True)
    assert await refusal_of(keyed.house.operator.set_credentials("CS77", words, "olga")) == (409, "key-unfit")
    keyed.protocol = "ocpp2.0.1"
    await keyed.house.operator.set_credentials("CS77", words, "olga")
    assert keyed.commands == [ChangeConfiguration(key="SecurityCtrlr.BasicAuthPassword", value="of-sixteen-bytes")]
    await keyed.go_offline()
    await trio.sleep(0.1)
    assert await refusal_of(change_key(keyed)) == (409, "station-unavailable")


async def test_a_key_is_no_plain_setting_and_stands_nowhere(
    autojump_clock: object, keyed: KeyedLine, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = {"setVariableData": [{"component": {"name": "S"}, "variable": {"name": "BasicAuthPassword"}}]}
    wish = keyed.house.operator.operate("CS77", PlainCommand(action="SetVariables", payload=plain), "olga")
    assert await refusal_of(wish) == (409, "secret-setting")
    command = ChangeConfiguration(key="authorizationkey", value=NEW)
    assert await refusal_of(keyed.house.operator.operate("CS77", command, "olga")) == (409, "secret-setting")
    sheet = await change_key(keyed)
    facts = await keyed.house.journal.load("station/CS77")
    log = (await keyed.house.operator.station_log("CS77")).items
    assert NEW not in f"{facts}{log}{sheet}" + "".join(capsys.readouterr())


# -- strangers ---------------------------------------------------------------------------------------------------------

STRANGER = Shown(passwords=(b"of sixteen bytes",))


@asynccontextmanager
async def open_to_strangers(
    nursery: trio.Nursery, profile: SecurityProfile = SecurityProfile.BASIC
) -> AsyncIterator[House]:
    settings = FleetSettings(security_profile=profile, keeps_unknown=True)
    async with open_house("IE-001", nursery, fleet_settings=settings) as house:
        yield house


async def test_a_stranger_is_kept_by_what_it_shows_first(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with open_to_strangers(nursery) as house:
        fleet: Fleet = house.context.fleet
        directory: StationDirectory = fleet
        await directory.introduce("NEW1", STRANGER)
        await directory.introduce("NEW1", Shown(passwords=(b"another one, longer",)))
        await house.restart(nursery)
        assert opens(house, "of sixteen bytes", "NEW1") and not opens(house, "another one, longer", "NEW1")
        sheet = await house.operator.station("NEW1")
        assert (sheet.standing.state, sheet.origin, sheet.flags) == ("Pending", "store", ("incomplete",))


@pytest.mark.parametrize(
    ("profile", "shown"),
    [
        (SecurityProfile.BASIC, Shown()),
        (SecurityProfile.BASIC, Shown(passwords=(b"short",))),
        (SecurityProfile.TLS_BASIC, STRANGER),
        (SecurityProfile.TLS_CERTIFICATE, Shown(tls=True, passwords=STRANGER.passwords)),
    ],
)
async def test_a_stranger_that_shows_too_little_stays_one(
    autojump_clock: object, nursery: trio.Nursery, profile: SecurityProfile, shown: Shown
) -> None:
    async with open_to_strangers(nursery, profile) as house:
        await house.context.fleet.introduce("NEW1", shown)
        assert house.context.fleet.credentials("NEW1") is None


async def test_nobody_becomes_known_where_strangers_are_not_kept(autojump_clock: object, line: StationLine) -> None:
    await line.house.context.fleet.introduce("NEW1", STRANGER)
    assert line.house.context.fleet.member("NEW1") is None


@pytest.mark.parametrize("identity", ["cs01", "..", "a b", "a:b", "x" * 49])
async def test_a_name_that_cannot_be_is_nobodys(autojump_clock: object, nursery: trio.Nursery, identity: str) -> None:
    async with open_to_strangers(nursery) as house:
        await house.context.fleet.introduce(identity, STRANGER)
        assert len(house.context.fleet) == 1


async def test_strangers_come_a_few_at_a_time_and_not_for_ever(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with open_to_strangers(nursery) as house:
        for minute in range(1, 13):
            for number in range(NEWCOMERS.limit + 1):
                await house.context.fleet.introduce(f"NEW{minute}-{number}", STRANGER)
            assert len(house.context.fleet) == 1 + min(minute * NEWCOMERS.limit, STATIONS_PENDING.limit)
            await trio.sleep(60)


async def test_a_pending_station_is_configured_and_what_it_reports_is_kept(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with open_to_strangers(nursery) as house:
        await house.context.fleet.introduce("NEW1", STRANGER)
        line = StationLine(house, "NEW1")
        await line.come_online(boot=False)
        answer = await line.say(BootNotification(vendor="V", model="M"))
        assert isinstance(answer, BootAnswer) and (answer.status, answer.interval_s) == ("Pending", 60)
        await line.status(2, ConnectorStatus.AVAILABLE)
        started = await line.start("CARD0001", connector_id=2)
        assert started.id_tag_info.status == "Invalid"
        (charge,) = (await house.operator.transactions(role="local", state=None)).items
        assert (charge.local_service_identifier, charge.state) == ("NEW1", "TxRunning")
        operator = house.operator
        assert (await house.command("NEW1", GetConfiguration())).verdict == "Accepted"
        remote = RemoteStartTransaction(id_tag="CARD0001")
        assert (await house.command("NEW1", remote)).verdict == "NeverSent"
        await line.stop(started.transaction_id, 2_000)
        (charge,) = (await operator.transactions(role="local", state=None)).items
        assert charge.energy_wh == 1_000


async def test_a_stranger_is_accepted_with_what_it_has_shown_and_where_it_is(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with open_to_strangers(nursery) as house:
        await house.context.fleet.introduce("NEW1", STRANGER)
        line = StationLine(house, "NEW1")
        await line.come_online(connectors=2)
        accept = house.operator.accept_station
        assert await refusal_of(accept("NEW1", Acceptance(), "olga")) == (409, "station-incomplete")
        sheet = await accept("NEW1", Acceptance(location=place().location), "olga")
        assert [each.state for each in sheet.connectors] == ["Available", "Available"]
        await trio.sleep(0.1)
        assert [type(command).__name__ for command in line.commands] == ["TriggerMessage"]
        assert isinstance(answer := await line.say(BootNotification(vendor="V", model="M")), BootAnswer)
        assert answer.status == "Accepted"
        assert (await house.operator.start_local("NEW1", 1, "CARD0001")).state == "StartTxRequested"


# -- every login -------------------------------------------------------------------------------------------------------


async def test_a_roaming_charge_goes_on_over_a_changed_key(autojump_clock: object, roaming: Roaming) -> None:
    await roaming.local.operator.register_station(STATION, "olga")
    line = KeyedLine(roaming.local)
    await line.come_online()
    number = (await line.start("CARD0001")).transaction_id
    await change_key(line)
    again = KeyedLine(roaming.local, password=NEW)
    await again.come_online(boot=False)
    await again.stop(number, 3_000)
    (charge,) = (await roaming.local.operator.transactions(role="local", state=None)).items
    assert (charge.state, charge.energy_wh) == ("Settled", 2_000)


def test_a_plain_connection_is_wrong_of_a_safer_profile() -> None:
    credentials = StationCredentials(profile=SecurityProfile.TLS_BASIC)
    assert judged("CS01", credentials, STRANGER).wrong is Wrong.PLAIN
