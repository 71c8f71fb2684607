"""Between tests, which wait, and doors, which promise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from statecharts.promises import Promise

T = TypeVar("T")


def promised(work: Callable[..., Awaitable[T]], *args: object) -> Promise[T]:
    """The promise of what `work(*args)` returns or raises; it runs in a task of its own."""
    promise: Promise[T] = Promise()

    async def run() -> None:
        try:
            promise.set(await work(*args))
        except Exception as error:
            promise.fail(error)

    trio.lowlevel.spawn_system_task(run)
    return promise


async def kept(answer: T | Promise[T]) -> T:
    """The answer itself, once it is there; raises what its promise failed with."""
    if not isinstance(answer, Promise):
        await trio.lowlevel.checkpoint()
        return answer
    settled = trio.Event()
    answer.follow(lambda _: settled.set())
    await settled.wait()
    return answer.result()
