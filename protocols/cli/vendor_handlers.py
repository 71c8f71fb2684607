"""The functions that answer vendors' messages, as the configuration names them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from protocols.cli.config import Config
from protocols.cli.starter import CannotRun
from statecharts.ports import VendorHandler


def handlers_of(config: Config) -> tuple[tuple[tuple[str, str | None], VendorHandler], ...]:
    """Each handler with its vendorId and messageId. Raises `CannotRun` for one that there is not."""
    return tuple(_handlers(config))


def _handlers(config: Config) -> Iterator[tuple[tuple[str, str | None], VendorHandler]]:
    for number, row in enumerate(config.vendor_handlers):
        try:
            yield (row.vendor_id, row.message_id), entry_point(row.handler)
        except ValueError as error:
            raise CannotRun(f"vendor_handlers.{number}.handler: {error}") from error


def entry_point(name: str) -> VendorHandler:
    """The function of a `module:function`. Raises ValueError, worded for people, where it cannot be had."""
    module, _, function = name.partition(":")
    try:
        found: VendorHandler | None = getattr(importlib.import_module(module), function, None)
    except Exception as error:
        # Somebody else's code, of which the operator has to learn what is wrong with it.
        raise ValueError(f"{module} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise ValueError(f"there is no function {function} in {module}")
    return found
