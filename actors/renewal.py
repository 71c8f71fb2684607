"""Certificates of stations that stay connected for months: looked at again and again, as they are when one comes."""

from __future__ import annotations

import trio

from actors.context import Context
from actors.station import StationActor

EVERY_S = 6 * 3600.0


async def renew_certificates(context: Context) -> None:
    """Runs for ever."""
    while True:
        await trio.sleep(EVERY_S)
        for actor in tuple(context.system):
            if isinstance(actor, StationActor) and actor.connection is not None:
                actor.certificates.renew(actor.connection.certificate)
