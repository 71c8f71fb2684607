"""What lists can be searched for: each part narrows the search, and one that is left out stands for any."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TypedDict


class TransactionSearch(TypedDict, total=False):
    """Which transactions are wanted; None stands for any, as what is left out does.

    `station` is the local service, `connector` one of its connectors, `partner` the other operator's pmsIdentifier.
    `since` and `until` are times of their beginning: from the first one on, up to before the second. `open` ones are
    not over. `flagged` ones have something odd about them, `flag` names what.
    """

    role: str | None
    state: str | None
    users: Collection[str] | None
    station: str | None
    connector: str | None
    partner: str | None
    authorization_identifier: str | None
    since: datetime | None
    until: datetime | None
    open: bool | None
    flagged: bool | None
    flag: str | None


class DeliverySearch(TypedDict, total=False):
    """Which messages to partners are wanted; None stands for any, as what is left out does.

    `since` and `until` are times of when they were first owed. `overdue` ones are facts that the partner should have
    acknowledged by now.
    """

    peer: str | None
    status: str | None
    operation: str | None
    transaction: str | None
    since: datetime | None
    until: datetime | None
    overdue: bool | None


class CdrSearch(TypedDict, total=False):
    """Which charge records are wanted; None stands for any, as what is left out does.

    `role` is whose they are: `destination` made them, `source` received them. `since` and `until` are times of the
    charge's end.
    """

    role: str | None
    partner: str | None
    status: str | None
    since: datetime | None
    until: datetime | None
