"""An answer that comes later: what a door gives back that cannot answer at once, without a task that waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Promise(Generic[T]):
    """Settled once, by whoever has the answer; the first word counts. Followers hear of it then, or at once.

    A follower runs in the task of whoever settles the promise, and must not raise.
    """

    __slots__ = ("_error", "_followers", "_value", "settled")

    def __init__(self) -> None:
        self.settled = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._followers: tuple[Callable[[Promise[T]], None], ...] = ()

    def __repr__(self) -> str:
        return f"<Promise {'settled' if self.settled else 'open'}>"

    def set(self, value: T) -> None:
        """Gives the answer."""
        if not self.settled:
            self._value = value
            self._settle()

    def fail(self, error: BaseException) -> None:
        """Says that there will be no answer, and why."""
        if not self.settled:
            self._error = error
            self._settle()

    def _settle(self) -> None:
        self.settled = True
        followers, self._followers = self._followers, ()
        for told in followers:
            told(self)

    def result(self) -> T:
        """The answer of a settled promise; raises what it failed with."""
        assert self.settled, "nobody looks before it is settled"
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]

    def follow(self, told: Callable[[Promise[T]], None]) -> None:
        """Calls `told` with this promise once it is settled: now, if it is already."""
        if self.settled:
            told(self)
        else:
            self._followers += (told,)

    def then(self, turn: Callable[[T], U], otherwise: Callable[[Exception], Promise[U]] | None = None) -> Promise[U]:
        """The promise of what `turn` makes of the answer; it fails with this one, or with what `turn` raises.

        `otherwise` may know what to do where this one fails: it gives another promise, or raises.
        """
        turned: Promise[U] = Promise()

        def told(promise: Promise[T]) -> None:
            try:
                turned.set(turn(promise.result()))
            except Exception as error:
                turned._rescue(error, otherwise)

        self.follow(told)
        return turned

    def _rescue(self, error: Exception, otherwise: Callable[[Exception], Promise[T]] | None) -> None:
        if otherwise is None:
            self.fail(error)
            return
        try:
            otherwise(error).follow(self._adopt)
        except Exception as another:
            self.fail(another)

    def _adopt(self, other: Promise[T]) -> None:
        try:
            self.set(other.result())
        except Exception as error:
            self.fail(error)
