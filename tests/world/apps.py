"""The apps of a world: httpx over the network in memory, which does not give up easily."""

from __future__ import annotations

from typing import Any

import httpx
import trio

from tests.world.conversation import Asked
from tests.world.ground import Ground
from tests.world.network import Network, NoAnswer, Told
from tests.world.operators import HTTP_PORT, app_token

PATIENCE_S = 30.0
"""How long an app waits for one answer."""

AGAIN_AFTER_S, AGAIN_AFTER_MOST_S = 5.0, 160.0
LOOKS_EVERY_S = 20.0
GIVES_UP_AFTER_S = 3_600.0
"""How long an app asks for one and the same thing, or waits for a state."""


class AppTransport(httpx.AsyncBaseTransport):
    """What an app's httpx client sends through; the answer streams, and closing it hangs up."""

    def __init__(self, network: Network, who: str) -> None:
        self._network, self._who = network, who

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = {k: v for k, v in request.headers.items() if k not in ("host", "content-length")}
        asked = Asked(request.method, "", headers, await request.aread())
        try:
            told = await self._network.ask("rest", self._who, str(request.url), asked)
        except NoAnswer as none:
            raise (httpx.ReadError if none.sent else httpx.ConnectError)(str(none)) from none
        return httpx.Response(told.status, headers=list(told.headers), stream=_Streamed(told))


class _Streamed(httpx.AsyncByteStream):
    def __init__(self, told: Told) -> None:
        self._told = told

    def __aiter__(self) -> _Streamed:
        return self

    async def __anext__(self) -> bytes:
        piece = await self._told.piece()
        if piece is None:
            raise httpx.ReadError("the answer broke off")
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        self._told.close()


class App:
    """The app of one operator's users."""

    def __init__(self, ground: Ground, network: Network, operator: str) -> None:
        self.operator, self.name = operator, f"app-of-{operator}"
        self._ground = ground
        self._http = httpx.AsyncClient(
            transport=AppTransport(network, self.name),
            base_url=f"http://{operator}:{HTTP_PORT}/api/v1",
            headers={"Authorization": f"Bearer {app_token(operator)}"},
        )

    async def until(self, place: str, states: set[str] | frozenset[str]) -> str | None:
        """Looks until the transaction is in one of these states; None if the app gave up."""
        with trio.move_on_after(GIVES_UP_AFTER_S):
            while True:
                await trio.sleep(LOOKS_EVERY_S)
                seen = await self.until_answered("GET", place)
                if seen is None or seen["state"] in states:
                    return seen and str(seen["state"])
        return None

    async def until_answered(self, method: str, path: str, key: str = "", **what: Any) -> dict[str, Any] | None:
        """Asks until there is an answer that means something, and returns it; None for a refusal, or without patience.

        The same Idempotency-Key goes with each attempt.
        """
        headers = {"Idempotency-Key": key} if key else {}
        again_after_s = AGAIN_AFTER_S
        with trio.move_on_after(GIVES_UP_AFTER_S):
            while True:
                answer = await self._answer(method, path, headers, what)
                if answer is not None and answer.status_code < 500 and not _come_back(answer):
                    return answer.json() if answer.is_success else None
                await trio.sleep(again_after_s)
                again_after_s = min(2 * again_after_s, AGAIN_AFTER_MOST_S)
        return None

    async def _answer(
        self, method: str, path: str, headers: dict[str, str], what: dict[str, Any]
    ) -> httpx.Response | None:
        with trio.move_on_after(PATIENCE_S):
            try:
                return await self._http.request(method, path, headers=headers, timeout=None, **what)
            except httpx.TransportError:
                return None
        return None


def _come_back(answer: httpx.Response) -> bool:
    """Whether this is no answer yet: too much at once, or the first request under the same key is under way."""
    return answer.status_code == 429 or "Retry-After" in answer.headers
