"""A trio world that stands still between two steps of a rule machine.

Hypothesis calls rules one after the other and waits for none; what they drive needs a trio loop that goes on from rule
to rule. So the world lives in a thread of its own, on virtual time that passes only while a step is made of it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Generic, TypeVar

import trio
import trio.testing
from trio.testing import MockClock

W = TypeVar("W")
T = TypeVar("T")


class Stage(Generic[W]):
    """`world` is what `opened` gives, until `close`. A failure of it in the background is raised by the next step."""

    world: W

    def __init__(self, opened: Callable[[trio.Nursery], AbstractAsyncContextManager[W]]) -> None:
        self._opened, self._clock = opened, MockClock()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        # A daemon: what fails before its teardown, as a pasted program does, must not keep the interpreter waiting.
        self._thread = threading.Thread(target=self._run, name="stage", daemon=True)
        self._thread.start()
        self._ready.wait()
        self._raise_failure()

    def step(self, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """What `work(*args)` returns, once all that it set off has come to rest. Time may pass while it waits."""
        try:
            return trio.from_thread.run(self._step, work, args, trio_token=self._token)
        except (trio.RunFinishedError, trio.Cancelled):
            self.close()
            raise AssertionError("the world has ended by itself") from None

    def wait(self, seconds: float) -> None:
        """Lets virtual time pass."""
        self.step(trio.sleep, seconds)

    def close(self) -> None:
        """Ends the world; raises what it failed with."""
        if self._thread.is_alive():
            with suppress(trio.RunFinishedError):
                trio.from_thread.run_sync(self._scope.cancel, trio_token=self._token)
            self._thread.join()
        self._raise_failure()

    async def _step(self, work: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
        self._clock.autojump_threshold = 0
        try:
            return await work(*args)
        finally:
            self._clock.autojump_threshold = math.inf
            with trio.CancelScope(shield=True):
                await trio.testing.wait_all_tasks_blocked()

    def _run(self) -> None:
        try:
            trio.run(self._main, clock=self._clock)
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            self._clock.autojump_threshold = 0
            async with self._opened(nursery) as self.world:
                self._clock.autojump_threshold = math.inf
                await trio.testing.wait_all_tasks_blocked()
                self._ready.set()
                await trio.sleep_forever()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
