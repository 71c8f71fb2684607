"""How a node writes its log: one line each on stderr, for people or for log collectors."""

from __future__ import annotations

import sys
from typing import Any

import structlog


def set_up_logs(form: str, level: str) -> None:
    """`form` is json or console, `level` the least severe one written. stdout belongs to the command."""
    colors = sys.stderr.isatty()  # escape codes are noise in a file
    renderer: Any = structlog.dev.ConsoleRenderer(colors=colors)
    if form == "json":
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,  # else each line, even one that is not written, makes a logger of its own
    )
