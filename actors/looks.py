"""Questions that change nothing."""

from __future__ import annotations

from dataclasses import dataclass

from actors.context import Context

UNKNOWN = "unknown-transaction"
"""The kind of refusal that says that there is no such transaction."""


@dataclass(frozen=True, slots=True)
class Look:
    """Asks an actor for its data as it is."""


async def is_known(context: Context, stream: str) -> bool:
    """Whether there may be a transaction with this stream; asked first, no actor is made for a name that none has."""
    return stream in context.system or await context.ledger.transaction(stream) is not None
