"""The processes of the demo: started, listened to line by line, and always ended."""

from __future__ import annotations

import signal
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

from protocols.cli.starter import CannotRun
from statecharts.limits import DEMO_LINE, DEMO_LINES_KEPT

END_S = 20.0
"""How long a process may take to end by itself, on a busy machine too; then it is killed."""

Hear = Callable[[str, Mapping[str, Any]], None]


class Processes:
    """Our processes by name. `hear` gets the name and each JSON line; every line stands in `<folder>/<name>.log`."""

    def __init__(self, nursery: trio.Nursery, folder: Path, hear: Hear) -> None:
        self._nursery, self._folder, self._hear = nursery, folder, hear
        self._running: dict[str, trio.Process] = {}
        self._ending = False

    async def start(self, name: str, command: Sequence[str]) -> None:
        """Starts a process. If it ends before `end`, everything ends with a `CannotRun` that shows its last lines."""
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        self._running[name] = process
        self._nursery.start_soon(self._listen, name, process)

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(process.pid for process in self._running.values())

    async def end(self) -> None:
        """Ends all processes, the youngest first, so that stations hang up before their node goes."""
        self._ending = True
        for process in reversed(self._running.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            with trio.move_on_after(END_S):
                await process.wait()
            if process.poll() is None:
                process.kill()
                await process.wait()

    async def _listen(self, name: str, process: trio.Process) -> None:
        last: deque[str] = deque(maxlen=DEMO_LINES_KEPT.limit)
        # To the end, whatever is cancelled: a process that nobody listens to cannot write that it has drained.
        with trio.CancelScope(shield=True):
            await self._read(name, process, last)
            status = await process.wait()
        if not self._ending:
            said = "\n".join(f"  {line}" for line in last) or "  (it said nothing)"
            raise CannotRun(f"{name} ended with status {status}; its last lines:\n{said}")

    async def _read(self, name: str, process: trio.Process, last: deque[str]) -> None:
        assert process.stdout is not None
        with (self._folder / f"{name}.log").open("wb") as log:
            async for line in lines_of(process.stdout):
                log.write(line + b"\n")
                log.flush()
                last.append(line.decode(errors="replace"))
                self._tell(name, line)

    def _tell(self, name: str, line: bytes) -> None:
        try:
            record = msgspec.json.decode(line)
        except msgspec.DecodeError:
            return
        if isinstance(record, dict):
            self._hear(name, record)


async def lines_of(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    """The lines of a stream without their ends; one without an end is cut at `limits.DEMO_LINE`."""
    rest = b""
    async for chunk in stream:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > DEMO_LINE.limit:
            yield rest
            rest = b""
    if rest:
        yield rest


@asynccontextmanager
async def open_processes(folder: Path, hear: Hear) -> AsyncIterator[Processes]:
    """Processes that have ended when the block has, however it ends."""
    async with trio.open_nursery() as nursery:
        processes = Processes(nursery, folder, hear)
        try:
            yield processes
        finally:
            with trio.CancelScope(shield=True):
                await processes.end()
