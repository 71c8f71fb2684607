"""What every `PeerClient` keeps to: the one that speaks SOAP, over whatever carries it, and the one that walks into the
partner's doors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio.testing
from quart_trio import QuartTrio

from protocols.http.gate import Gate, Requests
from protocols.mobieurope.client import MobiEuropeClient
from protocols.mobieurope.server import Services
from statecharts.bounds import Watermarks
from statecharts.meters import Meters
from statecharts.ports import PeerClient
from statecharts.vocabulary import (
    Acknowledgement,
    Answered,
    Authorize,
    AuthorizeAnswer,
    Declined,
    EnergyUnit,
    NotifyRequestResult,
    RequestStartTransaction,
    RoamingAnswer,
    RoamingRequest,
    ServiceType,
    Unanswered,
    refused,
)
from tests.support.house import LinkedClient
from tests.support.in_process import InProcess
from tests.support.over_httpx import OverHttpx
from tests.world.faults import Faults
from tests.world.ground import Ground, Life
from tests.world.listening import Service
from tests.world.network import MemoryHttp, Network

OWN, PASSWORD = "NL-MOT", "sixteen bytes and more"
GRANT = AuthorizeAnswer(authorization_identifier="0A1B2C3D4E5F")
AUTHORIZE = Authorize(
    pms_identifier=OWN,
    user_identifier="anna",
    service_type=ServiceType.EV_CHARGING,
    local_service_identifier="CS01",
)
START = RequestStartTransaction(request_identifier="r-1", authorization_identifier="0A1B2C3D4E5F")
RESULT = NotifyRequestResult(request_identifier="r-1", request_success=True)

Behaviour = Callable[[RoamingRequest], Awaitable[RoamingAnswer]]


async def willing(request: RoamingRequest) -> RoamingAnswer:
    return GRANT if isinstance(request, Authorize) else Acknowledgement()


def refusing(code: int) -> Behaviour:
    async def no(_: RoamingRequest) -> RoamingAnswer:
        raise refused(code, "told-so", "not today")

    return no


async def deaf(_: RoamingRequest) -> RoamingAnswer:
    await trio.sleep_forever()


@dataclass
class Partner:
    """The other operator: both its doors, and what came through which."""

    behaviour: Behaviour
    passed: list[tuple[str, str, RoamingRequest]] = field(default_factory=list)

    async def destination(self, peer: str, request: Any) -> RoamingAnswer:
        self.passed.append(("destination", peer, request))
        return await self.behaviour(request)

    async def source(self, peer: str, request: Any) -> RoamingAnswer:
        self.passed.append(("source", peer, request))
        return await self.behaviour(request)

    def authenticate(self, username: str, password: bytes, certificate: str | None = None) -> str | None:
        return OWN if (username, password) == (OWN, PASSWORD.encode()) else None


def linked(partner: Partner, nursery: trio.Nursery) -> PeerClient:
    return LinkedClient(OWN, partner.destination, partner.source)


def services(partner: Partner) -> Services:
    return Services(
        QuartTrio("partner"),
        destination=partner.destination,
        source=partner.source,
        destination_peers=partner,
        source_peers=partner,
        energy_unit=EnergyUnit.WH,
        new_correlation_id=lambda: "fresh",
        public_url=None,
        watermarks=Watermarks(),
    )


def over_soap(partner: Partner, nursery: trio.Nursery) -> PeerClient:
    http = OverHttpx(InProcess(services(partner)))
    return MobiEuropeClient("http://partner.test", OWN, PASSWORD, EnergyUnit.WH, http=http)


def in_a_world(partner: Partner, nursery: trio.Nursery) -> PeerClient:
    ground = Ground(0, nursery, Faults())
    network = Network(ground, ("IE-001",))
    gate = Gate(services(partner), Requests(10, Meters()))
    network.put_up("IE-001:80", Service(Life(ground, "IE-001", 1), gate, nursery))
    http = MemoryHttp(network, Life(ground, OWN, 1))
    return MobiEuropeClient("http://IE-001", OWN, PASSWORD, EnergyUnit.WH, http=http)


Reach = Callable[[Partner, trio.Nursery], PeerClient]
every_client = pytest.mark.parametrize("reach", [linked, over_soap, in_a_world])


@every_client
async def test_an_answer_is_handed_back_and_the_right_door_hears_who_asked(reach: Reach, nursery: trio.Nursery) -> None:
    partner = Partner(willing)
    client = reach(partner, nursery)
    assert await client.call(AUTHORIZE, 10) == Answered(answer=GRANT)
    assert await client.call(RESULT, 10) == Answered(answer=Acknowledgement())
    assert partner.passed == [("destination", OWN, AUTHORIZE), ("source", OWN, RESULT)]
    await client.aclose()


@every_client
@pytest.mark.parametrize("code", [400, 403, 404, 409, 410, 429])
async def test_a_refusal_for_good_is_declined_with_its_code_and_reason(
    reach: Reach, nursery: trio.Nursery, code: int
) -> None:
    client = reach(Partner(refusing(code)), nursery)
    outcome = await client.call(START, 10)
    assert isinstance(outcome, Declined)
    assert (outcome.refusal.code, outcome.refusal.message) == (code, "not today")
    await client.aclose()


@every_client
@pytest.mark.parametrize("code", [500, 503])
async def test_trouble_of_the_partner_leaves_the_outcome_open(reach: Reach, nursery: trio.Nursery, code: int) -> None:
    client = reach(Partner(refusing(code)), nursery)
    outcome = await client.call(START, 10)
    assert isinstance(outcome, Unanswered) and not outcome.alarm
    assert "not today" in outcome.cause
    await client.aclose()


@every_client
async def test_a_partner_that_never_answers_costs_the_timeout_and_no_more(
    reach: Reach, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    client = reach(Partner(deaf), nursery)
    begun_at = trio.current_time()
    assert isinstance(await client.call(START, 7), Unanswered)
    assert trio.current_time() - begun_at == pytest.approx(7)
    await client.aclose()
