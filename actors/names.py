"""Which transaction a partner means: the names that were given lately from memory, any other from the journal.

A name is bound to one stream for ever, so what is remembered of it cannot grow old.
"""

from __future__ import annotations

from collections import OrderedDict

from actors.journal import Journal
from actors.records import Alias
from statecharts.bounds import NAMES, Watermarks


class Names:
    """The aliases of a journal; remembers the latest `bounds.NAMES` that were given or found."""

    def __init__(self, journal: Journal, watermarks: Watermarks) -> None:
        self._journal, self._watermarks = journal, watermarks
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def find(self, scope: str, name: str) -> str | None:
        """The stream that has this alias, if one has. Raises StreamCorrupt if the alias was altered."""
        known = self._known.get((scope, name))
        if known is not None:
            return known
        found = await self._journal.find(scope, name)
        if found is not None:
            self.remember(Alias(scope=scope, name=name), found)
        return found

    def remember(self, alias: Alias, stream: str) -> None:
        """This alias of the stream is in the journal."""
        self._known[alias.scope, alias.name] = stream
        if len(self._known) > NAMES.limit:
            self._known.popitem(last=False)
        self._watermarks.saw(NAMES, len(self._known))
