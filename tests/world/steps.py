"""Which steps of trio's scheduler are a node's: so that it can die at any await, not only where it meets an edge."""

from __future__ import annotations

from collections.abc import Callable

import trio

Cut = Callable[[], None]


class Steps(trio.abc.Instrument):
    """Counts the steps of one node's tasks, from 1, and calls `cut` before the n-th of them.

    A node's tasks are all those that descend from `root`, whoever started them.
    """

    def __init__(self, root: trio.lowlevel.Task, n: int, cut: Cut) -> None:
        self.count = 0
        self._tasks, self._n, self._cut = {root}, n, cut

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        parent = task.parent_nursery and task.parent_nursery.parent_task
        if parent in self._tasks:
            self._tasks.add(task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self._tasks.discard(task)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task in self._tasks:
            self.count += 1
            if self.count == self._n:
                self._cut()
