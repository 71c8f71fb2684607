"""Connections accepted as they come, many in one round of the scheduler.

trio's own listener gives one for each round: in a reconnect storm, when there is much to do in each, most stations
would wait in the kernel's queue, and nobody would know which of them are in a hurry.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from contextlib import suppress
from typing import Any

import trio

from statecharts.limits import ACCEPTED_AT_ONCE


class EagerListener(trio.abc.Listener[trio.SocketStream]):
    """Accepts from the socket of another listener; closing it closes that one."""

    def __init__(self, listener: trio.SocketListener) -> None:
        self._listener = listener
        own = listener.socket
        self._socket = socket.socket(own.family, own.type, own.proto, fileno=os.dup(own.fileno()))
        self._socket.setblocking(False)
        self._accepted = deque[trio.SocketStream]()

    async def accept(self) -> trio.SocketStream:
        """The next one; without a round of the scheduler, if it has come already."""
        if not self._accepted:
            self._accepted.append(await self._listener.accept())
            # What goes wrong here goes wrong again when it is waited for, where it is dealt with.
            with suppress(OSError):
                while len(self._accepted) < ACCEPTED_AT_ONCE.limit:
                    accepted, _ = self._socket.accept()
                    self._accepted.append(trio.SocketStream(trio.socket.from_stdlib_socket(accepted)))
        return self._accepted.popleft()

    async def aclose(self) -> None:
        self._socket.close()
        while self._accepted:
            self._accepted.popleft().socket.close()
        await self._listener.aclose()


def eager(listener: trio.abc.Listener[Any]) -> trio.abc.Listener[Any]:
    """The same listener, accepting many at once if it has a socket."""
    return EagerListener(listener) if isinstance(listener, trio.SocketListener) else listener
