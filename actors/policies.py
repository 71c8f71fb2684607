"""How each kind of actor is kept alive, as one table: what `System` does with one that fails, or has nothing to do."""

from __future__ import annotations

import math
from collections.abc import Mapping

from actors.records import StreamCorrupt
from statecharts.vocabulary import Value


class Policy(Value, frozen=True, kw_only=True):
    """One kind's rules, and the reason for them.

    An actor that fails lives again: at once, then after `backoff_s`, each time twice as long up to `backoff_cap_s`.
    More than `restarts` failures within `within_s` seconds, or a single one of the `hopeless` kinds, and it is put in
    quarantine. One that may rest leaves memory after `rest_after_s` seconds without a message (never: math.inf).
    """

    restarts: int = 5
    within_s: float = 60
    backoff_s: float = 0.5
    backoff_cap_s: float = 4
    hopeless: tuple[type[Exception], ...] = (StreamCorrupt,)
    rest_after_s: float
    reason: str

    def backoff(self, failures: int) -> float:
        """Seconds until the life after so many failures in a row."""
        return 0.0 if failures <= 1 else min(self.backoff_s * 2 ** (failures - 2), self.backoff_cap_s)


TRANSACTION = Policy(
    rest_after_s=300,
    reason="what comes may be one bad message, so five more lives; all end within 8 s, before a station or an app "
    "gives up waiting; a journal that cannot be read will not be readable a second later; a charge that meters at "
    "least every 5 minutes stays awake, any other is rebuilt faster than its station would notice",
)
STATION = Policy(
    restarts=10,
    rest_after_s=600,
    reason="all charges at its connectors depend on it, so twice the lives; one that is away leaves memory after twice "
    "the usual time between two heartbeats",
)
OPERATION = Policy(
    rest_after_s=60,
    reason="one that cannot be told how it ended ends by its deadline, as unknown; one that is over is read from the "
    "store",
)
PEER = Policy(
    restarts=10,
    rest_after_s=math.inf,
    reason="every delivery to the partner depends on it, so twice the lives; partners are few and stay in memory",
)
WEBHOOK = Policy(
    rest_after_s=60,
    reason="what is owed stands in the journal and waits, so the usual lives will do; one that is forgotten leaves "
    "memory",
)
POLICIES: Mapping[str, Policy] = {
    "source": TRANSACTION,
    "destination": TRANSACTION,
    "local": TRANSACTION,
    "station": STATION,
    "peer": PEER,
    "operation": OPERATION,
    "webhook": WEBHOOK,
}
"""The policy of each kind of actor, by the part of its key before the slash."""
