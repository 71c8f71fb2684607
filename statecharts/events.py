"""What charts react to, in two kinds, and what they want done.

A `Fact` has happened, whether anybody likes it or not: it is never refused. A `Command` is asked for and may be
refused. Effects come in two kinds as well: durable ones are written in the same transaction as the fact that causes
them, live ones are carried out only once that transaction is on disk.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from statecharts.station_commands import CallOutcome, StationCommand
from statecharts.vocabulary import Message, RoamingRequest, SourceRequest


class Event(Message, frozen=True, kw_only=True):
    """`at` is when this node learned of it, aware and UTC; `correlation_id` follows one request through every log.

    `at` is node time, which goes on evenly: all that is waited for is counted by it. `ahead_s` is how far the machine's
    clock was ahead of it then; 0 where that was never set.
    """

    at: datetime
    ahead_s: float = 0
    correlation_id: str | None = None

    @property
    def wall_at(self) -> datetime:
        """When it was by the machine's clock: for the eyes of others."""
        return self.at + timedelta(seconds=self.ahead_s)


class Fact(Event, frozen=True, kw_only=True):
    """Something that has happened; named in the past tense."""


class Command(Event, frozen=True, kw_only=True):
    """Something that is asked for; named in the imperative or as a request."""


class DeadlineReached(Command, frozen=True, kw_only=True):
    """The deadline of the current state has passed."""


class NodeRestarted(Command, frozen=True, kw_only=True):
    """The actor was rebuilt from its journal: whatever ran in memory is gone."""


# -- effects -----------------------------------------------------------------------------------------------------------


class Effect(Message, frozen=True, kw_only=True):
    """Something a decision wants done."""


class Deliver(Effect, frozen=True, kw_only=True):
    """Durable: owe `message` to `peer`. `message_id` is unique for ever; a command is never sent after `expires_at`."""

    peer: str
    message_id: str
    message: RoamingRequest
    expires_at: datetime | None = None


class BindAlias(Effect, frozen=True, kw_only=True):
    """Durable: let (scope, name) name this actor, for ever and for no other."""

    scope: str
    name: str


class AskPeer(Effect, frozen=True, kw_only=True):
    """Live: ask the peer once and never again; the outcome comes back as an event."""

    peer: str
    request: RoamingRequest
    timeout_s: float


class CommandStation(Effect, frozen=True, kw_only=True):
    """Live: send a command to a station, at most once; its outcome comes back as `StationAnswered`."""

    station: str
    command: StationCommand
    purpose: str


class SendProgress(Effect, frozen=True, kw_only=True):
    """Live: tell the peer how far it is; a newer one supersedes it, none is queued up."""

    peer: str
    message: SourceRequest


class ReleaseConnector(Effect, frozen=True, kw_only=True):
    """Live: the start that held a connector of this station is over, or the charge on it."""

    station: str


class LookAfterCharge(Effect, frozen=True, kw_only=True):
    """Live: nothing was heard of the charge for long; its station may show that it goes on (`StationConfirmed`)."""

    station: str


class StationAnswered(Fact, frozen=True, kw_only=True):
    """What became of a command sent to the station; `purpose` is the one it was sent with."""

    purpose: str
    outcome: CallOutcome
