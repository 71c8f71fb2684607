"""Counts what goes to partners and what comes from them, around the door and the client that do the work."""

from __future__ import annotations

from typing import Any

from protocols.mobieurope.contract import operation_of
from statecharts.meters import Tally
from statecharts.ports import PeerClient, PeerSeen
from statecharts.vocabulary import Answered, Declined, PeerOutcome, Refused, RoamingAnswer, RoamingRequest, Unanswered

_IN_WORDS: dict[type[PeerOutcome], str] = {Answered: "answered", Declined: "declined", Unanswered: "unanswered"}


class CountedDoor:
    """A door behind which every message is counted by its operation: answered, refused, or a fault of ours."""

    def __init__(self, door: Any, received: Tally) -> None:
        self._door, self._received = door, received

    async def __call__(self, peer: str, request: Any) -> RoamingAnswer:
        outcome = "fault"
        try:
            answer: RoamingAnswer = await self._door(peer, request)
            outcome = "answered"
        except Refused:
            outcome = "refused"
            raise
        finally:
            self._received.add(operation_of(type(request)), outcome)
        return answer


class CountedClient:
    """A `statecharts.ports.PeerClient` whose attempts are counted by their operation and what came of them."""

    def __init__(self, client: PeerClient, sent: Tally) -> None:
        self._client, self._sent = client, sent

    def __repr__(self) -> str:
        return repr(self._client)

    async def call(self, request: RoamingRequest, timeout_s: float) -> PeerOutcome:
        """As the client's own."""
        outcome = await self._client.call(request, timeout_s)
        self._sent.add(operation_of(type(request)), _IN_WORDS[type(outcome)])
        return outcome

    def seen(self) -> PeerSeen:
        return self._client.seen()

    async def aclose(self) -> None:
        await self._client.aclose()
