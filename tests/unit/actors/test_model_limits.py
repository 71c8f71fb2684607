"""What stations of one vendor and model cannot do: looked up when one boots, and kept to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import trio

from actors.context import NodeSettings
from statecharts.model_limits import ModelLimits, ModelQuirk, limits_of
from statecharts.station_commands import (
    CallVerdict,
    LocalListEntry,
    RemoteStartTransaction,
    ReserveNow,
    SendLocalList,
    StationCommand,
)
from statecharts.station_reports import BootAnswer, BootNotification, Heartbeat
from tests.support.books import restarted
from tests.support.house import EPOCH, StationLine, open_house

HEX = ModelQuirk(vendor="alfen*", model="NG9?", firmware="4.*", limits=ModelLimits(id_tag_hex=True))
SHORT = ModelQuirk(vendor="Alfen", limits=ModelLimits(id_tag_length=19, idle_close_s=900, id_tag_hex=False))
QUIRKS = (HEX, SHORT)


def boot(vendor: str = "Alfen BV", model: str = "NG91", firmware: str | None = "4.2") -> BootNotification:
    return BootNotification(vendor=vendor, model=model, firmware_version=firmware)


@pytest.mark.parametrize(
    ("booted", "limits"),
    [
        (boot(), ModelLimits(id_tag_hex=True)),
        (boot("ALFEN"), ModelLimits(id_tag_hex=True, id_tag_length=19, idle_close_s=900)),
        (boot("alfen", "ACE"), ModelLimits(id_tag_hex=False, id_tag_length=19, idle_close_s=900)),
        (boot(firmware="5.0"), ModelLimits()),
        (boot(firmware=None), ModelLimits()),
        (boot("KEBA"), ModelLimits()),
        (None, ModelLimits()),
    ],
)
def test_of_each_limit_the_first_row_counts_that_fits_and_names_it(
    booted: BootNotification | None, limits: ModelLimits
) -> None:
    assert limits_of(QUIRKS, booted) == limits


LONG = "0123456789ABCDEF0123"
STARTS = [RemoteStartTransaction(id_tag="CARD0001", connector_id=1), RemoteStartTransaction(id_tag=LONG)]


@pytest.mark.parametrize(
    ("limits", "command", "reason"),
    [
        (ModelLimits(id_tag_hex=True), RemoteStartTransaction(id_tag="CARD0001"), "hex digits only: 'CARD0001'"),
        (ModelLimits(id_tag_hex=True), RemoteStartTransaction(id_tag="ABC"), "pairs of hex digits"),
        (ModelLimits(id_tag_hex=True), RemoteStartTransaction(id_tag="04a1B2"), ""),
        (ModelLimits(id_tag_length=19), RemoteStartTransaction(id_tag=LONG), "up to 19 characters"),
        (ModelLimits(id_tag_length=20), RemoteStartTransaction(id_tag=LONG), ""),
        (
            ModelLimits(id_tag_length=19),
            ReserveNow(reservation_id=1, connector_id=1, expiry_date=EPOCH, id_tag="A", parent_id_tag=LONG),
            "up to 19",
        ),
        (
            ModelLimits(id_tag_hex=True),
            SendLocalList(version=1, update="Full", entries=(LocalListEntry(id_tag="AB"), LocalListEntry(id_tag="X"))),
            "'X' is none",
        ),
    ],
)
def test_an_id_tag_that_a_model_would_spoil_is_named(limits: ModelLimits, command: StationCommand, reason: str) -> None:
    assert reason in limits.refusal(command) and bool(limits.refusal(command)) is bool(reason)


@pytest.fixture
async def line(autojump_clock: object, nursery: trio.Nursery) -> AsyncIterator[StationLine]:
    """A station of vendor V and model M, whose quirks are known."""
    limits = ModelLimits(id_tag_hex=True, idle_close_s=600, heartbeat_interval_s=90)
    settings = NodeSettings(pms_identifier="IE-001", quirks=(ModelQuirk(vendor="v", limits=limits),))
    async with open_house("IE-001", nursery, settings=settings) as house:
        station = StationLine(house, "CS01")
        await station.come_online()
        yield station


async def asked(line: StationLine, **more: Any) -> CallVerdict:
    return (await line.house.command("CS01", STARTS[0], **more)).verdict


async def test_a_start_with_an_id_tag_that_the_model_does_not_take_is_not_sent_unless_it_is_forced(
    autojump_clock: object, line: StationLine, nursery: trio.Nursery
) -> None:
    assert await asked(line) is CallVerdict.NEVER_SENT
    again = await restarted(line, nursery)
    assert await asked(again) is CallVerdict.NEVER_SENT and line.commands == again.commands == []
    assert await asked(again, forced=True) is CallVerdict.ACCEPTED
    await again.say(BootNotification(vendor="W", model="M"))
    assert await asked(again) is CallVerdict.ACCEPTED


async def test_a_station_that_reports_nothing_for_too_long_is_closed_and_no_sooner(
    autojump_clock: object, line: StationLine
) -> None:
    await trio.sleep(590)
    await line.say(Heartbeat())
    await trio.sleep(590)
    assert line.closed is None
    await trio.sleep(20)
    assert line.closed == (1000, "nothing was reported for too long")
    look = await line.house.data("station/CS01")
    assert (look.online, look.last_seen_at) == (False, EPOCH + timedelta(seconds=590))


async def test_a_model_is_told_its_own_interval(autojump_clock: object, line: StationLine) -> None:
    answer = await line.say(boot("V"))
    assert isinstance(answer, BootAnswer) and answer.interval_s == 90
    answer = await line.say(boot("W"))
    assert isinstance(answer, BootAnswer) and answer.interval_s == 300
