"""A Source that is wrong in one way is found out, in no more than 200 flows; one that is right passes."""

from __future__ import annotations

import pytest

from protocols.verify.options import KINDS, AppAccess
from protocols.verify.report import as_text
from protocols.verify.verification import Verdict
from tests.support.long import of_length
from tests.verify.verifying import FLOWS, Defects, at_source, flows_to_find, no_verdict, own_address, run
from tests.verify.wrong_source import USER, Session, open_source

MOTOWN: Defects = {
    "D7": ({"refusal-reaches-app"}, "refused"),
    "D9": ({"shows-state"}, "refused"),
    "D10": ({"shows-state"}, "happy"),
    "D11": ({"takes-report"}, "happy"),
    "D21": ({"no-fault", "takes-report"}, "late"),
    "D22": ({"app-answered"}, "late"),
}
"""Motown's defects, as many as show at a Source, and what tells of them."""

OTHERS: Defects = {
    "fault500": ({"malformed-refused"}, "malformed"),
    "open": ({"stranger-refused"}, "hostile"),
    "other-name": ({"asks-in-own-name"}, "happy"),
    "asks-once": ({"asks-to-authorize"}, "happy"),
    "hides-grant": ({"grant-reaches-app"}, "happy"),
    "no-request": ({"asks-once-granted"}, "happy"),
    "no-retry": ({"asks-again"}, "late"),
    "once": ({"repeat-is-harmless", "takes-report"}, "repeated"),
    "second-end": ({"first-record-stands"}, "crossed"),
    "anybody": ({"own-transactions-only"}, "hostile"),
    "foreign": ({"same-parties"}, "hostile"),
}
"""Other defects, and what tells of each."""


async def test_a_source_that_is_right_passes():
    own = own_address()
    async with open_source(own) as peer:
        result = await run(at_source(peer, own, flows=of_length(42, FLOWS), patience_s=10))
    assert result.verdict is Verdict.CONFORMING, [(name, failure.seen) for name, failure in result.failures.items()]
    assert result.flows >= 30 and len(result.kinds) == 7


async def test_without_its_app_a_source_is_still_tried_with_what_it_must_refuse():
    own = own_address()
    async with open_source(own, frozenset({"anybody"})) as peer:
        result = await run(at_source(peer, own, app=None))
    assert set(result.failures) == {"own-transactions-only"}


async def test_of_a_source_that_never_asks_there_is_no_verdict():
    """It may be its fault, or that of an option of ours: Motown's own Source refuses every app."""
    own = own_address()
    async with open_source(own, frozenset({"refuses-all"})) as peer:
        refused = await no_verdict(at_source(peer, own, patience_s=0.2))
        locked_out = await no_verdict(at_source(peer, own, app=AppAccess(peer.app_url, "another token", "anna")))
    assert f"did not ask us: has it a user anna, and IE-001 at {own}" in refused
    assert "does not let the app in: HTTP 401" in locked_out


async def test_a_source_that_still_asks_for_what_an_earlier_verification_granted_is_not_to_blame():
    own = own_address()
    async with open_source(own) as peer:
        await run(at_source(peer, own, kinds=frozenset({"happy"}), flows=2))
        left = Session("VE0123456789", USER)
        peer.sessions[left.name] = left
        peer.nursery.start_soon(peer.send_request, left, "start", "left-1", "Ready")
        result = await run(at_source(peer, own, kinds=frozenset({"happy"}), flows=3, patience_s=10))
    assert result.verdict is Verdict.CONFORMING and result.set_aside == 1, as_text(result)


@pytest.mark.parametrize("defect", MOTOWN)
async def test_motowns_defects_are_found_in_no_more_than_200_flows(defect, record_property):
    rules, kind = MOTOWN[defect]
    kinds = of_length(frozenset({kind}), frozenset(KINDS))
    record_property("flows", await flows_to_find(defect, rules, kinds, open_source, at_source))


@pytest.mark.parametrize("defect", OTHERS)
async def test_every_other_way_to_be_wrong_is_found(defect):
    rules, kind = OTHERS[defect]
    await flows_to_find(defect, rules, frozenset({kind}), open_source, at_source)
