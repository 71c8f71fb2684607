"""While a world runs, nothing reaches out of it: no socket, file, thread or process, no time or chance but its own.

Our own code is not let out at all: a call is a failure of the run. Libraries get the world's time and the world's
chance in the place of the machine's. Python's audit hooks cannot be taken away again, so there is one for the process,
which looks only while a world runs.
"""

from __future__ import annotations

import logging
import os
import random
import re
import secrets
import sys
import threading
import time
import tokenize
import uuid
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import structlog
import trio

from tests.world.ground import EPOCH

OURS = frozenset({"actors", "node", "protocols", "statecharts", "tests"})

_FORBIDDEN = frozenset(
    {"socket.__new__", "socket.bind", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.fork"}
    | {"os.system", "open", "sqlite3.connect"}
)

# What changes nothing: modules that are imported, lines of source for a traceback, the schema of an OCPP action
_READERS = frozenset({"<frozen importlib._bootstrap_external>", tokenize.__file__})
_SCHEMAS = re.compile(r"/ocpp/v\d+/schemas/")


class ReachedOut(AssertionError):
    """Something in a world has touched what is outside of it."""


Report = Callable[[str], None]

_watched_by: list[Report] = []


@contextmanager
def sealed(chance: random.Random, report: Report) -> Iterator[None]:
    """Lets nothing out of the block; what tries is told to `report`, and raises `ReachedOut`."""
    _install()
    _watched_by.append(report)
    try:
        with ExitStack() as stack:
            for module, name, instead in _replacements(chance):
                stack.enter_context(
                    patch.object(module, name, _only_for_libraries(f"{module.__name__}.{name}", instead))
                )
            stack.enter_context(patch.object(threading.Thread, "start", _no_thread))
            yield
    finally:
        _watched_by.pop()


def _no_thread(thread: threading.Thread) -> None:
    _complain(f"a thread: {thread.name}")  # before Python 3.12 no audit hook hears of threads


def _replacements(chance: random.Random) -> Iterator[tuple[Any, str, Callable[..., Any]]]:
    yield time, "time", lambda: EPOCH.timestamp() + trio.current_time()
    yield time, "monotonic", trio.current_time
    yield os, "urandom", chance.randbytes
    yield uuid, "uuid4", lambda: uuid.UUID(int=chance.getrandbits(128), version=4)
    for name in ("random", "uniform", "randint", "randrange", "choice", "shuffle", "getrandbits", "randbytes"):
        yield random, name, getattr(chance, name)
    yield secrets, "token_bytes", chance.randbytes
    yield secrets, "token_hex", lambda count: chance.randbytes(count).hex()


def _only_for_libraries(name: str, instead: Callable[..., Any]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        caller = str(sys._getframe(1).f_globals.get("__name__", ""))
        if caller.partition(".")[0] in OURS:
            _complain(f"{caller} called {name}")
        return instead(*args, **kwargs)

    return called


def _complain(what: str) -> None:
    _watched_by[-1](what)
    raise ReachedOut(what)


def _install() -> None:
    if not _installed:
        _installed.append(True)
        sys.addaudithook(_look)


_installed: list[bool] = []


def _look(event: str, args: tuple[Any, ...]) -> None:
    if _watched_by and event in _FORBIDDEN and not _is_harmless(event, args):
        _complain(f"{event} {args}")


def _is_harmless(event: str, args: tuple[Any, ...]) -> bool:
    if event == "sqlite3.connect":
        return args[0] == ":memory:" or "vfs=memdb" in str(args[0])
    return event == "open" and (bool(_SCHEMAS.search(str(args[0]))) or sys._getframe(2).f_code.co_filename in _READERS)


# -- logs --------------------------------------------------------------------------------------------------------------


@contextmanager
def logs_to(note: Callable[[str], None]) -> Iterator[None]:
    """Within the block no log is written; errors are noted, in a line each."""

    def keep(_logger: object, level: str, entry: MutableMapping[str, Any]) -> Any:
        entry.pop("exc_info", None)
        note(f"{level} {entry.pop('event')} {entry}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        structlog.configure(**before)
