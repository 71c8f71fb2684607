"""Whatever zeep writes our spyne reads, whatever spyne writes our zeep reads, and the schema agrees with both."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mobieurope_samples import (
    PASSWORD,
    PEER,
    REQUESTS,
    USERNAME,
    Node,
    answer_to,
    identifiers,
    local_services,
    requests,
)

from protocols.mobieurope.client import MobiEuropeClient
from protocols.mobieurope.contract import destination_contract, source_contract
from protocols.mobieurope.envelope import SOAP11, SOAP12, read_envelope
from protocols.mobieurope.mapping import write_answer
from protocols.mobieurope.messages import Call, Codec, Reply
from statecharts.vocabulary import (
    Answered,
    Authorize,
    AuthorizeAnswer,
    Declined,
    EnergyUnit,
    GetLocalServicesList,
    GetLocalServiceStatus,
    LocalServiceAnswer,
    LocalServicesAnswer,
    PeerOutcome,
    Refusal,
    RoamingAnswer,
    RoamingRequest,
)
from tests.support.over_httpx import OverHttpx

CONTRACTS = [destination_contract(), source_contract()]
CODECS = {kind: Codec(contract, EnergyUnit.WH) for contract in CONTRACTS for kind in contract.operations.values()}
every_request = pytest.mark.parametrize("sent", REQUESTS, ids=lambda request: type(request).__name__)
SCHEMAS = {kind: contract for contract in CONTRACTS for kind in contract.operations.values()}


class Wire:
    """Between a real client and a real codec: everything that passes is checked against the schema."""

    def __init__(self, unit: EnergyUnit, answer: RoamingAnswer | Refusal | None = None) -> None:
        self.answer = answer
        self.received: RoamingRequest | None = None
        http = OverHttpx(httpx.MockTransport(self.carry))
        self.client = MobiEuropeClient("http://peer.test", USERNAME, PASSWORD, unit, http=http)

    async def call(self, request: RoamingRequest) -> PeerOutcome:
        self.kind = type(request)
        return await self.client.call(request, 5)

    def carry(self, sent: httpx.Request) -> httpx.Response:
        self.check(sent.content)
        call = CODECS[self.kind].decode(sent.content, "utf-8")
        self.received = call.request
        reply = self.reply(call)
        self.check(reply.body)
        return httpx.Response(reply.status, content=reply.body, headers={"content-type": reply.content_type})

    def reply(self, call: Call) -> Reply:
        if isinstance(self.answer, Refusal):
            return call.refuse(self.answer)
        return call.answer(self.answer or answer_to(call.request))

    def check(self, document: bytes) -> None:
        assert SCHEMAS[self.kind].check(read_envelope(document).content) is None


@given(requests, st.sampled_from(EnergyUnit))
@settings(max_examples=150, deadline=None)
async def test_every_request_arrives_as_it_was_sent(request: RoamingRequest, unit: EnergyUnit) -> None:
    wire = Wire(unit)
    outcome = await wire.call(request)
    assert wire.received == request
    assert outcome == Answered(answer=answer_to(request))


answers = st.one_of(
    st.tuples(st.just(Authorize), st.builds(AuthorizeAnswer, authorization_identifier=identifiers)),
    st.tuples(st.just(GetLocalServiceStatus), st.builds(LocalServiceAnswer, local_service=local_services)),
    st.tuples(
        st.just(GetLocalServicesList),
        st.builds(LocalServicesAnswer, local_services=st.lists(local_services, max_size=3).map(tuple)),
    ),
)


@given(answers)
@settings(max_examples=80, deadline=None)
async def test_every_answer_arrives_as_it_was_given(case: tuple[type[RoamingRequest], RoamingAnswer]) -> None:
    kind, answer = case
    request = next(request for request in REQUESTS if type(request) is kind)
    assert await Wire(EnergyUnit.WH, answer).call(request) == Answered(answer=answer)


@given(st.sampled_from(REQUESTS), st.integers(400, 499), st.text(max_size=40))
@settings(max_examples=60, deadline=None)
async def test_every_refusal_arrives_with_code_and_message(request: RoamingRequest, code: int, message: str) -> None:
    outcome = await Wire(EnergyUnit.WH, Refusal(code=code, kind="any", message=message)).call(request)
    assert isinstance(outcome, Declined)
    assert outcome.refusal.code == code
    assert len(outcome.refusal.message) == len(message)


@every_request
async def test_all_eight_operations_work_from_client_to_door(sent: RoamingRequest) -> None:
    node = Node()
    assert await node.client().call(sent, 5) == Answered(answer=answer_to(sent))
    assert node.door.passed == [(PEER, sent)]


class OldWire(Wire):
    """A peer that speaks SOAP 1.1: the same content in the older envelope."""

    def carry(self, sent: httpx.Request) -> httpx.Response:
        call = CODECS[self.kind].decode(sent.content.replace(SOAP12.encode(), SOAP11.encode()), "utf-8")
        self.received = call.request
        self.answered = self.reply(call)
        return httpx.Response(200)


@every_request
async def test_soap_11_is_answered_in_soap_11_with_the_same_content(sent: RoamingRequest) -> None:
    wire = OldWire(EnergyUnit.WH)
    await wire.call(sent)
    assert wire.received == sent
    assert wire.answered.status == 200
    assert wire.answered.content_type == "text/xml; charset=utf-8"
    message = read_envelope(wire.answered.body)
    assert message.namespace == SOAP11
    assert SCHEMAS[type(sent)].check(message.content) is None


@every_request
def test_an_answer_of_another_operation_is_never_written(sent: RoamingRequest) -> None:
    fitting = {type(answer_to(sent))}
    for answer in map(answer_to, REQUESTS):
        if type(answer) not in fitting:
            with pytest.raises(TypeError, match="is no answer to"):
                write_answer(type(sent), answer)
