"""Blocked partners: no new business either way, what is under way goes on."""

from __future__ import annotations

from actors.context import Context
from actors.looks import Look
from statecharts.peer import Peer, S
from statecharts.vocabulary import refused


async def refuse_blocked(context: Context, peer: str) -> None:
    """Raises `Refused` (403) if our operator has blocked this partner."""
    data: Peer = await context.system.ask(f"peer/{peer}", Look())
    if data.state == S.BLOCKED:
        raise refused(403, "peer-blocked", f"there is no new business with {peer} at present")
