"""What was found, for people, for programs and for continuous integration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from textwrap import wrap
from typing import Any

import msgspec
from lxml import etree

from protocols.mobieurope.envelope import writable
from protocols.verify.options import KINDS
from protocols.verify.rules import RULES, Rule
from protocols.verify.verification import Failure, Result, Verdict

LINE = 120
_CONFORMING = {Verdict.CONFORMING: True, Verdict.NOT_CONFORMING: False}


class Outcome(StrEnum):
    """What there is to say of a rule: it held each time it was looked at, it did not, or no flow came to it."""

    HELD = "held"
    BROKEN = "broken"
    NOT_TRIED = "not tried"


def outcomes(result: Result) -> dict[Rule, Outcome]:
    """The outcome of every rule for a partner of this role."""
    mine = (rule for rule in RULES if rule.role in ("both", result.options.role))
    return {rule: _outcome(result, rule) for rule in mine}


def _outcome(result: Result, rule: Rule) -> Outcome:
    if rule.id in result.failures:
        return Outcome.BROKEN
    return Outcome.HELD if result.looks[rule.id] else Outcome.NOT_TRIED


def _why_not(result: Result, rule: Rule) -> str:
    """Why a rule was not tried."""
    options = result.options
    given = {"": True, "station": options.station is not None, "app": options.app is not None}
    given |= {kind: kind in options.kinds for kind in ("malformed", "hostile")}
    if not given[rule.needs]:
        return f"needs {rule.needs}"
    unplayed = rule.needs in KINDS and rule.needs not in result.kinds
    return f"needs more --flows, for {rule.needs} ones" if unplayed else "no flow came to it"


def headline(result: Result) -> str:
    """The verdict in a line."""
    options = result.options
    why = {
        Verdict.NOT_CONFORMING: f", {counted(len(result.failures), 'rule')} broken",
        Verdict.NOT_FINISHED: f", ended by {result.ended}",
        Verdict.NOT_JUDGED: f", {', '.join(result.untried)} could not be tried",
    }
    verdict = f"{result.verdict}{why.get(result.verdict, '')}"
    untried = sum(outcome is Outcome.NOT_TRIED for outcome in outcomes(result).values())
    untold = f", {counted(untried, 'rule')} not tried" if untried else ""
    return f"{options.partner_pms} as {options.role} at {options.url}: {verdict}{untold}"


def counted(number: int, noun: str) -> str:
    """A number of things in words: "1 rule", "2 rules"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def as_text(result: Result) -> str:
    """All of it, with the shortest conversation of each failure."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(result.kinds.items()))
    told = outcomes(result)
    lines = [
        headline(result),
        f"{counted(result.flows, 'flow')} ({kinds}), {result.shrunk} more to shorten failures, "
        f"{counted(result.requests, 'request')} in {result.seconds:.1f} s, seed {result.options.seed}",
        f"{counted(len(told), 'rule')}: " + ", ".join(f"{n} {outcome}" for outcome, n in _totals(told).items()),
    ]
    if result.ended:
        lines.append(f"ended early by {result.ended}")
    if result.set_aside:
        lines.append(f"{counted(result.set_aside, 'report')} of what earlier verifications left open, set aside")
    held = [f"{rule.id} ({result.looks[rule.id]})" for rule, outcome in told.items() if outcome is Outcome.HELD]
    lines += _list("held", held)
    for why, rules in _untried(result, told).items():
        lines += _list(f"not tried, {why}", rules)
    for failure in result.failures.values():
        lines += ["", *_failure_lines(failure)]
    return "\n".join(lines)


def _totals(told: Mapping[Rule, Outcome]) -> dict[Outcome, int]:
    found = Counter(told.values())
    return {outcome: found[outcome] for outcome in Outcome}


def _untried(result: Result, told: Mapping[Rule, Outcome]) -> dict[str, list[str]]:
    """The rules that were not tried, by the reason."""
    untried: dict[str, list[str]] = {}
    for rule, outcome in told.items():
        if outcome is Outcome.NOT_TRIED:
            untried.setdefault(_why_not(result, rule), []).append(rule.id)
    return untried


def _list(what: str, rules: list[str]) -> list[str]:
    """These rules in lines that can be read, if there are any."""
    return wrap(f"{what}: {', '.join(rules)}", LINE, subsequent_indent="  ", break_on_hyphens=False) if rules else []


def _failure_lines(failure: Failure) -> Iterator[str]:
    rule = failure.rule
    yield f"{rule.id}: {rule.sentence} ({rule.source})"
    yield f"  seen: {failure.seen}"
    yield f"  first in flow {failure.found_in_flow}; the shortest: {failure.flow}"
    for exchange in failure.talk.exchanges:
        yield f"  -- {exchange.what}"
        yield from (f"     > {line}" for line in exchange.request.splitlines())
        yield from (f"     < {line}" for line in exchange.answer.splitlines())


def as_json(result: Result) -> bytes:
    """The same as one JSON object."""
    options = result.options
    told = outcomes(result)
    content: dict[str, Any] = {
        "verdict": result.verdict,
        "conforming": _CONFORMING.get(result.verdict),
        "partner": options.partner_pms,
        "role": options.role,
        "url": options.url,
        "seed": options.seed,
        "flows": result.flows,
        "kinds": result.kinds,
        "shrunk": result.shrunk,
        "requests": result.requests,
        "seconds": round(result.seconds, 3),
        "ended": result.ended,
        "untried": result.untried,
        "set_aside": result.set_aside,
        "totals": _totals(told),
        "rules": {rule.id: outcome for rule, outcome in told.items()},
        "looks": {rule.id: result.looks[rule.id] for rule in told},
        "failures": [_as_object(failure) for failure in result.failures.values()],
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2)


def _as_object(failure: Failure) -> dict[str, Any]:
    return {
        "rule": failure.rule.id,
        "sentence": failure.rule.sentence,
        "source": failure.rule.source,
        "seen": failure.seen,
        "found_in_flow": failure.found_in_flow,
        "flow": str(failure.flow),
        "steps": failure.flow.steps,
        "conversation": failure.talk.exchanges,
    }


def as_junit(result: Result) -> bytes:
    """JUnit XML with a test case for each rule, as most servers of continuous integration show it.

    Its `assertions` is how often the rule was looked at; what was not tried is skipped. The first test case is the
    verification itself: it is in error if there is no verdict.
    """
    told = outcomes(result)
    totals = _totals(told)
    suite = etree.Element("testsuite", name=f"verify {result.options.partner_pms} as {result.options.role}")
    no_verdict = result.verdict not in _CONFORMING
    counts = {"tests": len(told) + 1, "failures": totals[Outcome.BROKEN], "skipped": totals[Outcome.NOT_TRIED]}
    counts["errors"] = int(no_verdict)
    for name, value in {**counts, "time": f"{result.seconds:.3f}"}.items():
        suite.set(name, str(value))
    case = etree.SubElement(suite, "testcase", classname=f"verify.{result.options.role}", name="verdict")
    if no_verdict:
        etree.SubElement(case, "error", type=result.verdict, message=writable(headline(result)))
    for rule in told:
        case = etree.SubElement(suite, "testcase", classname=f"verify.{result.options.role}", name=rule.id)
        case.set("assertions", str(result.looks[rule.id]))
        _say_outcome(case, rule, told[rule], result)
    return etree.tostring(suite, encoding="utf-8", xml_declaration=True, pretty_print=True)


def _say_outcome(case: etree._Element, rule: Rule, outcome: Outcome, result: Result) -> None:
    if outcome is Outcome.NOT_TRIED:
        etree.SubElement(case, "skipped", message=_why_not(result, rule))
    elif outcome is Outcome.BROKEN:
        failure = result.failures[rule.id]
        message = writable(f"{rule.sentence} {failure.seen}")
        told = etree.SubElement(case, "failure", type=rule.source, message=message)
        told.text = writable("\n".join(_failure_lines(failure)))
