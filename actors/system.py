"""The registry of actors and what keeps them alive.

Actors are made on their first message and found by their key ("station/CS01"). What becomes of one that fails or has
nothing to do stands in `policies.POLICIES`, and nowhere else. One that fails is rebuilt from its journal, its
neighbours notice nothing; one that fails again and again is put in quarantine: its messages are refused, what broke it
is kept for the operator, and the node lives on. One that has nothing to do leaves memory, and only its key is kept
until its deadline.
"""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

import structlog
import trio

from actors.actor import ASK_TIMEOUT_S, RETRY_S, Actor, correlated, current_correlation_id
from actors.policies import POLICIES, Policy
from actors.quarantine import Quarantine, case_of
from actors.sleepers import Sleepers
from statecharts.bounds import WAKING, Watermarks
from statecharts.ports import Clock
from statecharts.vocabulary import Refused, refused

DRAIN_POLL_S = 0.01

BROKEN = ("internal-error", "quarantined")
"""The kinds of refusal that say that an actor itself is broken: what it was told will not be done by asking again."""

NOT_NOW = ("store-unavailable", "busy")
"""The kinds of refusal that say for certain that nothing was done, and that it can be done later."""

log = structlog.get_logger(__name__)


def is_broken(no: Refused) -> bool:
    """Whether an actor said no because it is itself broken."""
    return no.refusal.kind in BROKEN


def _broken() -> Refused:
    return refused(500, "internal-error", "an internal error; what was asked has not been done")


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


