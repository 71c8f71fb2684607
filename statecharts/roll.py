"""The list of cards that every station should have, and what has changed in it since it was such and such.

A list is known by its fingerprint: the sum of its entries' hashes, which a change of one card changes at once, and
which is the same again when it is undone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice

import msgspec

from statecharts.card_limits import ROLL_CHANGES
from statecharts.station_commands import LocalListEntry

_MODULUS = 2**128


class Roll:
    """Entries by what their idTags are compared by; the latest `ROLL_CHANGES` changes are remembered."""

    def __init__(self) -> None:
        self._entries: dict[str, LocalListEntry] = {}
        self._sum = 0
        self._changes: deque[tuple[str, str, str]] = deque()
        self._forgotten = 0
        self._points: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[LocalListEntry]:
        return iter(self._entries.values())

    def __repr__(self) -> str:
        return f"<Roll {self.content}, {len(self._changes)} changes>"

    @property
    def content(self) -> str:
        """The fingerprint of what it is now."""
        return f"{len(self._entries)}.{self._sum:032x}"

    @property
    def changes(self) -> int:
        """How many changes are remembered."""
        return len(self._changes)

    def set(self, key: str, entry: LocalListEntry | None) -> bool:
        """Puts, replaces or takes out one entry; whether that changes anything."""
        before = self._entries.get(key)
        if before == entry:
            return False
        self._note(key, before or entry)
        self._sum = (self._sum - _hash(before) + _hash(entry)) % _MODULUS
        if entry is None:
            del self._entries[key]
        else:
            self._entries[key] = entry
        return True

    def _note(self, key: str, told: LocalListEntry | None) -> None:
        assert told is not None
        self._points[self.content] = self._forgotten + len(self._changes)
        self._changes.append((self.content, key, told.id_tag))
        if len(self._changes) > ROLL_CHANGES.limit:
            content, _, _ = self._changes.popleft()
            if self._points[content] == self._forgotten:
                del self._points[content]
            self._forgotten += 1

    def since(self, content: str) -> tuple[LocalListEntry, ...] | None:
        """What makes a list that was so the one of now; None where that is not known any more.

        An entry without IdTagInfo takes out what is there (OCPP 1.6 section 5.15), written as it was then: to some
        stations case means something.
        """
        if content == self.content:
            return ()
        point = self._points.get(content)
        if point is None:
            return None
        changed: dict[str, str] = {}
        for _, key, id_tag in islice(self._changes, point - self._forgotten, None):
            changed.setdefault(key, id_tag)
        return tuple(self._entries.get(key) or LocalListEntry(id_tag=id_tag) for key, id_tag in changed.items())


def _hash(entry: LocalListEntry | None) -> int:
    return int.from_bytes(blake2b(msgspec.json.encode(entry), digest_size=16).digest(), "big") if entry else 0
