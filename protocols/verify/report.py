"""What was found, for people, for programs and for continuous integration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from lxml import etree

from protocols.mobieurope.envelope import writable
from protocols.verify.rules import RULES, Rule
from protocols.verify.verification import Failure, Result


def rules_of(result: Result) -> tuple[list[Rule], list[Rule]]:
    """The rules for a partner of this role: those that were tried, and those for which something was not given, or no
    flow of their kind played.
    """
    options = result.options
    mine = [rule for rule in RULES if rule.role in ("both", options.role)]
    given = {"": True, "station": options.station is not None, "app": options.app is not None}
    given |= {kind: kind in result.kinds for kind in ("malformed", "hostile")}
    return [rule for rule in mine if given[rule.needs]], [rule for rule in mine if not given[rule.needs]]


def headline(result: Result) -> str:
    """The verdict in a line."""
    options = result.options
    verdict = "conforming" if result.conforming else f"not conforming, {len(result.failures)} rules broken"
    return f"{options.partner_pms} as {options.role} at {options.url}: {verdict}"


def as_text(result: Result) -> str:
    """All of it, with the shortest conversation of each failure."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(result.kinds.items()))
    tried, untried = rules_of(result)
    lines = [
        headline(result),
        f"{result.flows} flows ({kinds}), {result.shrunk} more to shorten failures, {result.requests} requests in "
        f"{result.seconds:.1f} s, seed {result.options.seed}, {len(tried)} rules",
    ]
    if result.ended:
        lines.append(f"ended early by {result.ended}")
    if untried:
        lines.append("not tried: " + ", ".join(f"{rule.id} (needs {rule.needs})" for rule in untried))
    for failure in result.failures.values():
        lines += ["", *_failure_lines(failure)]
    return "\n".join(lines)


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
    tried, untried = rules_of(result)
    content: dict[str, Any] = {
        "conforming": result.conforming,
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
        "rules": {rule.id: "broken" if rule.id in result.failures else "held" for rule in tried}
        | {rule.id: "not tried" for rule in untried},
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
    """JUnit XML with a test case for each rule, as most servers of continuous integration show it."""
    tried, untried = rules_of(result)
    counts = {
        "tests": len(tried) + len(untried),
        "failures": len(result.failures),
        "skipped": len(untried),
        "errors": 0,
    }
    suite = etree.Element("testsuite", name=f"verify {result.options.partner_pms} as {result.options.role}")
    for name, value in {**counts, "time": f"{result.seconds:.3f}"}.items():
        suite.set(name, str(value))
    for rule in (*tried, *untried):
        case = etree.SubElement(suite, "testcase", classname=f"verify.{result.options.role}", name=rule.id)
        if rule in untried:
            etree.SubElement(case, "skipped", message=f"needs {rule.needs}")
        elif (failure := result.failures.get(rule.id)) is not None:
            told = etree.SubElement(
                case, "failure", type=rule.source, message=writable(f"{rule.sentence} {failure.seen}")
            )
            told.text = writable("\n".join(_failure_lines(failure)))
    return etree.tostring(suite, encoding="utf-8", xml_declaration=True, pretty_print=True)
