"""Servers of operators, as far as the actor of a webhook sees them; their addresses are whatever a test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import trio

from protocols.webhooks.message import written
from statecharts.webhooks_door import HookAnswer, HookMessage, Letter

TAKEN = HookAnswer(status=200)


class Receivers:
    """A `WebhookClient`: `answer` says what comes of each letter, after `takes_s` seconds."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.sent_at: list[float] = []
        self.answer: Callable[[Letter], HookAnswer] = lambda _: TAKEN
        self.takes_s = 0.0

    def refusal(self, url: str) -> str | None:
        return None if url.startswith("https://") else "it is no https:// URL"

    def written(self, message: HookMessage) -> bytes:
        return written(message)

    async def send(self, letter: Letter, timeout_s: float) -> HookAnswer:
        self.letters.append(letter)
        self.sent_at.append(trio.current_time())
        await trio.sleep(self.takes_s)
        return self.answer(letter)

    def told(self, url: str = "https://erp/") -> list[Any]:
        """What this address was told, each event once, in the order of its first attempt."""
        once = {letter.message_id: letter.body for letter in self.letters if letter.url == url}
        return [msgspec.json.decode(body) for body in once.values()]
