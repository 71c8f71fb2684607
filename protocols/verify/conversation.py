"""What was said between us and the partner, as it went over the wire, and what was wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from statecharts.limits import ENVELOPE_SHOWN
from statecharts.vocabulary import Value

MASKED = "***"
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


class Exchange(Value, frozen=True, kw_only=True):
    """One request and its answer. `what` names it for people: "we: authorize", "partner: endTransaction".

    `request` and `answer` are what was sent, head and body, with credentials masked; `answer` is "" where none came.
    """

    what: str
    request: str
    answer: str = ""


class Finding(Value, frozen=True, kw_only=True):
    """A rule that did not hold, and what was seen instead."""

    rule: str
    seen: str


@dataclass(slots=True)
class Conversation:
    """All that was said in one flow, in order; `looks` is how often each rule was looked at."""

    exchanges: list[Exchange] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    looks: Counter[str] = field(default_factory=Counter)

    def say(self, what: str, request: str, answer: str = "") -> None:
        self.exchanges.append(Exchange(what=what, request=request, answer=answer))

    def expect(self, rule: str, holds: bool, seen: str) -> None:
        """Notes that a rule was looked at and, where it does not hold, what was seen; once for each rule is enough."""
        self.looks[rule] += 1
        if not holds and rule not in self.broken:
            self.findings.append(Finding(rule=rule, seen=seen))

    @property
    def broken(self) -> tuple[str, ...]:
        return tuple(finding.rule for finding in self.findings)


class Mask:
    """Hides secrets in whatever is shown."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secret for secret in secrets if secret)

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASKED)
        return text if len(text) <= ENVELOPE_SHOWN.limit else f"{text[: ENVELOPE_SHOWN.limit]}\n... {len(text)} in all"

    def message(self, first_line: str, headers: Mapping[str, str], body: bytes) -> str:
        """A request or an answer as it went over the wire; bytes that are no UTF-8 show as U+FFFD."""
        head = [f"{name}: {MASKED if name.lower() in _SECRET_HEADERS else value}" for name, value in headers.items()]
        return self.text("\n".join([first_line, *head, "", body.decode("utf-8", "replace")]))
