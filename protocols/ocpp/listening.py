"""Connections accepted as they come, many in one round of the scheduler.

trio's own listener gives one for each round: in a reconnect storm, when there is much to do in each, most stations
would wait in the kernel's queue, and nobody would know which of them are in a hurry.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections import deque
from contextlib import suppress
from typing import Any

import trio

from protocols.ocpp.lines import Line, SocketLine, StreamLine, TlsLine
from statecharts.limits import ACCEPTED_AT_ONCE


class SocketLines(trio.abc.Listener[Line]):
    """Accepts from the socket of another listener, with TLS by `tls` if there is any; closing it closes that one."""

    def __init__(self, listener: trio.SocketListener, tls: ssl.SSLContext | None) -> None:
        self._listener, self._tls = listener, tls
        own = listener.socket
        self._socket = socket.socket(own.family, own.type, own.proto, fileno=os.dup(own.fileno()))
        self._socket.setblocking(False)
        self._accepted = deque[Line]()

    async def accept(self) -> Line:
        """The next one; without a round of the scheduler, if it has come already."""
        while not self._accepted:
            first = (await self._listener.accept()).socket
            self._take(socket.socket(first.family, first.type, first.proto, fileno=first.detach()))
            # What goes wrong here goes wrong again when it is waited for, where it is dealt with.
            with suppress(OSError):
                while len(self._accepted) < ACCEPTED_AT_ONCE.limit:
                    accepted, _ = self._socket.accept()
                    self._take(accepted)
        return self._accepted.popleft()

    def _take(self, accepted: socket.socket) -> None:
        """Keeps a connection for whoever asks next, unless its client has left."""
        try:
            self._accepted.append(TlsLine(accepted, self._tls) if self._tls else SocketLine(accepted))
        except OSError:
            accepted.close()

    async def aclose(self) -> None:
        self._socket.close()
        while self._accepted:
            await self._accepted.popleft().aclose()
        await self._listener.aclose()


class StreamLines(trio.abc.Listener[Line]):
    """Accepts from a listener that has no socket, one by one."""

    def __init__(self, listener: trio.abc.Listener[Any]) -> None:
        self._listener = listener

    async def accept(self) -> Line:
        return StreamLine(await self._listener.accept())

    async def aclose(self) -> None:
        await self._listener.aclose()


def lines_of(listener: trio.abc.Listener[Any], tls: ssl.SSLContext | None) -> trio.abc.Listener[Line]:
    """What this listener accepts as lines: many at once, and with TLS by `tls`, if it has a socket."""
    return SocketLines(listener, tls) if isinstance(listener, trio.SocketListener) else StreamLines(listener)
