"""All webhooks of a node: which there are, and what wakes them."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import trio

from actors.records import Append
from actors.webhook_messages import Changed, HookLook, MakeHook
from actors.webhook_rows import HookRecord, WebhookRows
from statecharts.vocabulary import refused
from statecharts.webhook_limits import WEBHOOKS
from statecharts.webhooks_door import HookAnswer, HookMessage, Letter, NewWebhook

if TYPE_CHECKING:
    from actors.context import Context

WOKEN_EVERY_S = 0.2
"""The shortest time between two looks of hooks into the journal: what changes in between is read together."""

SECRET_BYTES = 32
"""Standard Webhooks asks for 24 to 64."""


class Webhooks:
    """The registry; `start` has to be awaited first."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rows = WebhookRows(context.journal.store)
        self._ids: dict[str, None] = {}
        self._changed = trio.Event()
        self._making = trio.Lock()
        self._is_waking = False

    def __repr__(self) -> str:
        return f"<Webhooks {len(self._ids)}>"

    async def start(self) -> None:
        """Begins to tell them what happens, and what they have missed. Raises `Refused` (503)."""
        for hook in await self._rows.ids():
            self.made(hook)

    def appended(self, append: Append) -> None:
        """Hears of an append that is durable."""
        if self._ids and append.view is not None:
            self._changed.set()

    async def _wake_all(self) -> None:
        """Runs for ever."""
        self._changed.set()  # an earlier life may have left something to tell
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            for key in map("webhook/{}".format, self._ids):
                if key not in self._context.system.quarantined:
                    self._context.system.tell(key, Changed())
            await trio.sleep(WOKEN_EVERY_S)

    def keys(self) -> tuple[str, ...]:
        """The ids of all of them, the oldest first."""
        return tuple(self._ids)

    async def ask(self, hook: str, message: Any) -> Any:
        """What a hook's actor answers. Raises `Refused`: 404 where there is no such hook."""
        if hook not in self._ids:
            raise refused(404, "unknown-webhook", f"there is no webhook {hook[:40]!r}")
        return await self._context.system.ask(f"webhook/{hook}", message)

    async def make(self, new: NewWebhook, by: str) -> HookLook:
        """A new hook, durable. Raises `Refused`: 400 for its address, 429 for one too many, 503."""
        why = self._context.webhook_client.refusal(new.url)
        if why is not None:
            raise refused(400, "unfit-url", f"this address cannot be told anything: {why}")
        async with self._making:
            if len(self._ids) >= WEBHOOKS.limit:
                raise refused(429, "too-many-webhooks", f"there are {len(self._ids)} webhooks already")
            record = await self._record(new, by)
            look: HookLook = await self._context.system.ask(f"webhook/{record.id}", MakeHook(record))
        return look

    async def _record(self, new: NewWebhook, by: str) -> HookRecord:
        secret = "whsec_" + b64encode(self._context.fleet.fresh_bytes(SECRET_BYTES)).decode("ascii")
        return HookRecord(
            id=self._context.ids.request_identifier(),
            url=new.url,
            events=new.events,
            roles=new.roles,
            description=new.description,
            secret=secret,
            created_at=self._context.clock.now(),
            created_by=by,
            position=await self._context.ledger.newest_position(),
        )

    def made(self, hook: str) -> None:
        """There is one more, durably; whoever wanted it may be gone."""
        if not self._is_waking:
            self._is_waking = True
            self._context.system.spawn(self._wake_all)
        self._ids[hook] = None
        self._context.watermarks.saw(WEBHOOKS, len(self._ids))

    def forgotten(self, hook: str) -> None:
        self._ids.pop(hook, None)


class NoReceivers:
    """A `WebhookClient` that reaches nobody."""

    def refusal(self, _: str) -> str | None:
        return "this node tells nobody"

    def written(self, _: HookMessage) -> bytes:
        return b""

    async def send(self, _: Letter, __: float) -> HookAnswer:
        return HookAnswer(cause="this node tells nobody")
