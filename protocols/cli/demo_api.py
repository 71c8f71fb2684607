"""The demo's own user app and control room: plain clients of the REST APIs, as anybody could write them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec

from protocols.cli.starter import CannotRun

View = dict[str, Any]


class Api:
    """One bearer token at one node. Every refusal and every failure is a `CannotRun` that says who said what."""

    def __init__(self, name: str, url: str, token: str) -> None:
        self._name = name
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.AsyncClient(base_url=f"{url}/api/v1", headers=headers, timeout=30, trust_env=False)

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, path: str, **query: str) -> View:
        return await self._ask("GET", path, params=query)

    async def post(self, path: str, content: View | None = None) -> View:
        return await self._ask("POST", path, json=content)

    async def changes(self, path: str) -> AsyncIterator[View]:
        """What a stream of Server-Sent Events says, in its `data`, until it ends."""
        try:
            async with self._client.stream("GET", path, timeout=httpx.Timeout(30, read=None)) as response:
                if response.status_code != 200:
                    await response.aread()
                    raise CannotRun(self._refusal("GET", path, response))
                async for line in response.aiter_lines():
                    if line.startswith("data: ") and line != "data: {}":
                        yield msgspec.json.decode(line.removeprefix("data: "))
        except httpx.HTTPError as error:
            raise CannotRun(f"{self._name} does not answer GET {path}: {error or type(error).__name__}") from error

    async def _ask(self, method: str, path: str, **what: Any) -> View:
        try:
            response = await self._client.request(method, path, **what)
        except httpx.HTTPError as error:
            raise CannotRun(f"{self._name} does not answer {method} {path}: {error or type(error).__name__}") from error
        if response.is_error:
            raise CannotRun(self._refusal(method, path, response))
        answer: View = response.json()
        return answer

    def _refusal(self, method: str, path: str, response: httpx.Response) -> str:
        try:
            detail = response.json()["detail"]
        except (ValueError, KeyError, TypeError):
            detail = response.text[:200]
        return f"{self._name} refuses {method} {path} with {response.status_code}: {detail}"
