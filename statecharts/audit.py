"""The audit log: who asked this node to change something, when, from where, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from statecharts.ports import Moment, Page
from statecharts.vocabulary import Value


class Deed(Value, frozen=True, kw_only=True):
    """What somebody is about to do. `route` is the template of `path`; `body` is the request's, as it came.

    `body` is None where there is none, or where it was too long or too slow to be read.
    """

    by: str
    address: str
    correlation_id: str
    method: str
    route: str
    path: str
    body: bytes | None = None


class AuditView(Value, frozen=True, kw_only=True):
    """One deed. `status` and `answered_at` are absent where it is not known what came of it: the caller hung up, or the
    node ended on the way; `problem` is the kind of a refusal. `body` has no secrets; of one that is no object of JSON
    there are `bytes` and `sha256`.
    """

    id: int
    at: Moment
    by: str
    address: str
    correlation_id: str
    method: str
    route: str
    path: str
    body: dict[str, Any] | None = None
    status: int | None = None
    problem: str | None = None
    answered_at: Moment | None = None


class AuditFilter(Value, frozen=True, kw_only=True):
    """Deeds of this token, in this time (`since` included, `until` not), at or below each of these paths."""

    by: str | None = None
    below: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


class AuditTrail(Protocol):
    """Keeps the audit log. Every method raises StoreUnavailable (a `Refused`) when the store is away."""

    async def asked(self, deed: Deed) -> int:
        """Writes down what is about to be done, for good, and returns its number. Secrets are masked."""

    async def answered(self, number: int, status: int, problem: str | None) -> None:
        """Writes down what came of it: the status of HTTP, and the kind of the problem where it was refused."""

    async def page(self, wanted: AuditFilter, *, cursor: str | None, limit: int) -> Page[AuditView]:
        """A page of deeds, newest first."""
