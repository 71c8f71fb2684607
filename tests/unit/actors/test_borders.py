"""What our doors refuse before any chart is asked, and what they cut short: nothing foreign is kept without a bound."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio

from statecharts.station_reports import ConnectorStatus
from statecharts.vocabulary import (
    Authorize,
    Declined,
    NotifyRequestResult,
    Refusal,
    Refused,
    RequestStartTransaction,
    ServiceType,
    Unanswered,
)
from tests.support.house import StationLine, open_house
from tests.support.roaming import HOME, LOCAL, Roaming

ASKED = Authorize(
    pms_identifier=HOME,
    user_identifier="anna",
    service_type=ServiceType.EV_CHARGING,
    local_service_identifier="CS01",
)


@pytest.mark.parametrize("unfit", ["", "x" * 256])
@pytest.mark.parametrize("field", ["user_identifier", "local_service_identifier", "connector_identifier"])
async def test_an_identifier_that_is_empty_or_too_long_to_be_kept_is_refused(
    roaming: Roaming, field: str, unfit: str
) -> None:
    wrong: Any = {field: unfit}
    with pytest.raises(Refused) as caught:
        await roaming.local.destination(HOME, msgspec.structs.replace(ASKED, **wrong))
    assert (caught.value.refusal.code, caught.value.refusal.kind) == (400, "invalid-identifier")
    assert field.replace("_", " ") in caught.value.refusal.message
    page = await roaming.local.operator.transactions(role=None, state=None, cursor=None, limit=9)
    assert page.items == ()


async def test_a_request_whose_own_identifier_is_too_long_starts_nothing(roaming: Roaming) -> None:
    charge = await roaming.ready()
    request = RequestStartTransaction(request_identifier="r" * 256, authorization_identifier=charge.name)
    with pytest.raises(Refused, match="invalid-identifier"):
        await roaming.local.destination(HOME, request)
    assert (await roaming.local.data(charge.destination)).state == "Ready"
    assert roaming.station.commands == []


async def test_a_cause_without_end_is_cut_to_a_readable_length(roaming: Roaming) -> None:
    charge = await roaming.start_asked()
    operation = (await roaming.home.data(charge.source)).operation("start")
    report = NotifyRequestResult(
        request_identifier=operation.request_identifier, request_success=False, cause="no" * 100_000
    )
    await roaming.home.source(LOCAL, report)
    assert (await roaming.home.data(charge.source)).cause == "no" * 200


async def test_a_local_start_at_a_station_that_is_away_says_so(autojump_clock: object, nursery: trio.Nursery) -> None:
    async with open_house("IE-001", nursery) as house:
        with pytest.raises(Refused, match="not connected") as caught:
            await house.operator.start_local("CS01", 1, "CARD0001")
        assert (caught.value.refusal.code, caught.value.refusal.kind) == (409, "station-unavailable")


async def test_a_parked_delivery_shows_how_often_it_was_tried_and_why_it_is_parked(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.running()
    no = Declined(refusal=Refusal(code=409, kind="peer-refused", message="not mine"))
    roaming.back.script = [Unanswered(cause="HTTP 503"), no]
    await roaming.station.stop(charge.number, 2_000)
    await trio.sleep(60)
    parked = (await roaming.local.operator.deliveries(status="parked", peer=HOME)).items
    assert [(p.operation, p.attempts, p.error) for p in parked] == [("EndTransaction", 2, "409: not mine")]


@pytest.mark.parametrize("connector_id", [-1, 3, 2**31 - 1])
async def test_a_status_of_a_connector_that_the_station_does_not_have_is_answered_and_not_kept(
    line: StationLine, connector_id: int
) -> None:
    before = await line.house.journal.load("station/CS01")
    await line.status(connector_id, ConnectorStatus.FAULTED)
    assert await line.house.journal.load("station/CS01") == before
    await line.status(0, ConnectorStatus.FAULTED)
    assert len(await line.house.journal.load("station/CS01")) == len(before) + 1