class Failures:
    """How often an actor has failed of late, and what its policy makes of it."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._times: list[float] = []

    def backoff(self, error: Exception, now: float) -> float | None:
        """Counts a failure; seconds until the next life, None if there is to be none."""
        self.forget(now)
        self._times.append(now)
        if isinstance(error, self._policy.hopeless) or len(self._times) > self._policy.restarts:
            return None
        return self._policy.backoff(len(self._times))

    def forget(self, now: float) -> None:
        while self._times and now - self._times[0] >= self._policy.within_s:
            self._times.pop(0)


class System:
    """All actors of a node. `factories` makes one from its key, chosen by the part before the slash."""

    def __init__(
        self,
        nursery: trio.Nursery,
        clock: Clock,
        quarantine: Quarantine,
        watermarks: Watermarks,
        policies: Mapping[str, Policy] = POLICIES,
    ) -> None:
        self.clock = clock
        self.watermarks = watermarks
        self.factories: dict[str, Callable[[str], Actor]] = {}
        self.quarantine = quarantine
        self.quarantined: set[str] = set()
        self._on_trial: set[str] = set()
        self._policies = policies
        self._actors: dict[str, Actor] = {}
        self._sleepers = Sleepers(clock)
        self._waking = trio.Semaphore(WAKING.limit)
        self._nursery = nursery
        self._start(self._wake_sleepers)

    def __repr__(self) -> str:
        put_aside = len(self.quarantined)
        return f"<System {len(self._actors)} actors, {self.asleep} asleep, {put_aside} in quarantine>"

    def __iter__(self) -> Iterator[Actor]:
        """The actors in memory."""
        return iter(tuple(self._actors.values()))

    def __contains__(self, key: str) -> bool:
        """Whether the actor with this key is in memory."""
        return key in self._actors

    @property
    def asleep(self) -> int:
        """How many have left memory until their deadline."""
        return len(self._sleepers)

    def actor(self, key: str) -> Actor:
        """The actor with this key, made if it is not in memory. Raises `Refused` (503) for one in quarantine."""
        if key in self.quarantined:
            raise _quarantined(key)
        found = self._actors.get(key)
        if found is None:
            found = self._actors[key] = self.factories[_kind(key)](key)
            found.needed = found.rested = self._sleepers.take(key)
            self._start(self._keep_alive, found)
            if key in self._on_trial:
                self._start(_errand, None, self._try, (found,))
        return found

    async def ask(self, key: str, message: Any, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """Asks the actor with this key; see `Actor.ask`."""
        return await self.actor(key).ask(message, timeout_s)

    async def hand_over(self, key: str, message: Any) -> Any:
        """Asks until the store is there and the mailbox has room: for what came once and nobody will say again."""
        while True:
            try:
                return await self.ask(key, message)
            except Refused as no:
                if no.refusal.kind not in NOT_NOW:
                    raise
                log.warning("system.handed_over_later", actor=key, message=type(message).__name__, refusal=str(no))
                await trio.sleep(RETRY_S)

    def tell(self, key: str, message: Any) -> None:
        """Tells the actor with this key. A message that cannot be left is logged: facts are asked, never told."""
        try:
            self.actor(key).tell(message)
        except Refused as no:
            log.warning("system.tell_refused", actor=key, message=type(message).__name__, refusal=str(no))

    def spawn(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Starts a task in the name of the request that is being handled; what it raises is logged and ends only it."""
        self._start(_errand, current_correlation_id(), work, args)

    def _start(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        # What lives on in the node must not log in the name of the request that began it.
        contextvars.Context().run(self._nursery.start_soon, work, *args)

    # -- waking --------------------------------------------------------------------------------------------------------

    async def wake(self, keys: Iterable[str]) -> None:
        """Brings these actors into memory, a bounded number at a time; returns once each is ready or in quarantine."""
        async with trio.open_nursery() as nursery:
            for key in keys:
                await self._waking.acquire()
                nursery.start_soon(self._wake, key)

    async def _wake(self, key: str) -> None:
        self.watermarks.saw(WAKING, WAKING.limit - self._waking.value)
        try:
            actor = self.actor(key)
            actor.needed = True
            await actor.ready.wait()
        except Refused:
            pass  # it is in quarantine: there is nothing to wake
        finally:
            self._waking.release()

    async def _wake_sleepers(self) -> None:
        """Brings back those whose deadline has passed, the first due first."""
        while True:
            await self._sleepers.until_due()
            await self._waking.acquire()
            key = self._sleepers.due()
            if key is None:  # a message was faster
                self._waking.release()
            else:
                self.actor(key)
                self._start(self._wake, key)

    # -- one actor's lives ---------------------------------------------------------------------------------------------

    async def _keep_alive(self, actor: Actor) -> None:
        policy = self._policies[_kind(actor.key)]
        failures = Failures(policy)
        while True:
            try:
                await actor.run(policy.rest_after_s)
            except Exception as error:
                log.exception("actor.failed", actor=actor.key, error=type(error).__name__)
                envelope, wait_s = actor.drop_in_hand(_broken()), failures.backoff(error, trio.current_time())
                if wait_s is None:
                    self._put_aside(actor, error, envelope.message if envelope else None)
                    return
                await trio.sleep(wait_s)
            else:
                self._let_go(actor)
                return

    def _let_go(self, actor: Actor) -> None:
        """Forgets an actor that rests, but for its deadline. No message can come between its end and this."""
        del self._actors[actor.key]
        actor.leave()
        until = actor.deadline()
        if until is not None:
            self._sleepers.put(actor.key, until)

    # -- quarantine ----------------------------------------------------------------------------------------------------

    async def recall(self) -> None:
        """Remembers whom an earlier life of the node has put aside: each is tried again under its policy."""
        self._on_trial = {case.actor for case in await self.quarantine.cases() if not case.message}

    def release(self, key: str) -> None:
        """Lets an actor in quarantine work again, from its journal on."""
        self.quarantined.discard(key)

    def _put_aside(self, actor: Actor, error: Exception, message: Any | None) -> None:
        self.quarantined.add(actor.key)
        del self._actors[actor.key]
        actor.refuse_waiting(_quarantined(actor.key))
        actor.leave()
        log.error("actor.quarantined", actor=actor.key, error=type(error).__name__)
        self._start(_errand, None, self._keep_case, (actor.key, error, message))

    async def _keep_case(self, key: str, error: Exception, message: Any | None) -> None:
        case = case_of(key, self.clock.now(), error, message)
        while True:
            try:
                return await self.quarantine.keep(case)
            except Refused as no:
                log.warning("system.case_not_kept_yet", actor=key, refusal=str(no))
                await trio.sleep(RETRY_S)

    async def _try(self, actor: Actor) -> None:
        """Closes the case of an actor that no message broke, once it is ready again."""
        await actor.ready.wait()
        if actor.needed and actor.key not in self.quarantined:
            self._on_trial.discard(actor.key)
            log.info("actor.works_again", actor=actor.key)
            await self.quarantine.drop(actor.key)

    # -- the end -------------------------------------------------------------------------------------------------------

    async def drain(self, deadline_s: float) -> bool:
        """Waits until no actor has anything in hand or waiting; whether that was reached within the deadline."""
        with trio.move_on_after(deadline_s):
            # Polled: once in the life of a node, and no actor need know of it.
            while any(actor.waiting or actor.in_hand for actor in self):  # noqa: ASYNC110
                await trio.sleep(DRAIN_POLL_S)
            return True
        return False


def _kind(key: str) -> str:
    return key.partition("/")[0]
