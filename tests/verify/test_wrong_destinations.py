"""A Destination that is wrong in one way is found out, in no more than 200 flows; one that is right passes."""

from __future__ import annotations

import pytest

from protocols.verify.options import KINDS
from protocols.verify.verification import Verdict
from tests.support.long import of_length
from tests.verify.verifying import FLOWS, Defects, at_destination, flows_to_find, own_address, run
from tests.verify.wrong_destination import open_destination

MOTOWN: Defects = {
    "D2": ({"own-start-accepted"}, "happy"),
    "D5": ({"real-station", "free-connector"}, "refused"),
    "D6": ({"used-once"}, "repeated"),
    "D8": ({"result-told", "result-true", "reaches-station"}, "refused"),
    "D10": ({"end-sent"}, "happy"),
    "D11": ({"report-repeated"}, "late"),
    "D12": ({"schema-request"}, "happy"),
    "D13": ({"no-parking"}, "refused"),
    "D14": ({"end-energy", "progress-true"}, "happy"),
    "D15": ({"real-connector", "no-fault"}, "refused"),
    "D16": ({"end-of-charge"}, "crossed"),
    "D17": ({"station-served"}, "crossed"),
    "D18": ({"stop-needs-charge"}, "crossed"),
    "D20": ({"takes-stop", "end-sent", "result-told", "reaches-station"}, "late"),
    "D24": ({"one-remote-start"}, "repeated"),
}
"""Motown's defects, as many as show at a Destination, and what tells of them.

D3 and D4 are found as "open" and "anybody" below; D19 (a fixed identity inside) and D23 (a thread that leaks) show to
nobody outside; D7, D9, D21 and D22 are a Source's, see `test_wrong_sources`.
"""

OTHERS: Defects = {
    "wsdl": ({"wsdl-served"}, "happy"),
    "silent": ({"answered"}, "happy"),
    "soap11": ({"soap-answer"}, "happy"),
    "qualified": ({"schema-answer"}, "happy"),
    "nothing": ({"whole-answer"}, "happy"),
    "bad-error": ({"error-code"}, "refused"),
    "calls-11": ({"soap-request"}, "happy"),
    "wrong-password": ({"own-credentials"}, "happy"),
    "fault500": ({"malformed-refused"}, "malformed"),
    "unchecked": ({"malformed-refused"}, "malformed"),
    "dtd": ({"doctype-refused"}, "malformed"),
    "any-size": ({"oversized-refused"}, "malformed"),
    "open": ({"stranger-refused", "stranger-unread"}, "hostile"),
    "late-check": ({"stranger-unread"}, "hostile"),
    "foreign": ({"other-operator"}, "hostile"),
    "anybody": ({"own-authorization"}, "hostile"),
    "same-name": ({"fresh-name"}, "happy"),
    "needs-connector": ({"connector-optional"}, "happy"),
    "never": ({"grants", "connector-optional"}, "happy"),
    "no-user": ({"named-user"}, "refused"),
    "bad-status": ({"status-true"}, "happy"),
    "any-status": ({"status-true"}, "refused"),
    "no-list": ({"list-true"}, "happy"),
    "no-start": ({"takes-start"}, "happy"),
    "no-stop": ({"takes-stop"}, "happy"),
    "stop-again": ({"over-is-over"}, "crossed"),
    "one-name": ({"names-differ"}, "crossed"),
    "no-commands": ({"reaches-station"}, "happy"),
    "unasked-stop": ({"no-stray-command"}, "happy"),
    "always-false": ({"result-true"}, "happy"),
    "no-results": ({"result-told"}, "happy"),
    "strange-result": ({"result-asked"}, "happy"),
    "no-progress": ({"progress-sent"}, "happy"),
    "ahead": ({"progress-true"}, "happy"),
    "double-end": ({"end-once"}, "happy"),
    "other-user": ({"end-names", "progress-true"}, "happy"),
    "old-times": ({"end-times"}, "happy"),
    "D5": ({"free-connector"}, "repeated"),
    "old-soap": ({"old-soap"}, "malformed"),
}
"""Other defects, and what tells of each."""


async def test_a_destination_that_is_right_passes():
    own = own_address()
    async with open_destination(own) as peer:
        result = await run(at_destination(peer, own, flows=of_length(42, FLOWS), patience_s=10))
    assert result.verdict is Verdict.CONFORMING, [(name, failure.seen) for name, failure in result.failures.items()]
    assert result.flows >= 30 and len(result.kinds) == 7


@pytest.mark.parametrize("defect", MOTOWN)
async def test_motowns_defects_are_found_in_no_more_than_200_flows(defect, record_property):
    rules, kind = MOTOWN[defect]
    kinds = of_length(frozenset({kind}), frozenset(KINDS))
    record_property("flows", await flows_to_find(defect, rules, kinds, open_destination, at_destination))


@pytest.mark.parametrize("defect", OTHERS)
async def test_every_other_way_to_be_wrong_is_found(defect):
    rules, kind = OTHERS[defect]
    await flows_to_find(defect, rules, frozenset({kind}), open_destination, at_destination)
