"""The checkers pass a good history, and object to each forged one by the name of the invariant that it breaks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import pytest

from statecharts import peer
from tests.world.checker import CHECKS, Verdict, check, i12_blast
from tests.world.checker.coverage import counted_steps, covered, covered_moves
from tests.world.checker.evidence import Evidence
from tests.world.checker.probes import PROBES, never_met
from tests.world.checker.verdict import Figure, summed
from tests.world.forgeries import FORGERIES, second_number
from tests.world.forging import Forgery, World
from tests.world.good_story import UNUSED, good_story
from tests.world.history import Finals, FrameArrived, FrameSent, History, RowDamaged, RowsLost
from tests.world.story import EPOCH


@cache
def good() -> tuple[History, dict[str, Finals]]:
    return good_story()


def forged(forgery: Forgery, pick: Any) -> Verdict:
    world = World(*good(), pick)
    forgery.forge(world)
    return check(world.history, world.finals)


def first(things: Sequence[Any]) -> Any:
    return things[0]


def last(things: Sequence[Any]) -> Any:
    return things[-1]


def test_a_good_history_passes_every_checker() -> None:
    verdict = check(*good())
    assert not verdict.violations, str(verdict)
    assert not verdict.excuses


def test_every_figure_of_a_good_history_has_its_n() -> None:
    figures = {figure.name: figure for figure in check(*good()).figures}
    assert (figures["CDRs lost"].n, figures["CDRs doubled"].n) == (1, 1)
    assert (figures["Wh unexplained"].value, figures["Wh unexplained"].n) == (0, 4_000)
    assert figures["sessions stuck"].n == 5
    assert (figures["wrong timeouts"].value, figures["wrong timeouts"].n) == (0, 2)


@pytest.mark.parametrize("pick", [first, last])
@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda each: f"{each.invariant}-{each.name}")
def test_a_forged_history_is_objected_to_by_name(forgery: Forgery, pick: Any) -> None:
    assert forgery.invariant in forged(forgery, pick).broken


def test_every_invariant_of_one_world_has_its_forgeries() -> None:
    assert {forgery.invariant for forgery in FORGERIES} == {name.partition(",")[0] for name in CHECKS}


def test_an_attack_that_changes_what_another_gets_is_objected_to() -> None:
    calm, spared = Evidence(*good()), ("CS1", "anna")
    assert not i12_blast.check(calm, Evidence(*good()), spared).violations
    rows = World(*good(), first).all_rows("transactions")
    node, row = next((node, row) for node, row in rows if row["role"] == "source")
    for change in ({"state": "Expired"}, {"energy_wh": 1}):
        world = World(*good(), first)
        world.change_document(node, "transactions", row, **change)
        attacked = Evidence(world.history, world.finals)
        assert {v.invariant for v in i12_blast.check(calm, attacked, spared).violations} == {"I12"}
        assert not i12_blast.check(calm, attacked, ("somebody else",)).violations


def test_damage_at_rest_excuses_what_it_hit_and_nothing_else() -> None:
    for hit, other in (("destination/0A1B2C3D4E5F", "local/2"), ("local/2", "destination/0A1B2C3D4E5F")):
        world = World(*good(), first)
        for stream in (hit, other):
            row = next(each for each in world.rows("AWAY", "journal") if each["stream"] == stream)
            world.change_row("AWAY", "journal", row, data=b"{}")
        place = next(str(row["position"]) for row in world.rows("AWAY", "journal") if row["stream"] == hit)
        world.sights.insert(-1, RowDamaged(at=world.sights[-1].at, who="AWAY", table="journal", key=place, stream=hit))
        assert "I9" in check(world.history, world.finals).broken
        found = (f"journal stream {hit}, seq 1: this fact does not match its checksum",)
        world.finals["AWAY"] = msgspec.structs.replace(world.finals["AWAY"], problems=found)
        verdict = check(world.history, world.finals)
        assert [hit in excuse.what for excuse in verdict.excuses] == [True]
        assert [other in violation.what for violation in verdict.violations] == [True]


def test_whoever_goes_on_from_an_altered_row_is_objected_to() -> None:
    world, stream = World(*good(), first), "destination/0A1B2C3D4E5F"
    row = next(row for row in world.rows("AWAY", "journal") if row["stream"] == stream)
    found = (f"journal stream {stream}, seq 1: altered",)
    world.finals["AWAY"] = msgspec.structs.replace(world.finals["AWAY"], problems=found)
    taken = next(sight for sight in world.commits("TransactionStarted") if sight.stream == stream)
    hit = RowDamaged(at=taken.at, who="AWAY", table="journal", key=str(row["position"]), stream=stream)
    world.insert_after(taken, hit)
    assert ["went on from a row" in each.what for each in check(world.history, world.finals).violations] == [True]


def test_a_cut_tail_excuses_the_rows_that_are_gone() -> None:
    world = World(*good(), first)
    journal = world.rows("AWAY", "journal")
    world.set_rows("AWAY", "journal", journal[:-1])
    assert "I8" in check(world.history, world.finals).broken
    world.sights.insert(-1, RowsLost(at=world.sights[-1].at, who="AWAY", position=journal[-2]["position"]))
    verdict = check(world.history, world.finals)
    assert "I8" not in verdict.broken
    assert not [v for v in verdict.violations if "local/2" not in v.what and "station/CS1" not in v.what]


def test_a_disk_that_forgot_a_number_excuses_another_for_the_same_start() -> None:
    world = World(*good(), first)
    second_number(world)
    (call,) = (call for call in first(world.charges()).starts)
    node = call.replies[0][0].sight.who
    given = next(s for s in world.commits("ChargeOpened") if s.who == node and s.stream.endswith(call.caller))
    twice = "got the numbers"
    assert any(twice in violation.what for violation in check(world.history, world.finals).violations)
    hit = RowDamaged(at=given.at, who=node, table="journal", key=str(given.position), stream=given.stream)
    world.insert_after(given, hit)
    assert any(twice in violation.what for violation in check(world.history, world.finals).violations)
    world.insert_after(given, RowsLost(at=given.at, who=node, position=given.position - 1))
    assert not any(twice in violation.what for violation in check(world.history, world.finals).violations)


def test_probes_count_what_was_met_and_name_what_was_not() -> None:
    counts = check(*good()).probes
    assert counts["card charge"] == 1 and counts["crash"] == 0
    assert len(counts) == len(PROBES) >= 30
    assert "card charge" not in never_met([counts]) and "crash" in never_met([counts])
    assert never_met([dict.fromkeys(counts, 1), counts]) == ()


def test_figures_of_many_worlds_add_up_and_the_worst_stays_the_worst() -> None:
    one = (Figure(name="lost", value=1, n=5), Figure(name="p99", value=3.0, n=5, worst=True))
    two = (Figure(name="lost", value=0, n=2), Figure(name="p99", value=4.0, n=1, worst=True))
    assert summed([*one, *two]) == (
        Figure(name="lost", value=1, n=7),
        Figure(name="p99", value=4.0, n=6, worst=True),
    )


def test_moves_in_journals_are_held_against_those_that_are_declared() -> None:
    found = {each.chart: each for each in covered_moves(check(*good()).moves)}
    assert (found["peer"].met, found["local transaction"].met) == (0, 2)
    assert ("New", "TransactionStarted", "TxRunning") not in found["local transaction"].missed
    assert ("TxRunning", "StopAsked", "StopTxRequested") in found["local transaction"].missed


def test_steps_of_charts_are_counted_only_while_somebody_counts() -> None:
    chart, blocked = peer.CHART, peer.BlockPeer(at=EPOCH)
    with counted_steps() as steps:
        chart.step(peer.Peer(), blocked)
        chart.step(peer.Peer(state=peer.S.BLOCKED), blocked)
    chart.step(peer.Peer(), peer.UnblockPeer(at=EPOCH))
    assert dict(steps.pairs) == {("peer", "Up", "BlockPeer"): 1, ("peer", "Blocked", "BlockPeer"): 1}
    (found,) = covered(steps.pairs, ("peer",))
    assert (found.met, found.pairs) == (2, 16) and ("Up", "UnblockPeer") in found.missed


def unanswered(sight: Any) -> Any:
    """This frame as it would be if no start of a charge had ever got its number."""
    if not isinstance(sight, FrameSent | FrameArrived):
        return sight
    text = re.sub(r'^\[3, "(c\d+)", \{"transactionId".*$', r'[4, "\1", "InternalError", "", {}]', sight.text)
    if '"StopTransaction"' in text:
        text = re.sub(r'"transactionId": \d+', '"transactionId": -1', text)
    return msgspec.structs.replace(sight, text=text)


def test_energy_is_found_by_what_a_start_said_where_its_answer_failed() -> None:
    history, finals = good()
    failed = History(map(unanswered, history))
    assert sum(one != other for one, other in zip(history, failed, strict=True)) >= 4
    assert "I5" not in check(failed, finals).broken


def test_energy_of_what_an_authorisation_declined_is_found_among_the_stations_own_charges() -> None:
    history, finals = good_story(card=UNUSED)
    assert "I5" not in check(History(map(unanswered, history)), finals).broken
