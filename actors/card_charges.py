"""How many charges one card may have under way at our stations, all of them together (OCPP's ConcurrentTx)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import trio

from actors.ledger import Ledger


class CardCharges:
    """Counts by what the store says, so that a restart forgets none; a `most` of None counts nothing."""

    def __init__(self, ledger: Ledger, most: int | None) -> None:
        self._ledger, self._most = ledger, most
        self._beginning: WeakValueDictionary[str, trio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def room(self, id_tag: str, transaction: str) -> AsyncIterator[bool]:
        """Whether this card may begin one more charge, in the stream of this transaction.

        Held until that stands in the store: of two that begin at once, the second one counts the first.
        """
        if self._most is None:
            yield True
            return
        async with self._beginning.setdefault(id_tag.casefold(), trio.Lock()):
            under_way = await self._ledger.charges_of_card(id_tag, besides=transaction, most=self._most)
            yield under_way < self._most
