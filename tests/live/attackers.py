"""What hostile clients do to a node: many at a time, again and again, from addresses of their own.

Run as a script with one argument, a JSON object: the ports and secrets of a victim (`Victim`), and how many attackers
of each kind there are. Writes one JSON object a line for each connection that came to its end, with how long it lasted
and how many bytes were sent on it, and `{"event": "in_place"}` once every attacker has begun. Ends with its stdin.
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import trio

ADDRESS, IDLE_ADDRESS = "127.0.0.2", "127.0.0.3"
DRIP_S = 0.5
AGAIN_S, IDLE_AGAIN_S = 0.05, 0.5
"""How soon one comes back. The idle are many, and a machine has some 28,000 ports to come from in a minute."""

MANY_BYTES = 16 * 1024 * 1024
CHUNK = b"x" * 65_536

_MASKED_TEXT, _MASKED_BEGINNING, _MASKED_MORE, _COMPRESSED = b"\x81", b"\x01", b"\x00", b"\xc1"
_NO_MASK = b"\0\0\0\0"


@dataclass(frozen=True, slots=True)
class Victim:
    """Where a node listens. `basic` are credentials of a partner; `stations` those of stations that turned hostile."""

    http: int
    ocpp: int
    authority: str
    basic: str
    stations: dict[str, str]


@dataclass(slots=True)
class Client:
    """One connection of an attacker: counts what it sends."""

    stream: trio.abc.Stream
    sent: int = 0
    begun: float = field(default_factory=trio.current_time)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)
        self.sent += len(data)

    async def drip(self, some: bytes) -> None:
        """A little at a time, for as long as somebody takes it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.read_on, nursery.cancel_scope)
            while True:
                await self.send(some)
                await trio.sleep(DRIP_S)

    async def flood(self, some: bytes, count: int) -> None:
        """So much of it, as fast as it is taken, for as long as there is an answer to wait for."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.read_on, nursery.cancel_scope)
            for _ in range(count):
                await self.send(some)
            await trio.sleep_forever()

    async def read_on(self, over: trio.CancelScope) -> None:
        while await self.stream.receive_some(65_536):
            pass
        over.cancel()


Attack = Callable[[Client, Victim], Awaitable[None]]


# -- HTTP --------------------------------------------------------------------------------------------------------------


async def http_head(client: Client, victim: Victim) -> None:
    await client.send(b"GET /health HTTP/1.1\r\nHost: x\r\n")
    await client.drip(b"X: y\r\n")


async def http_body(client: Client, victim: Victim) -> None:
    await client.send(_post(victim, b"Content-Length: 100000"))
    await client.drip(b"<")


async def http_long_head(client: Client, victim: Victim) -> None:
    await client.send(b"GET /health HTTP/1.1\r\nHost: x\r\nX: ")
    await client.flood(CHUNK, MANY_BYTES // len(CHUNK))


async def http_long_body(client: Client, victim: Victim) -> None:
    await client.send(_post(victim, b"Content-Length: %d" % 2**30))
    await client.flood(CHUNK, MANY_BYTES // len(CHUNK))


async def http_endless_body(client: Client, victim: Victim) -> None:
    await client.send(_post(victim, b"Transfer-Encoding: chunked"))
    await client.flood(b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK), MANY_BYTES // len(CHUNK))


async def http_never_reading(client: Client, victim: Victim) -> None:
    while True:
        await client.send(b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100)


def _post(victim: Victim, length: bytes) -> bytes:
    head = b"POST /services/mobiEuropeDestinationService HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %b\r\n"
    return head % victim.basic.encode() + b"Content-Type: application/soap+xml\r\n%b\r\n\r\n" % length


# -- TLS and WebSocket -------------------------------------------------------------------------------------------------


async def tls_handshake(client: Client, victim: Victim) -> None:
    await client.send(b"\x16\x03\x01\x02\x00\x01")
    await client.drip(b"\x00")


async def ws_handshake(client: Client, victim: Victim) -> None:
    await client.send(b"GET /ocpp/CS99 HTTP/1.1\r\nHost: x\r\n")
    await client.drip(b"X: y\r\n")


async def ws_frames(client: Client, victim: Victim) -> None:
    await client.send(_MASKED_TEXT + b"\xfe\xff\xff" + _NO_MASK)
    await client.drip(b" ")


async def ws_silent(client: Client, victim: Victim) -> None:
    """Half-open: it reads, and answers nothing, not even a ping."""
    await client.flood(b"", 0)


async def ws_long_frame(client: Client, victim: Victim) -> None:
    await client.send(_MASKED_TEXT + b"\xff" + (2**30).to_bytes(8) + _NO_MASK)
    await client.flood(CHUNK, MANY_BYTES // len(CHUNK))


async def ws_many_frames(client: Client, victim: Victim) -> None:
    more = b"\xfe\x10\x00" + _NO_MASK + bytes(4_096)
    await client.send(_MASKED_BEGINNING + more)
    await client.flood(_MASKED_MORE + more, MANY_BYTES // 4_096)


async def ws_compressed(client: Client, victim: Victim) -> None:
    await client.send(_COMPRESSED + b"\xfe\x40\x00" + _NO_MASK + bytes(16_384))
    await client.flood(b"", 0)


async def ws_never_reading(client: Client, victim: Victim) -> None:
    heartbeat = b'[2,"%06d","Heartbeat",{}]'
    number = 0
    while True:
        number += 1
        call = heartbeat % number
        await client.send(_MASKED_TEXT + bytes([0x80 | len(call)]) + _NO_MASK + call)


async def idle(client: Client, victim: Victim) -> None:
    await client.flood(b"", 0)


HTTP: dict[str, Attack] = {
    each.__name__: each
    for each in (http_head, http_body, http_long_head, http_long_body, http_endless_body, http_never_reading)
}
HANDSHAKES: dict[str, Attack] = {"tls_handshake": tls_handshake}
UPGRADES: dict[str, Attack] = {"ws_handshake": ws_handshake}
STATIONS: dict[str, Attack] = {
    each.__name__: each
    for each in (ws_frames, ws_silent, ws_long_frame, ws_many_frames, ws_compressed, ws_never_reading)
}
"""Each by a station that the node knows, so that it comes past the handshake."""


# -- the siege ---------------------------------------------------------------------------------------------------------


async def main(victim: Victim, attackers: dict[str, int]) -> None:
    trust = ssl.create_default_context(cafile=victim.authority)
    begun: list[trio.Event] = []
    async with trio.open_nursery() as nursery:
        for kind, count in attackers.items():
            for number in range(count):
                begun.append(trio.Event())
                nursery.start_soon(_again_and_again, kind, number, victim, trust, begun[-1])
        for each in begun:
            await each.wait()
        tell(event="in_place")
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


async def _again_and_again(kind: str, number: int, victim: Victim, trust: ssl.SSLContext, begun: trio.Event) -> None:
    while True:
        client = None
        try:
            client = await _open(kind, victim, trust)
            begun.set()
            await _attack_of(kind)(client, victim)
        except* (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        begun.set()
        if client is not None:
            tell(event="ended", attack=kind, after_s=trio.current_time() - client.begun, sent=client.sent)
            await trio.aclose_forcefully(client.stream)
        await trio.sleep(IDLE_AGAIN_S if kind.startswith("idle") else AGAIN_S)


def _attack_of(kind: str) -> Attack:
    return {**HTTP, **HANDSHAKES, **UPGRADES, **STATIONS, "idle_http": idle, "idle_ocpp": idle}[kind]


async def _open(kind: str, victim: Victim, trust: ssl.SSLContext) -> Client:
    port = victim.http if kind in HTTP or kind == "idle_http" else victim.ocpp
    address = IDLE_ADDRESS if kind.startswith("idle") else ADDRESS
    stream: trio.abc.Stream = await trio.open_tcp_stream("127.0.0.1", port, local_address=address)
    if kind in UPGRADES or kind in STATIONS:
        stream = trio.SSLStream(stream, trust, server_hostname="localhost", https_compatible=True)
        await stream.do_handshake()
    client = Client(stream)
    if kind in STATIONS:
        await _upgrade(client, *list(victim.stations.items())[list(STATIONS).index(kind)])
    return client


async def _upgrade(client: Client, identity: str, password: str) -> None:
    basic = base64.b64encode(f"{identity}:{password}".encode()).decode()
    await client.send(
        f"GET /ocpp/{identity} HTTP/1.1\r\nHost: node\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Sec-WebSocket-Protocol: ocpp1.6\r\nAuthorization: Basic {basic}\r\n\r\n".encode()
    )
    answer = await client.stream.receive_some(4_096)
    if not answer.startswith(b"HTTP/1.1 101"):
        raise OSError(f"{identity} was not let in: {answer!r}")
    client.begun = trio.current_time()


def tell(**what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    trio.run(partial(main, Victim(**asked["victim"]), asked["attackers"]))
