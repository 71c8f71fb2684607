"""What remote procedure calls need of whatever carries their messages."""

from __future__ import annotations

from typing import Protocol


class NothingSent(OSError):
    """Raised by a transport that refuses a message before any byte of it left."""


class Transport(Protocol):
    """What carries whole messages."""

    async def recv(self) -> bytes | None:
        """The next message; None when there will be no more. Never raises for what the network does."""

    def post(self, data: bytes) -> None:
        """Sends one message without waiting. Raises `NothingSent`, or another OSError when part of it may have left."""

    def close(self, code: int, reason: str) -> None:
        """Says good-bye, without waiting; a waiting `recv` returns None."""
