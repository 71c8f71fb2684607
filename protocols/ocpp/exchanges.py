"""The two shapes that nearly all exchanges have: a report that is acknowledged, and a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from protocols.ocpp.dialect import Content, Exchange, outcome_of, write_confirmation
from protocols.ocpp.mending import Leniency
from statecharts.vocabulary import Acknowledgement

Write = Callable[[Any], Content]
Read = Callable[[Any], Any]


def notification(
    action: str,
    request: type[Any],
    write: Write,
    read: Read,
    *,
    says: Callable[[Any], bool] = lambda report: True,
    open_words: frozenset[str] = frozenset(),
    mended: Leniency | None = None,
) -> Exchange:
    """A report whose answer says no more than that it has come."""
    return Exchange(
        action=action,
        request=request,
        write_request=write,
        read_request=read,
        write_answer=lambda answer: {},
        read_answer=lambda payload: Acknowledgement(),
        says=says,
        open_words=open_words,
        mended=mended,
    )


def command(
    action: str, request: type[Any], write: Write, read: Read, *, says: Callable[[Any], bool] = lambda command: True
) -> Exchange:
    """A command that is answered by a status word, by fields, or by both."""
    return Exchange(
        action=action,
        request=request,
        write_request=write,
        read_request=read,
        write_answer=write_confirmation,
        read_answer=outcome_of,
        says=says,
    )
