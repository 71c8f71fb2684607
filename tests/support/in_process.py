"""Reaching an app without a network."""

from __future__ import annotations

import httpx


class InProcess(httpx.ASGITransport):
    """httpx' own transport, but no request's body is an async generator: it would be left half read, and trio says so,
    whenever an app answers before it has taken the whole of it.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.stream = _Whole(await request.aread())
        return await super().handle_async_request(request)


class _Whole(httpx.AsyncByteStream):
    """A body that comes in one piece."""

    def __init__(self, content: bytes) -> None:
        self._pieces = iter([content])

    def __aiter__(self) -> _Whole:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration
