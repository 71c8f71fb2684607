"""A Source may name its requests as it likes; what it does wrong there costs no charge record."""

from __future__ import annotations

import pytest
import trio

from statecharts.destination_events import REQUESTS_OF_A_KIND
from statecharts.vocabulary import (
    Authorize,
    AuthorizeAnswer,
    Refused,
    RequestStartTransaction,
    RequestStopTransaction,
    ServiceType,
)
from tests.support.house import House, StationLine, link, open_house


async def _authorize(local: House, peer: str, connector: str) -> str:
    request = Authorize(
        pms_identifier=peer,
        user_identifier="anna",
        service_type=ServiceType.EV_CHARGING,
        local_service_identifier="CS01",
        connector_identifier=connector,
    )
    answer = await local.destination(peer, request)
    assert isinstance(answer, AuthorizeAnswer)
    return answer.authorization_identifier


async def test_a_request_identifier_used_for_two_transactions_costs_neither_its_charge(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with open_house("NL-MOT", nursery) as home, open_house("IE-001", nursery) as local:
        link(home, local)
        station = StationLine(local, "CS01")
        await station.come_online()
        for connector in (1, 2):
            name = await _authorize(local, "NL-MOT", str(connector))
            start = RequestStartTransaction(request_identifier="the-same", authorization_identifier=name)
            await local.destination("NL-MOT", start)
            answer = await station.start(name, connector_id=connector)
            assert answer.id_tag_info.status == "Accepted"
            await station.stop(answer.transaction_id, 1_900)
            ended = await local.until(f"destination/{name}", "TxFinished")
            assert ended.charge.energy_wh == 900


async def test_a_transaction_takes_only_so_many_starts_and_can_be_stopped_all_the_same(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with open_house("NL-MOT", nursery) as home, open_house("IE-001", nursery) as local:
        link(home, local)
        station = StationLine(local, "CS01")
        await station.come_online()
        name = await _authorize(local, "NL-MOT", "1")
        starts = [
            RequestStartTransaction(request_identifier=f"r{number}", authorization_identifier=name)
            for number in range(REQUESTS_OF_A_KIND + 1)
        ]
        for start in starts[:-1]:
            await local.destination("NL-MOT", start)
        with pytest.raises(Refused, match="429"):
            await local.destination("NL-MOT", starts[-1])
        await local.destination("NL-MOT", starts[0])
        answer = await station.start(name)
        stop = RequestStopTransaction(request_identifier="stop", authorization_identifier=name)
        await local.destination("NL-MOT", stop)
        await station.stop(answer.transaction_id, 1_900)
        assert (await local.until(f"destination/{name}", "TxFinished")).charge.energy_wh == 900
