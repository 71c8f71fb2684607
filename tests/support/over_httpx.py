"""What carries a partner's requests in tests without a network: any transport of httpx, an app's own among them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import httpx

from protocols.mobieurope.wire import HttpAnswer


class OverHttpx:
    """`protocols.mobieurope.wire.Http` over a transport of httpx."""

    certificate_until = None

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._client = httpx.AsyncClient(transport=transport)

    async def post(self, url: str, headers: Mapping[str, str], content: bytes, wanted: Collection[int]) -> HttpAnswer:
        response = await self._client.post(url, content=content, headers=dict(headers))
        body = response.content if response.status_code in wanted else None
        return HttpAnswer(response.status_code, dict(response.headers), body)

    async def aclose(self) -> None:
        await self._client.aclose()
