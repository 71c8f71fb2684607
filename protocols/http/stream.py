"""A socket whose writes end in time, whoever shields them, and that closes so that the client gets its answer."""

from __future__ import annotations

import trio

from protocols.http.limits import LINGER_S


class TimedStream(trio.abc.HalfCloseableStream):
    """A socket stream whose writes give up after `send_timeout_s`, also where the caller has shielded them.

    It closes in two steps: closing on unread bytes, as those of a body that is too long, would reset the connection,
    and the client would never see its answer.
    """

    def __init__(self, stream: trio.SocketStream, send_timeout_s: float) -> None:
        self.socket = stream.socket
        self._stream = stream
        self._send_timeout_s = send_timeout_s
        self._reading = trio.Lock()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        with trio.move_on_after(self._send_timeout_s) as patience:
            await self._stream.send_all(data)
        if patience.cancelled_caught:
            self.socket.close()
            raise trio.BrokenResourceError("the client does not read")

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        async with self._reading:
            return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        try:
            with trio.move_on_after(LINGER_S):
                await self._read_off()
        finally:
            await self._stream.aclose()

    async def _read_off(self) -> None:
        try:
            await self.send_eof()
            while await self.receive_some():
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            return  # the client is gone, or a write to it is stuck: nothing to wait for
