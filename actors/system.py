"""The registry of actors and what keeps them alive.

Actors are made on their first message and found by their key ("station/CS01"). One that fails is rebuilt from its
journal, its neighbours notice nothing; one that fails again and again is put in quarantine: its messages are refused,
the one that broke it is kept for the operator, and the node lives on.
"""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import structlog
import trio

from actors.actor import ASK_TIMEOUT_S, Actor, correlated, current_correlation_id
from statecharts.ports import Clock
from statecharts.vocabulary import Refused, refused

RESTARTS_MAX = 5
RESTARTS_WINDOW_S = 60.0
"""More than RESTARTS_MAX failures within this time, and an actor is put in quarantine."""

IDLE_S = 60.0
"""An actor that may rest leaves memory after this long without a message."""

DRAIN_POLL_S = 0.01

BROKEN = ("internal", "quarantined")
"""The kinds of refusal that say that an actor itself is broken: what it was told will not be done by asking again."""

log = structlog.get_logger(__name__)


def _broken() -> Refused:
    return refused(500, "internal", "an internal error; what was asked has not been done")


def _quarantined(key: str) -> Refused:
    return refused(503, "quarantined", f"{key} failed repeatedly and is out of service until an operator looks at it")


async def _errand(correlation_id: str | None, work: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
    with correlated(correlation_id):
        try:
            await work(*args)
        except Refused as no:
            log.warning("system.errand_refused", errand=work.__name__, refusal=str(no))
        except Exception:
            log.exception("system.errand_failed", errand=work.__name__)


class System:
    """All actors of a node. `factories` makes one from its key, chosen by the part before the slash."""

    def __init__(self, nursery: trio.Nursery, clock: Clock) -> None:
        self.clock = clock
        self.factories: dict[str, Callable[[str], Actor]] = {}
        self.quarantine: dict[str, Any] = {}
        self._actors: dict[str, Actor] = {}
        self._nursery = nursery

    def __repr__(self) -> str:
        return f"<System {len(self._actors)} actors, {len(self.quarantine)} in quarantine>"

    def __iter__(self) -> Iterator[Actor]:
        return iter(tuple(self._actors.values()))

    def actor(self, key: str) -> Actor:
        """The actor with this key, made if it is not in memory. Raises `Refused` (503) for one in quarantine."""
        if key in self.quarantine:
            raise _quarantined(key)
        found = self._actors.get(key)
        if found is None:
            found = self._actors[key] = self.factories[key.partition("/")[0]](key)
            # An actor outlives its first message: it must not log in that request's name.
            contextvars.Context().run(self._nursery.start_soon, self._keep_alive, found)
        return found

    async def ask(self, key: str, message: Any, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """Asks the actor with this key; see `Actor.ask`."""
        return await self.actor(key).ask(message, timeout_s)

    def tell(self, key: str, message: Any) -> None:
        """Tells the actor with this key. A message that cannot be left is logged: facts are asked, never told."""
        try:
            self.actor(key).tell(message)
        except Refused as no:
            log.warning("system.tell_refused", actor=key, message=type(message).__name__, refusal=str(no))

    def spawn(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Starts a task in the name of the request that is being handled; what it raises is logged and ends only it."""
        contextvars.Context().run(self._nursery.start_soon, _errand, current_correlation_id(), work, args)

    async def _keep_alive(self, actor: Actor) -> None:
        failures: deque[float] = deque(maxlen=RESTARTS_MAX)
        while True:
            try:
                await actor.run(IDLE_S)
            except Exception as error:
                log.exception("actor.failed", actor=actor.key, error=type(error).__name__)
                if self._is_too_often(actor, failures):
                    return
            else:
                self._actors.pop(actor.key, None)
                return

    def _is_too_often(self, actor: Actor, failures: deque[float]) -> bool:
        """Counts a failure, answers who waited for it, and quarantines the actor if it has failed too often."""
        envelope = actor.drop_in_hand(_broken())
        now = trio.current_time()
        too_often = len(failures) == RESTARTS_MAX and now - failures[0] < RESTARTS_WINDOW_S
        failures.append(now)
        if too_often:
            self.quarantine[actor.key] = envelope.message if envelope else None
            self._actors.pop(actor.key, None)
            actor.refuse_waiting(_quarantined(actor.key))
            log.error("actor.quarantined", actor=actor.key)
        return too_often

    async def drain(self, deadline_s: float) -> bool:
        """Waits until no actor has anything in hand or waiting; whether that was reached within the deadline."""
        with trio.move_on_after(deadline_s):
            # Polled: once in the life of a node, and no actor need know of it.
            while any(actor.waiting or actor.in_hand for actor in self):  # noqa: ASYNC110
                await trio.sleep(DRAIN_POLL_S)
            return True
        return False
