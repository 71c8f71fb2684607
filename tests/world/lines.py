"""A station's line in a world: the real client over a stream in memory, every message of it seen and given its fate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from itertools import count
from urllib.parse import urlsplit

import trio

from protocols.ocpp.client import StationEnd, StationTransport, open_central_system
from protocols.ocpp.dialect import Dialect
from protocols.ocpp.limits import Limits
from protocols.ocpp.v16 import V16
from tests.world.faults import Frame
from tests.world.ground import Ground
from tests.world.history import FrameArrived, FrameSent, LineClosed, LineOpened
from tests.world.network import Network

# A simulated station answers at once: nobody has to look often whether it does
_PATIENT = Limits(handler_timeout_s=600)


class Line:
    """How one station reaches its node; `connect` is what a simulated station takes."""

    def __init__(
        self, ground: Ground, network: Network, station: str, url: str, password: str, dialect: Dialect = V16
    ) -> None:
        self._ground, self._network = ground, network
        self._station, self._url, self._password, self._dialect = station, url, password, dialect
        self._authority = urlsplit(url).netloc
        self._node = self._authority.partition(":")[0]
        self._epochs = count(1)
        self._cut: Callable[[], None] = lambda: None
        self._carrier: Carrier | None = None

    def connect(self) -> AbstractAsyncContextManager[StationEnd]:
        """A connection to the node. Raises OSError where there is none to be had."""
        return self._connected()

    def cut(self) -> None:
        """Breaks the connection, if there is one, without a farewell."""
        self._cut()

    def slip_in(self, text: str, forged: str = "") -> bool:
        """Sends a frame that is not the station's own; whether there is a connection for it."""
        return self._carrier is not None and self._carrier.slip_in(text, forged)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[StationEnd]:
        if not self._ground.faults.of_dial(self._station, self._node):
            await trio.sleep(1)
            raise ConnectionRefusedError("no connection could be made")
        stream = await self._network.dial(self._authority)
        carrier = partial(Carrier, self._ground, self._station, self._node, self.cut)
        carriers: list[Carrier] = []

        def carried_by(transport: StationTransport) -> StationTransport:
            carriers.append(carrier(transport))
            self._carrier = carriers[0]
            return carriers[0]

        self._cut = partial(_break, stream)
        epoch = f"{self._station}-{next(self._epochs)}"
        password = self._password.encode()
        try:
            async with open_central_system(
                self._url,
                self._station,
                password,
                epoch=epoch,
                limits=_PATIENT,
                stream=stream,
                dialect=self._dialect,
                carried_by=carried_by,
            ) as end:
                yield end
        finally:
            for each in carriers:
                each.closed()


def _break(stream: trio.StapledStream[trio.abc.SendStream, trio.abc.ReceiveStream]) -> None:
    stream.send_stream.close()
    stream.receive_stream.close()


class Carrier:
    """Stands between a station's WebSocket and the calls on it: a `StationTransport`."""

    def __init__(
        self, ground: Ground, station: str, node: str, cut: Callable[[], None], transport: StationTransport
    ) -> None:
        self._ground, self._station, self._node = ground, station, node
        self._cut, self._transport = cut, transport
        self._number = ground.fresh_number()
        self._arrived, self._arrivals = trio.open_memory_channel[bytes](10_000)
        self._is_open = True
        ground.saw(LineOpened, station, connection=self._number, to=node)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read)
            await self._transport.run()
            nursery.cancel_scope.cancel()

    async def recv(self) -> bytes | None:
        try:
            return await self._arrivals.receive()
        except trio.EndOfChannel:
            return None

    def post(self, data: bytes) -> None:
        self._pass_on(data, self._station, self._node, self._transport.post)

    def close(self, code: int, reason: str) -> None:
        self._transport.close(code, reason)

    def closed(self) -> None:
        """The connection is gone."""
        self._is_open = False
        self._ground.saw(LineClosed, self._station, connection=self._number)

    def slip_in(self, text: str, forged: str) -> bool:
        """Sends a frame that the station knows nothing of, unless the connection is gone."""
        if not self._is_open:
            return False
        data = text.encode()
        try:
            self._transport.post(data)
        except OSError:
            return False
        self._ground.saw(FrameSent, self._station, connection=self._number, text=text, forged=forged)
        self._ground.saw(FrameArrived, self._node, connection=self._number, text=text)
        return True

    async def _read(self) -> None:
        try:
            while (data := await self._transport.recv()) is not None:
                self._pass_on(data, self._node, self._station, self._arrived.send_nowait)
        finally:
            self._arrived.close()

    def _pass_on(self, data: bytes, sender: str, to: str, deliver: Callable[[bytes], None]) -> None:
        text = data.decode()
        self._ground.counted["ocpp frames"] += 1
        self._ground.saw(FrameSent, sender, connection=self._number, text=text)
        fate = self._ground.faults.of_frame(Frame(self._number, sender, to, text))
        if fate.breaks:
            self._cut()
            return
        for after_s in fate.arrives_after_s:
            if after_s:
                self._ground.nursery.start_soon(self._deliver_late, after_s, data, to, deliver)
            else:
                self._deliver(data, to, deliver)

    async def _deliver_late(self, after_s: float, data: bytes, to: str, deliver: Callable[[bytes], None]) -> None:
        await trio.sleep(after_s)
        if self._is_open:
            with suppress(OSError, trio.ClosedResourceError):  # the connection may end just now
                self._deliver(data, to, deliver)

    def _deliver(self, data: bytes, to: str, deliver: Callable[[bytes], None]) -> None:
        deliver(data)
        self._ground.saw(FrameArrived, to, connection=self._number, text=data.decode())
