"""Where our services are, whom they let in, and what becomes of what the door says."""

from __future__ import annotations

import httpx
import pytest
import trio
import trio.testing
from mobieurope_samples import (
    AUTHORIZE,
    BASIC,
    DESTINATION,
    PEER,
    REQUESTS,
    SOURCE,
    START,
    Door,
    Node,
    answer_to,
    authorize_xml,
    envelope,
    fault_code,
)
from quart_trio import QuartTrio
from structlog.contextvars import bound_contextvars, get_contextvars
from structlog.testing import capture_logs
from wsdl_table import table

from protocols.mobieurope import server
from protocols.mobieurope.contract import destination_contract, source_contract
from protocols.mobieurope.guard import FAILURES_WINDOW_S, Failures
from statecharts.bounds import GUESSES_REMEMBERED, Watermarks
from statecharts.limits import GUESSES
from statecharts.vocabulary import (
    Answered,
    Authorize,
    AuthorizeAnswer,
    Declined,
    LocalServicesAnswer,
    Refusal,
    RoamingAnswer,
    RoamingRequest,
    Unanswered,
    refused,
)

# -- where and what ----------------------------------------------------------------------------------------------------


async def test_each_module_is_mounted_only_with_its_door() -> None:
    for only, there, absent in (("destination", DESTINATION, SOURCE), ("source", SOURCE, DESTINATION)):
        node = Node(**{"destination": None, "source": None, only: Door()})
        assert (await node.get(f"{there}?wsdl")).status_code == 200
        assert (await node.get(f"{absent}?wsdl")).status_code == 404
        assert (await node.post(b"", absent)).status_code == 404


@pytest.mark.parametrize("query", ["wsdl", "WSDL", "wsdl=1", "Wsdl"])
async def test_the_wsdl_is_served_with_the_address_asked_for(query: str) -> None:
    node = Node()
    for path, contract in ((DESTINATION, destination_contract()), (SOURCE, source_contract())):
        response = await node.get(f"{path}?{query}", x_forwarded_host="evil.test", x_forwarded_proto="https")
        assert response.headers["content-type"].startswith("text/xml")
        assert table(response.content) == table(contract.wsdl)
        assert f'location="http://node.test{path}"' in response.text


async def test_the_wsdl_names_the_public_url_where_there_is_one() -> None:
    response = await Node(public_url="https://roaming.example.org/").get(f"{SOURCE}?wsdl")
    assert f'location="https://roaming.example.org{SOURCE}"' in response.text


async def test_a_get_without_wsdl_is_told_what_to_do() -> None:
    response = await Node().get(DESTINATION)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
async def test_other_methods_are_told_which_there_are(method: str) -> None:
    async with Node().http() as http:
        response = await http.request(method, DESTINATION)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


async def test_a_head_is_answered_like_a_get_without_its_body() -> None:
    async with Node().http() as http:
        response = await http.head(f"{DESTINATION}?wsdl")
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) > 1_000


async def test_no_browser_guesses_what_an_answer_is() -> None:
    for response in (await Node().get(DESTINATION), await Node().get(f"{DESTINATION}?wsdl")):
        assert response.headers["x-content-type-options"] == "nosniff"


