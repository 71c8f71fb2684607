"""fsync(2) that fails with EIO, in one thread and nowhere else: a filter of system calls (seccomp) that it puts on.

A thread keeps its filter for the rest of its life: work that is to fail gets a thread of its own, which ends with it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import trio

T = TypeVar("T")

SYNCS = {"x86_64": (74, 75), "aarch64": (82, 83)}
"""The numbers of fsync and fdatasync in Linux."""

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _FILTER_MODE = 22, 38, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000 | errno.EIO


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("then", ctypes.c_ubyte), ("otherwise", ctypes.c_ubyte),
                ("value", ctypes.c_uint))  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def why_not() -> str | None:
    """Why syncs cannot be made to fail here; None if they can."""
    if platform.system() != "Linux" or platform.machine() not in SYNCS:
        return "only Linux on x86_64 and aarch64 lets a thread filter its own system calls as it is done here"
    try:
        _alone(_fail_syncs, ())
    except OSError as error:
        return f"this machine lets no thread filter its system calls: {error.strerror}"
    return None


def _fail_syncs() -> None:
    fsync, fdatasync = SYNCS[platform.machine()]
    instructions = (_Instruction * 5)(
        _Instruction(_LOAD, 0, 0, 0),
        _Instruction(_JUMP_IF_EQUAL, 1, 0, fsync),
        _Instruction(_JUMP_IF_EQUAL, 0, 1, fdatasync),
        _Instruction(_RETURN, 0, 0, _FAIL),
        _Instruction(_RETURN, 0, 0, _ALLOW),
    )
    program = _Program(len(instructions), instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0)):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _alone(work: Callable[..., T], args: tuple[Any, ...]) -> T:
    """What the work gives or raises, done in a thread that begins and ends with it, where no sync succeeds."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            _fail_syncs()
            found.append(work(*args))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


class FailingSyncs:
    """A `RunSync` whose next pieces of work find that nothing can be synced: as many as `failing` says."""

    def __init__(self) -> None:
        self.failing = 0
        self._one = trio.CapacityLimiter(1)

    async def __call__(self, work: Callable[..., T], *args: Any) -> T:
        if self.failing:
            self.failing -= 1
            return await trio.to_thread.run_sync(_alone, work, args, limiter=self._one)
        return await trio.to_thread.run_sync(work, *args, limiter=self._one)
