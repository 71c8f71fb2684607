"""The connector that a start needs, held while it is being asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actors.context import Context
from actors.station_messages import Hold, Release


@asynccontextmanager
async def holding(context: Context, station: str, hold: Hold) -> AsyncIterator[int]:
    """The connector that is held while its start is being asked for; let go again if the asker is refused, or leaves.

    Raises `Refused` (409) if none is free.
    """
    try:
        yield await context.system.ask(station, hold)
    except BaseException:
        # Whoever leaves does not know what became of the start: the station looks before it lets go.
        context.system.tell(station, Release(hold.transaction))
        raise