# -- who ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization", ["", "Basic", "Basic !!!", "Basic bm8=", "Basic /////w==", "Bearer x", "Basic bm86bm8="]
)
async def test_d3_a_stranger_is_refused_before_the_body_is_parsed(
    authorization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node()
    monkeypatch.setattr(server.Codec, "decode", lambda *_: pytest.fail("the body was parsed"))
    monkeypatch.setattr(server, "_body", lambda: pytest.fail("the body was read"))
    response = await node.post(b"<!DOCTYPE bomb>", authorization=authorization)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic ")
    assert node.door.passed == []


async def test_d3_the_door_decides_whether_the_sender_of_an_authorize_is_the_authenticated_peer() -> None:
    def decide(request: RoamingRequest) -> RoamingAnswer:
        raise refused(403, "not-you", "pmsIdentifier NL-OTH is not the authenticated peer")

    door = Door(decide)
    response = await Node(destination=door).post(envelope(authorize_xml(pmsIdentifier="NL-OTH")))
    ((peer, passed),) = door.passed
    assert isinstance(passed, Authorize)
    assert (peer, passed.pms_identifier) == (PEER, "NL-OTH")
    assert response.status_code == 200
    assert "<errorCode>403</errorCode>" in response.text


async def test_the_door_learns_the_peer_from_the_credentials() -> None:
    node = Node()
    await node.client().call(START, 5)
    assert node.door.passed == [(PEER, START)]


async def test_guessing_from_one_address_is_stopped_for_a_while(autojump_clock: trio.testing.MockClock) -> None:
    node = Node()
    for _ in range(GUESSES.limit):
        assert isinstance(outcome := await node.client(b"guess").call(START, 5), Unanswered)
        assert outcome.alarm
    asked = node.peers.asked
    response = await node.post(envelope(authorize_xml()))
    assert (response.status_code, response.headers["retry-after"]) == (429, "60")
    assert node.peers.asked == asked
    await trio.sleep(FAILURES_WINDOW_S)
    assert isinstance(await node.client().call(START, 5), Answered)


async def test_a_partner_is_not_kept_out_by_a_stranger_who_shares_its_address() -> None:
    node = Node()
    stranger = httpx.BasicAuth("stranger", "guess")
    async with node.http() as http:
        statuses = [(await http.post(DESTINATION, auth=stranger)).status_code for _ in range(GUESSES.limit + 1)]
    assert statuses == [401] * GUESSES.limit + [429]
    assert isinstance(await node.client().call(START, 5), Answered)


async def test_requests_without_credentials_are_no_guesses() -> None:
    node = Node()
    for _ in range(GUESSES.limit + 1):
        assert (await node.post(b"", authorization="")).status_code == 401


async def test_the_table_of_failures_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    failures = Failures(Watermarks())
    for number in range(GUESSES_REMEMBERED.limit + 10):
        for _ in range(GUESSES.limit if number in (0, GUESSES_REMEMBERED.limit + 9) else 1):
            failures.count(("192.0.2.1", f"peer {number}"))
    assert not failures.too_many(("192.0.2.1", "peer 0"))
    assert failures.too_many(("192.0.2.1", f"peer {GUESSES_REMEMBERED.limit + 9}"))


# -- what the door says ------------------------------------------------------------------------------------------------


async def test_d4_an_unknown_transaction_is_a_response_error_and_no_fault() -> None:
    def unknown(_: RoamingRequest) -> None:
        raise refused(404, "unknown-transaction", "No transaction 0A1B2C3D4E5F.")

    node = Node(destination=Door(unknown), source=Door(unknown))
    for request in REQUESTS:
        outcome = await node.client().call(request, 5)
        refusal = Refusal(code=404, kind="peer-refused", message="No transaction 0A1B2C3D4E5F.")
        assert outcome == Declined(refusal=refusal)


async def test_what_goes_wrong_inside_is_a_receiver_fault_without_details() -> None:
    node = Node(destination=Door(lambda _: {}["secret"]))
    with capture_logs() as logs:
        response = await node.post(envelope(authorize_xml()), x_correlation_id="app.1-2_3")
    assert (response.status_code, fault_code(response.content)) == (500, "Receiver")
    assert "secret" not in response.text
    [entry] = logs
    assert (entry["event"], entry["log_level"]) == ("soap.request_failed", "error")


async def test_an_answer_that_cannot_be_written_is_a_receiver_fault() -> None:
    for answer in (AuthorizeAnswer(authorization_identifier="\x00"), LocalServicesAnswer(local_services=())):
        node = Node(destination=Door(lambda _, answer=answer: answer))
        response = await node.post(envelope(authorize_xml()))
        assert (response.status_code, fault_code(response.content)) == (500, "Receiver")


async def never(_: RoamingRequest) -> None:
    await trio.sleep_forever()


async def test_d22_a_door_that_does_not_answer_is_a_receiver_fault_in_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    node = Node(destination=Door(never))
    started = trio.current_time()
    response = await node.post(envelope(authorize_xml()))
    assert trio.current_time() - started == server.ANSWER_TIMEOUT_S
    assert (response.status_code, fault_code(response.content)) == (500, "Receiver")


async def test_d22_a_body_that_does_not_arrive_is_408(autojump_clock: trio.testing.MockClock) -> None:
    app = QuartTrio("its client")
    app.asgi_app = Node().app
    headers = {"Content-Type": "text/xml", "Authorization": BASIC}
    async with app.test_client().request(DESTINATION, method="POST", headers=headers) as connection:
        await connection.send(b"<")
        response = await connection.as_response()
    assert response.status_code == 408


class Listening(Door):
    """Remembers the correlation ids that its requests came with."""

    def __init__(self) -> None:
        super().__init__(self.note)
        self.ids: list[str] = []

    def note(self, request: RoamingRequest) -> RoamingAnswer:
        self.ids.append(get_contextvars()["correlation_id"])
        return answer_to(request)


async def test_the_correlation_id_of_the_peer_is_kept_when_it_is_one() -> None:
    door = Listening()
    node = Node(destination=door)
    for given, expected in (("app.1-2_3", "app.1-2_3"), ("", "fresh-1"), ("a" * 65, "fresh-1"), ("a b", "fresh-1")):
        response = await node.post(envelope(authorize_xml()), x_correlation_id=given)
        assert (door.ids.pop(), response.headers["x-correlation-id"]) == (expected, expected)


async def test_a_client_sends_the_correlation_id_it_works_under() -> None:
    door = Listening()
    node = Node(destination=door)
    with bound_contextvars(correlation_id="app-7"):
        await node.client().call(AUTHORIZE, 5)
    await node.client().call(AUTHORIZE, 5)
    assert door.ids == ["app-7", "fresh-1"]
