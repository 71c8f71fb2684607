"""What a verification promises beside its verdict: whom it speaks to, how fast, for how long, and what it tells."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
import trio
import trio.lowlevel
from hypothesis import find, settings
from hypothesis.errors import NoSuchExample
from hypothesis.strategies import just

from protocols.mobieurope.contract import destination_contract, source_contract
from protocols.mobieurope.wire import HttpAnswer, Unreachable
from protocols.verify.app import UserApp
from protocols.verify.conversation import Conversation, Mask
from protocols.verify.flows import flows
from protocols.verify.names import ASKED_BY_US
from protocols.verify.options import KINDS, AppAccess, CannotVerify, Role
from protocols.verify.partner import Pace, Partner
from protocols.verify.report import as_text
from protocols.verify.rules import RULES
from protocols.verify.steps import Authorize, Flow, Start, StationAnswers, StationDoes, Stop
from protocols.verify.verification import Verdict
from protocols.verify.wsdl import differences
from statecharts.limits import PEER_ANSWER
from statecharts.vocabulary import GetLocalServiceStatus
from tests.support.sizes import ROOT
from tests.verify import test_wrong_destinations, test_wrong_sources
from tests.verify.verifying import (
    GIVEN,
    HTML,
    answering,
    asked,
    at_destination,
    no_verdict,
    of,
    options,
    own_address,
    run,
)
from tests.verify.wrong_destination import REPORTS, STATION, open_destination

# -- careful by default ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ("http://127.0.0.1:80/a", "http://localhost/a", "https://[::1]:8443/a"))
def test_this_machine_may_be_verified(url):
    asked(url).check_hosts()


@pytest.mark.parametrize("url", ("https://partner.example/a", "http://192.0.2.1/a", "http://127.0.0.1.example/a"))
def test_any_other_host_must_be_allowed_by_name(url):
    with pytest.raises(CannotVerify, match="--allow-host"):
        asked(url).check_hosts()
    named = asked(url, allowed_hosts=frozenset({"partner.example", "192.0.2.1", "127.0.0.1.example"}))
    named.check_hosts()


@pytest.mark.parametrize("url", ("partner", "ftp://127.0.0.1/a", "http://", "http://127.0.0.1:99999/", "http://[::1/"))
def test_what_is_no_address_is_refused(url):
    with pytest.raises(CannotVerify, match="is no address"):
        asked(url).check_hosts()


async def test_without_leave_to_start_nothing_is_started():
    own = own_address()
    async with open_destination(own, frozenset({"always-free"})) as peer:
        leave = frozenset({"authorize", "stop", "status"})
        result = await run(at_destination(peer, own, operations=leave, station=None, flows=30, patience_s=10.0))
    assert result.flows > 20 and result.verdict is Verdict.CONFORMING, as_text(result)
    assert len(peer.sessions) > 10 and not any(session.requests for session in peer.sessions.values())


async def test_a_connector_that_there_is_not_is_no_fault_of_the_partners():
    own = own_address()
    async with open_destination(own) as peer:
        why = await no_verdict(at_destination(peer, own, connector=7, kinds=frozenset({"happy"})))
    assert why.startswith(f"{STATION} is authorised, but not its connector 7: --connector")


async def test_a_station_in_use_is_no_fault_of_the_partners():
    own = own_address()
    async with open_destination(own, frozenset({"in-use"})) as peer:
        why = await no_verdict(at_destination(peer, own, kinds=frozenset({"happy"}), first_only=False))
    assert why.startswith(f"{STATION} is in use")


async def test_reports_of_what_an_earlier_verification_left_open_are_set_aside():
    own = own_address()
    async with open_destination(own) as peer:
        left = ASKED_BY_US + "-0000-4000-8000-000000000000"
        names = f"<requestIdentifier>{left}</requestIdentifier><requestSuccess>true</requestSuccess>"
        peer.nursery.start_soon(peer.report, "notifyRequestResult", names)
        result = await run(at_destination(peer, own, kinds=frozenset({"happy"}), flows=3, patience_s=10.0))
    assert not result.failures and result.set_aside == 1, as_text(result)


async def test_what_was_cut_short_or_never_tried_is_not_conforming():
    cut = await of("none", time_limit_s=0.5, patience_s=10.0)
    assert (cut.verdict, cut.ended) == (Verdict.NOT_FINISHED, "the time limit of 0.5 s")
    idle = await of("none", operations=frozenset({"authorize"}), required=frozenset({"end-sent"}), flows=12)
    assert (idle.verdict, idle.untried) == (Verdict.NOT_JUDGED, ["end-sent"])


async def test_a_partner_that_does_not_know_us_is_asked_once():
    own = own_address()
    async with open_destination(own) as peer:
        asked_of_it, serve = [], peer.serve

        async def counted(scope: Any, receive: Any) -> Any:
            asked_of_it.append(scope["method"])
            return await serve(scope, receive)

        with patch.object(peer, "serve", counted), pytest.raises(BaseExceptionGroup) as raised:
            await run(at_destination(peer, own, password="another one"))
    assert raised.group_contains(CannotVerify, match=r"does not let us in: HTTP 401", depth=None)
    assert asked_of_it == ["GET", "POST"], "the WSDL, and one request"


@pytest.mark.parametrize(
    ("answer", "said"),
    (
        (b"", "is not answered within 0.3 s"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "is not answered within 0.3 s"),
        (b"hello\r\n\r\n", "cannot be reached: .+"),
    ),
)
async def test_a_wsdl_that_does_not_come_is_said_so_and_waited_for_no_longer_than_agreed(answer, said):
    async with answering(answer) as url:
        with pytest.raises(BaseExceptionGroup) as raised:
            await run(asked(url, own_url=own_address(), patience_s=0.3))
    assert raised.group_contains(CannotVerify, match=said)


async def test_a_page_of_html_is_told_as_what_it_is():
    async with answering(HTML) as url:
        result = await run(asked(url, own_url=own_address(), flows=2, first_only=False))
    told = {rule: failure.seen for rule, failure in result.failures.items()}
    assert told["wsdl-served"] == "?wsdl is answered HTTP 200 with text/html"
    assert "was answered HTTP 200, text/html without SOAP: " in told["no-fault"]


ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    (
        (b"", "not at all: it is not answered within 0.3 s"),
        (ENDLESS, "not at all: it is not answered within 0.3 s"),
        (b"hello\r\n\r\n", "not at all: it cannot be reached: "),
        (HTML, "HTTP 200 with text/html, which is no JSON"),
        (ENDLESS + b" " * (PEER_ANSWER.limit + 1), f"of more than {PEER_ANSWER.limit} bytes"),
    ),
    ids=("nothing", "no end", "no HTTP", "HTML", "too long"),
)
async def test_an_app_that_is_answered_nonsense_says_so_and_waits_no_longer_than_agreed(answer, said):
    async with answering(answer) as url:
        given = asked(url, patience_s=0.3 if b"Content" not in answer and len(answer) < 100 else 10.0)
        app = UserApp(given, AppAccess(url, "token", "anna"), Pace(1000), Mask([]))
        try:
            with trio.fail_after(10):
                reply = await app.session(Conversation(), "A1")
        finally:
            await app.aclose()
    assert said in str(reply) and not reply.readable and not reply.ok


async def test_users_of_one_verification_are_not_those_of_another():
    own = own_address()
    async with open_destination(own) as peer:
        for _ in range(2):
            await run(at_destination(peer, own, flows=6, kinds=frozenset({"happy"})))
        users = [session.user for session in peer.sessions.values()]
    assert len(users) == len(set(users)) > 4


async def test_requests_keep_the_pace(autojump_clock):
    pace, begun = Pace(10), trio.current_time()
    for _ in range(5):
        await pace.turn()
    assert trio.current_time() - begun == pytest.approx(0.4) and pace.requests == 5


async def test_the_time_limit_ends_it_and_says_so():
    result = await of("none", flows=10_000, time_limit_s=0.5)
    assert result.ended == "the time limit of 0.5 s" and 0 < result.flows < 10_000
    assert "ended early by the time limit of 0.5 s" in as_text(result)


async def test_the_time_limit_ends_a_flow_as_well_and_what_it_showed_stands():
    result = await of("silent", time_limit_s=1.5, patience_s=1.0, kinds=frozenset({"happy"}), first_only=False)
    assert result.seconds < 2.5 and result.ended == "the time limit of 1.5 s"
    assert "answered" in result.failures


async def test_who_interrupts_it_has_what_was_found_and_leaves_no_charge_behind():
    own, ended = own_address(), trio.Event()
    async with open_destination(own) as peer:
        started, stopped = peer.started, peer.stopped

        def interrupted(payload: dict[str, Any], after: list[Any]) -> dict[str, Any]:
            signal.raise_signal(signal.SIGINT)
            return started(payload, after)

        def over(payload: dict[str, Any], after: list[Any]) -> dict[str, Any]:
            ended.set()
            return stopped(payload, after)

        reports = {
            "StartTransaction": lambda _, *given: interrupted(*given),
            "StopTransaction": lambda _, *given: over(*given),
        }
        with patch.dict(REPORTS, reports):
            result = await run(at_destination(peer, own, flows=10_000))
    assert result.interrupted and result.ended == "an interruption" and result.flows < 100
    assert result.verdict is Verdict.NOT_FINISHED
    assert ended.is_set()


def test_the_example_of_a_secret_is_never_shown():
    assert Mask(["secret", ""]).text("a secret b") == "a *** b"
    shown = Mask([]).message("POST /", {"Authorization": "Basic c2VjcmV0", "Content-Type": "text/xml"}, b"<a/>")
    assert "c2VjcmV0" not in shown and "text/xml" in shown


class GoneAfter:
    """A way to a partner that is there for so many requests."""

    certificate_until = None

    def __init__(self, requests: int) -> None:
        self.left = requests

    async def post(self, *_: object) -> HttpAnswer:
        if self.left == 0:
            raise Unreachable("no connection could be made")
        self.left -= 1
        return HttpAnswer(503, {}, b"")

    async def aclose(self) -> None: ...


@pytest.mark.parametrize("requests", (0, 1))
async def test_a_partner_that_goes_away_under_our_hands_is_a_finding_and_one_that_never_was_there_is_none(requests):
    talk, request = Conversation(), GetLocalServiceStatus(local_service_identifier="CS01")
    partner = Partner(asked("http://127.0.0.1:1/"), destination_contract(), GoneAfter(requests), Pace(1000), Mask([]))
    if requests == 0:
        with pytest.raises(CannotVerify, match="cannot be reached"):
            await partner.ask(talk, request)
    else:
        await partner.ask(talk, request)
        await partner.ask(talk, request)
        assert "answered" in talk.broken and "any more" in talk.exchanges[-1].answer


# -- what it finds -----------------------------------------------------------------------------------------------------


async def test_a_failure_is_shrunk_to_the_shortest_conversation():
    result = await of("D6", shrinks=200, kinds=frozenset({"repeated"}))
    steps = result.failures["used-once"].flow.steps
    assert len(steps) == 4, "nothing is left that could be left out"
    assert steps[0] == Authorize() and isinstance(steps[1], Start) and isinstance(steps[3], Start)
    assert 0 < result.shrunk <= 200


async def test_the_same_seed_draws_the_same_flows():
    first, again, other = [await of("D13", seed=seed, kinds=frozenset({"refused"})) for seed in (3, 3, 4)]
    assert (first.flows, first.kinds) == (again.flows, again.kinds)
    assert first.failures["no-parking"].flow == again.failures["no-parking"].flow
    assert {"no-parking"} == set(other.failures)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("kind", KINDS)
def test_no_flow_is_empty(role, kind):
    bare = options(role, url="http://127.0.0.1:1/", service="CS01", kinds=frozenset({kind}), **GIVEN)
    app = AppAccess("http://127.0.0.1:1/", "token", "anna")
    for given in (bare, replace(bare, app=app)):
        for strategy in flows(given).values():
            with pytest.raises(NoSuchExample):
                find(strategy, lambda flow: not flow.steps, settings=settings(database=None, max_examples=20))


async def test_the_end_of_a_charge_that_there_never_was_is_not_that_of_one_that_runs():
    steps = (Authorize(), Start(), StationDoes(what="stray"), Stop())
    crossed = {"crossed": just(Flow(kind="crossed", steps=steps))}
    with patch("protocols.verify.verification.flows", lambda _: crossed):
        result = await of("none")
    assert result.flows == 1 and not result.failures, as_text(result)


async def test_a_partner_may_take_its_time_to_note_what_its_station_refused():
    steps = (Authorize(), Start(), StationAnswers(stop="reject"), Stop())
    refused = {"refused": just(Flow(kind="refused", steps=steps))}
    own = own_address()
    async with open_destination(own) as peer:
        call = peer.call

        async def slow(*asked: Any) -> str:
            status = await call(*asked)
            await trio.sleep(0.05)
            return status

        with patch.object(peer, "call", slow), patch("protocols.verify.verification.flows", lambda _: refused):
            result = await run(at_destination(peer, own, patience_s=5.0))
    assert result.flows == 1 and not result.failures, as_text(result)


def test_every_rule_is_broken_by_one_of_the_wrong_partners():
    tables = (
        test_wrong_destinations.MOTOWN,
        test_wrong_destinations.OTHERS,
        test_wrong_sources.MOTOWN,
        test_wrong_sources.OTHERS,
    )
    told = {rule for table in tables for rules, _ in table.values() for rule in rules}
    assert {rule.id for rule in RULES} - told == set()


def test_no_two_rules_have_one_name_and_all_say_something():
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.sentence.endswith(".") and rule.source for rule in RULES)
    assert {rule.role for rule in RULES} == {"both", "source", "destination"}


def test_the_page_on_verifying_has_every_rule_as_it_is():
    page = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
    rows = {line for line in page.splitlines() if line.startswith("| `")}
    assert rows == {f"| `{rule.id}` | {rule.role} | {rule.sentence} | {rule.source} |" for rule in RULES}


# -- the WSDL ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("contract", (destination_contract(), source_contract()), ids=("destination", "source"))
def test_the_contract_agrees_with_itself_however_it_is_written(contract):
    assert differences(contract.wsdl, contract) == []
    other_prefix = contract.wsdl.replace(b"xs:", b"xsd:").replace(b"xmlns:xs=", b"xmlns:xsd=")
    assert differences(other_prefix, contract) == []


@pytest.mark.parametrize(
    "change",
    (
        (b'name="errorCode" type="xs:string"', b'name="errorCode" type="xs:int"'),
        (b'name="errorMsg"', b'name="errorText"'),
        (b'ref="common:ResponseError" minOccurs="0"', b'ref="common:ResponseError"'),
        (b'targetNamespace="http://webservice.common', b'elementFormDefault="qualified" targetNamespace="http://webservice.common'),
        (b'value="PARKING"', b'value="SLEEPING"'),
        (b'<wsdl:operation name="authorize"', b'<wsdl:operation name="authorise"'),
        (b"http://schemas.xmlsoap.org/wsdl/soap12/", b"http://schemas.xmlsoap.org/wsdl/soap/"),
    ),
)  # fmt: skip
def test_another_contract_is_told_from_it(change):
    contract = destination_contract()
    assert change[0] in contract.wsdl
    assert differences(contract.wsdl.replace(*change), contract) != []


def test_what_is_no_wsdl_is_told():
    assert differences(b"<html>", destination_contract()) and differences(b"<html/>", destination_contract())
