"""What a verification tells: text, JSON and JUnit say the same, and nothing is held that was not tried."""

from __future__ import annotations

import re

import msgspec
import pytest
from lxml import etree

from protocols.verify.conversation import Conversation
from protocols.verify.report import as_json, as_junit, as_text, counted
from protocols.verify.steps import Flow
from protocols.verify.verification import Verdict, Verification
from tests.verify.verifying import asked, of
from tests.verify.wrong_destination import OTHER_SECRET, SECRET, STATION_SECRET


async def test_text_json_and_junit_tell_the_same():
    result = await of("D14", kinds=frozenset({"happy"}))
    text, told, suite = as_text(result), msgspec.json.decode(as_json(result)), etree.fromstring(as_junit(result))
    failed = {case.get("name") for case in suite.findall("testcase") if case.find("failure") is not None}
    assert set(result.failures) == {each["rule"] for each in told["failures"]} == failed != set()
    assert {name for name, held in told["rules"].items() if held == "broken"} == failed
    assert {case.get("name") for case in suite.findall("testcase")} == {"verdict", *told["rules"]}
    for name in failed:
        assert re.search(rf"^{name}: ", text, re.MULTILINE)
    assert told["conforming"] is False and "not conforming" in text


async def test_where_there_is_no_verdict_none_is_told():
    result = await of("none", flows=6, required=frozenset({"used-once"}))
    text, told, suite = as_text(result), msgspec.json.decode(as_json(result)), etree.fromstring(as_junit(result))
    assert ": not judged, used-once could not be tried, " in text.splitlines()[0]
    assert (told["verdict"], told["conforming"], told["untried"]) == ("not judged", None, ["used-once"])
    (error,) = suite.findall("testcase[@name='verdict']/error")
    assert (suite.get("errors"), error.get("type")) == ("1", "not judged")


async def test_what_the_station_said_is_told_as_it_went_over_the_wire():
    result = await of("D14", kinds=frozenset({"happy"}))
    (failure, *_) = result.failures.values()
    said = {each.what: each.request for each in failure.talk.exchanges}
    assert msgspec.json.decode(said["station: StartTransaction"])["connectorId"] == 1
    assert set(msgspec.json.decode(said["partner to the station: RemoteStartTransaction"])) == {"connectorId", "idTag"}


async def test_a_failure_is_told_with_its_envelopes_and_without_secrets():
    result = await of("D14", kinds=frozenset({"happy"}))
    for shown in (as_text(result), as_json(result).decode(), as_junit(result).decode()):
        assert "energyUnit" in shown and "endTransaction" in shown and "100000 Wh" in shown
        assert not [secret for secret in (SECRET, OTHER_SECRET, STATION_SECRET) if secret in shown]


async def test_what_was_not_given_is_told_as_not_tried():
    result = await of("none", station=None, kinds=frozenset({"happy"}), flows=3)
    told = msgspec.json.decode(as_json(result))
    assert told["rules"]["end-energy"] == told["rules"]["doctype-refused"] == "not tried"
    assert re.search(r"^not tried, needs station: (.*\n)*?.*end-energy", as_text(result), re.MULTILINE)
    skipped = etree.fromstring(as_junit(result)).findall("testcase/skipped")
    needed = {"needs station", "needs malformed", "needs hostile"}
    assert {each.get("message") for each in skipped} == {*needed, "no flow came to it"}


async def test_what_no_flow_came_to_is_told_as_not_tried():
    result = await of("none", flows=6)
    assert result.verdict is Verdict.CONFORMING and set(result.kinds) == {"happy"}, as_text(result)
    told = msgspec.json.decode(as_json(result))
    untried = {rule for rule, outcome in told["rules"].items() if outcome == "not tried"}
    assert {"doctype-refused", "stranger-refused", "real-station", "used-once", "report-repeated"} <= untried
    assert {rule for rule, looks in told["looks"].items() if looks == 0} == untried
    assert told["rules"]["grants"] == "held" and told["looks"]["grants"] >= 1
    assert told["totals"] == {"held": len(told["rules"]) - len(untried), "broken": 0, "not tried": len(untried)}
    text, suite = as_text(result), etree.fromstring(as_junit(result))
    assert f"conforming, {len(untried)} rules not tried" in text.splitlines()[0], "the verdict is of the others alone"
    assert f"grants ({told['looks']['grants']})" in text
    assert re.search(r"^not tried, no flow came to it: (.*\n)*?.*used-once", text, re.MULTILINE)
    assert "not tried, needs more --flows, for malformed ones: malformed-refused" in text
    assert max(map(len, text.splitlines()[3:])) <= 120
    cases = {case.get("name"): case for case in suite}
    assert {name for name, case in cases.items() if case.find("skipped") is not None} == untried
    assert cases["grants"].get("assertions") == str(told["looks"]["grants"])


class Complaining:
    """A scene in which every flow of three steps or more breaks a rule."""

    async def play(self, flow: Flow, talk: Conversation) -> None:
        talk.expect("grants", len(flow.steps) < 3, "too long")

    async def leave(self) -> None: ...


async def test_what_is_looked_at_while_a_failure_is_shortened_is_not_counted():
    """For what breaks meanwhile is not counted either."""
    given = asked("http://127.0.0.1:1/", flows=30, shrinks=50, first_only=False)
    result = await Verification(given, Complaining(), lambda _: None).run()
    assert set(result.failures) == {"grants"} and result.shrunk > 0
    assert result.looks == {"grants": result.flows}
    assert ": not conforming, 1 rule broken, " in as_text(result).splitlines()[0]


def test_a_rule_is_looked_at_as_often_as_somebody_looks_and_broken_once_is_broken():
    talk = Conversation()
    for holds in (True, False, True, False):
        talk.expect("grants", holds, f"it is {holds}")
    assert talk.looks == {"grants": 4} and talk.broken == ("grants",)


@pytest.mark.parametrize(("number", "words"), ((0, "0 rules"), (1, "1 rule"), (2, "2 rules")))
def test_one_rule_is_no_rules(number, words):
    assert counted(number, "rule") == words
