"""Bytes to and from one client, over a socket without anything between us and the kernel, or over any trio stream.

A message is read with one system call once the socket is readable, and written with one as a rule. What TLS needs is
done by the same non-blocking calls. That costs a third of what trio's own streams do (docs/performance.md), so those
serve only where there is no socket: in memory, on virtual time.
"""

from __future__ import annotations

import socket
import ssl
from abc import abstractmethod
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import trio

from statecharts.station_credentials import StationCertificate

GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)
"""All that trio raises when a connection is no more."""

NO_ADDRESS = "-"


class Line(trio.abc.AsyncResource):
    """Where the bytes of one connection pass. Reading never raises for what the network does; writing raises `GONE`.

    `certificate` is what the client has shown in the handshake, verified; None if it showed none. `aclose` drops the
    connection without a word.
    """

    __slots__ = ("certificate",)

    is_tls = False

    def __init__(self) -> None:
        self.certificate: StationCertificate | None = None

    @property
    @abstractmethod
    def address(self) -> str:
        """The IP address at the other end; lines without one, as in memory, share a name."""

    async def handshake(self) -> None:
        """TLS, where there is any. Raises OSError where it does not fit."""

    @abstractmethod
    async def receive(self, bytes_max: int) -> bytes:
        """Some bytes of the client; none at the end of the stream, or after `interrupt`."""

    @abstractmethod
    def interrupt(self) -> None:
        """Ends a `receive` that waits now; later ones wait again."""

    @abstractmethod
    def send_now(self, data: bytes | bytearray) -> int:
        """Sends without waiting; how many bytes were taken, which may be none."""

    @abstractmethod
    async def send_some(self, data: bytes | bytearray) -> int:
        """Sends some, as soon as that can be done; how many bytes were taken."""

    @abstractmethod
    async def send_eof(self) -> None:
        """Says that no more will be sent."""


class SocketLine(Line):
    """A TCP connection; `sock` is made non-blocking, and ours from here on."""

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock
        sock.setblocking(False)

    @property
    def address(self) -> str:
        try:
            return str(self._sock.getpeername()[0])
        except OSError:
            return NO_ADDRESS

    async def receive(self, bytes_max: int) -> bytes:
        with suppress(*GONE):
            while self.is_open:
                await trio.lowlevel.wait_readable(self._sock)
                with suppress(BlockingIOError):
                    return self._sock.recv(bytes_max)
        return b""

    @property
    def is_open(self) -> bool:
        """Whether we have not closed it. Whoever waits for a socket that is closed raises ValueError."""
        return self._sock.fileno() >= 0

    def interrupt(self) -> None:
        if self.is_open:
            trio.lowlevel.notify_closing(self._sock)

    def send_now(self, data: bytes | bytearray) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0

    async def send_some(self, data: bytes | bytearray) -> int:
        while not (sent := self.send_now(data)):
            # `interrupt` means readers only; where the socket was closed, the next try finds out.
            with suppress(trio.ClosedResourceError):
                await trio.lowlevel.wait_writable(self._sock)
        return sent

    async def send_eof(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        self.interrupt()
        self._sock.close()


class TlsLine(SocketLine):
    """A TCP connection with TLS on it, by `context`. Raises OSError if the client has left already."""

    __slots__ = ("_tls",)

    is_tls = True

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(sock)
        self._tls = self._sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    async def handshake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
                self.certificate = certificate_in(self._tls.getpeercert())
                return
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(self._tls)
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(self._tls)

    async def receive(self, bytes_max: int) -> bytes:
        with suppress(*GONE):
            while self.is_open:
                try:
                    # What was decrypted already is not seen by whoever asks the kernel.
                    return self._tls.recv(bytes_max)
                except ssl.SSLWantReadError:
                    await trio.lowlevel.wait_readable(self._tls)
                except ssl.SSLWantWriteError:
                    await trio.lowlevel.wait_writable(self._tls)
        return b""

    def send_now(self, data: bytes | bytearray) -> int:
        try:
            return self._tls.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    async def send_eof(self) -> None:
        if self.is_open:
            with suppress(OSError):  # it says good-bye, and need not wait for the other side's
                self._tls.unwrap()


class StreamLine(Line):
    """Any stream of trio's."""

    __slots__ = ("_reading", "_stream")

    address = NO_ADDRESS

    def __init__(self, stream: trio.abc.Stream) -> None:
        super().__init__()
        self._stream = stream
        self._reading: trio.CancelScope | None = None

    async def receive(self, bytes_max: int) -> bytes:
        with trio.CancelScope() as self._reading, suppress(*GONE):
            return bytes(await self._stream.receive_some(bytes_max))
        return b""

    def interrupt(self) -> None:
        if self._reading:
            self._reading.cancel()

    def send_now(self, data: bytes | bytearray) -> int:
        return 0

    async def send_some(self, data: bytes | bytearray) -> int:
        taken = bytes(data)  # there may be more of it by the time that these have left
        await self._stream.send_all(taken)
        return len(taken)

    async def send_eof(self) -> None:
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            await self._stream.send_eof()

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)


def certificate_in(verified: Any) -> StationCertificate | None:
    """What `ssl` tells of a certificate that it has verified; None if there was none, or if it names nobody."""
    if not verified:
        return None
    names = _named(verified, "subject", "commonName")
    if len(names) != 1:
        return None
    return StationCertificate(
        common_name=names[0],
        organization=next(iter(_named(verified, "subject", "organizationName")), None),
        issuer=next(iter(_named(verified, "issuer", "commonName")), ""),
        expires_at=datetime.fromtimestamp(ssl.cert_time_to_seconds(verified["notAfter"]), UTC),
    )


def _named(verified: Any, whose: str, what: str) -> list[str]:
    return [value for rdn in verified[whose] for name, value in rdn if name == what]
