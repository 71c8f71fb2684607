"""What strangers send: no request ends the server, nor anybody's connection but their own."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypercorn.config import Config
from hypercorn.trio import serve as hypercorn_serve

from protocols.http import HttpLimits
from tests.unit.http.served import Served, app_of, is_alive, serving

KILLERS = {
    "websocket upgrade with bytes behind the head": (
        b"GET /hello HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x05hello"
    ),
    "websocket upgrade without a key": (
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nxx"
    ),
    "h2c upgrade with rubbish behind": (
        b"GET /hello HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"HTTP2-Settings: !!!\r\n\r\nrubbish"
    ),
    "HTTP/2 preface and rubbish": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish rubbish rubbish",
    "rubbish": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "no host": b"GET /hello HTTP/1.1\r\n\r\n",
    "two lengths": b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc",
    "endless head": b"GET /hello HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 40_000,
    "asterisk form": b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "unparsable absolute form": b"GET http://[ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "query without a path": b"GET ?a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "body of a thousand chunks that nobody reads": (
        b"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        + b"1\r\na\r\n" * 1000
        + b"0\r\n\r\n"
    ),
    "bad chunk": b"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("raw", KILLERS.values(), ids=KILLERS.keys())
async def test_no_request_ends_the_server(raw: bytes) -> None:
    async with serving(HttpLimits(head_timeout_s=0.2)) as served:
        await served.ask(raw)
        assert await is_alive(served)


async def test_the_first_of_them_ends_the_server_of_hypercorn_itself() -> None:
    """The control: what we survive is no empty threat. Should this fail one day, our own loop has one reason less."""
    served, config = Served(), Config()
    config.bind, config.errorlog = ["127.0.0.1:0"], None
    ended: list[BaseException] = []

    async def serve(task_status: trio.TaskStatus[Any]) -> None:
        try:
            await hypercorn_serve(app_of(served), config, shutdown_trigger=trio.sleep_forever, task_status=task_status)
        except* Exception as errors:
            ended.append(errors)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            [served.url] = await nursery.start(serve)
            assert await is_alive(served)
            await served.ask(KILLERS["websocket upgrade with bytes behind the head"])
    assert ended
    with pytest.raises(OSError):
        await served.connect()
