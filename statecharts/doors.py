"""The doors that apps and operators knock at: what they may ask, and what they are shown.

REST is in front of them, the roles of `actors` stand behind. What is shown of a transaction is in `ports`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol, Unpack

import msgspec

from statecharts.audit import AuditTrail
from statecharts.cards import CardDoor
from statecharts.fleet_door import FleetDoor
from statecharts.meters import Reading
from statecharts.peers_door import PeersDoor
from statecharts.ports import (
    AuthorizationRequest,
    CdrView,
    Change,
    Moment,
    Page,
    Principal,
    TransactionView,
)
from statecharts.searches import CdrSearch, TransactionSearch
from statecharts.station_commands import StationCommand
from statecharts.timeline import Timeline
from statecharts.vocabulary import LocalService, Location, ServiceType, Value
from statecharts.webhooks_door import WebhooksDoor

# -- apps --------------------------------------------------------------------------------------------------------------


class FirstAnswer(Value, frozen=True, kw_only=True):
    """What an app was answered under an Idempotency-Key. `request` is the digest of what it had asked."""

    request: bytes
    status: int
    headers: dict[str, str]
    body: bytes


class FirstAnswers(Protocol):
    """Remembers first answers for a time. `key` is unique within an app."""

    async def find(self, app: str, key: str) -> FirstAnswer | None: ...

    def keep(self, app: str, key: str, answer: FirstAnswer) -> None:
        """Remembers from now on; over a crash from a little later on."""


class LocalServicesFound(Value, frozen=True, kw_only=True):
    """Local services of all Destinations asked, nearest first, and why some did not answer (pmsIdentifier -> cause)."""

    local_services: tuple[LocalService, ...]
    unanswered: dict[str, str] = msgspec.field(default_factory=dict)


class CoursePoint(Value, frozen=True, kw_only=True):
    """What the meter of a charge had shown by then, since its start."""

    at: Moment
    energy_wh: int


class AppDoor(Protocol):
    """What user apps may ask of a Source. All methods raise `Refused`; an app sees only its users' transactions."""

    async def authorize(self, principal: Principal, request: AuthorizationRequest) -> TransactionView:
        """Asks the Destination and returns the transaction in Ready; refusals of either operator are raised."""

    async def start(
        self, principal: Principal, transaction_id: str, idempotency_key: str | None
    ) -> TransactionView: ...

    async def stop(self, principal: Principal, transaction_id: str, idempotency_key: str | None) -> TransactionView: ...

    async def transaction(self, principal: Principal, transaction_id: str) -> TransactionView: ...

    async def by_authorization(self, principal: Principal, authorization_identifier: str) -> TransactionView:
        """The newest transaction with this authorizationIdentifier among those the principal may see."""

    async def transactions(
        self, principal: Principal, *, state: str | None, user_identifier: str | None, cursor: str | None, limit: int
    ) -> Page[TransactionView]: ...

    async def newest(self, principal: Principal, transaction_id: str) -> Change:
        """The transaction as it is now, and since which position."""

    def changes(self, principal: Principal, transaction_id: str, seen: int) -> AsyncIterator[Change | None]:
        """The transaction now (unless it stands since position `seen`) and after each change; None is a keep-alive.

        Ends when the transaction reaches a final state or the node drains.
        """

    async def course(self, principal: Principal, transaction_id: str) -> tuple[CoursePoint, ...]:
        """The energy of a charge over time, as far as its Destination has told; at most `COURSE_POINTS`."""

    async def position(self) -> int:
        """Where the journal ends now."""

    def feed(self, principal: Principal, after: int) -> AsyncIterator[Change | None]:
        """Every transaction that the principal may see and that changed after this position, as it is then.

        In order of position, without a gap or a double, then as they change; one that changes faster than it is read
        is given as it is then. None is a keep-alive. Ends when the node drains.
        """

    async def local_services(
        self,
        principal: Principal,
        *,
        location: Location,
        radius_m: int,
        service_types: tuple[ServiceType, ...],
        destinations: tuple[str, ...],
    ) -> LocalServicesFound:
        """Asks the named Destinations (none named: every trusted one) at once, within the configured deadline."""

    async def local_service(self, principal: Principal, destination: str, identifier: str) -> LocalService: ...


# -- operators ---------------------------------------------------------------------------------------------------------


class StationOperation(Value, frozen=True, kw_only=True):
    """A command that an operator (`by`) gave to a station, and what has become of it; `request` is the command.

    `state` is Asked (not answered yet), Waiting (for what it `waits_for`, `until` then), Succeeded, Failed or Unknown.
    `verdict`, `status` and `data` are the station's answer, `progress` what it has reported since; `cause` says why it
    has failed, or why nobody knows; `transaction` is the charge that began or ended by it, as role/transaction_id.
    """

    id: str
    station: str
    command: str
    request: dict[str, Any]
    by: str
    state: str
    asked_at: Moment
    changed_at: Moment
    waits_for: str | None = None
    until: Moment | None = None
    verdict: str | None = None
    status: str | None = None
    progress: str | None = None
    cause: str | None = None
    transaction: str | None = None
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class OrphanView(Value, frozen=True, kw_only=True):
    """What a station reported that belongs to no transaction we know; `report` is the whole of it, `why` what it lacks.

    `state` is open, joined (its transaction was found), assigned or dismissed (by an operator, `decided_by`).
    """

    id: int
    station: str
    kind: str
    at: Moment
    report: dict[str, Any]
    why: str
    state: str
    decided_at: Moment | None = None
    decided_by: str | None = None
    reason: str | None = None
    transaction: str | None = None


class QuirkView(Value, frozen=True, kw_only=True):
    """What the stations of one vendor and model do that OCPP does not allow, counted since the node started.

    `what` is odd about messages of this `action`; `handling` says what was done with them: taken, taken-in-part (the
    rest is among the orphans), unreadable (refused, and among the orphans) or refused. `example` is the payload of the
    first one.
    """

    vendor: str
    model: str
    action: str
    what: str
    handling: str
    times: int
    stations: int
    first_at: Moment
    last_at: Moment
    example: str


class Notice(Value, frozen=True):
    """Something has changed: read it again. `resource` is as in the API's paths, without an `id` it is of several.

    The id of transactions is "role/transaction"; "everything" stands for more than could be told one by one.
    """

    resource: str
    id: str = ""


class LogEntryView(Value, frozen=True, kw_only=True):
    """What a station reported beside charging; `kind` is the report's, of a plain one its OCPP action."""

    id: int
    kind: str
    at: Moment
    report: dict[str, Any]


class QuarantineView(Value, frozen=True, kw_only=True):
    """A part of the node that was put aside because it failed again and again. `actor` is "kind/name".

    `message` is what broke it, absent where it failed by itself. `at_work`: the node was restarted and it works again,
    only the message is still to be decided on.
    """

    actor: str
    at: Moment
    error: str
    at_work: bool
    message_type: str | None = None
    message: Any = None


class OperatorDoor(FleetDoor, CardDoor, PeersDoor, WebhooksDoor, Protocol):
    """What an operator may see and do. Every method raises `Refused`; callers have checked that it is an operator.

    In `trail` they write down who comes through this door to change something, before they let him.
    """

    @property
    def trail(self) -> AuditTrail: ...

    async def last_open_session(self) -> TransactionView | None:
        """The newest transaction of the Destination role that is not final, else the newest of all."""

    async def transactions(
        self, *, cursor: str | None, limit: int, **search: Unpack[TransactionSearch]
    ) -> Page[TransactionView]:
        """Those that are searched for, newest first; times of the search are the machine's."""

    async def transaction(self, role: str, identifier: str) -> TransactionView: ...

    async def timeline(self, role: str, identifier: str) -> Timeline:
        """What happened to a transaction through REST, SOAP and OCPP, and what was sent for it, in order."""

    async def position(self) -> int:
        """Where the journal ends now."""

    def feed(self, role: str | None, after: int) -> AsyncIterator[Change | None]:
        """The same as an app's, of every user and of one role or all."""

    def notices(self) -> AsyncIterator[tuple[Notice, ...]]:
        """What changes from now on, some at a time; none of them says that all is quiet. Ends when the node drains."""

    async def cdrs(self, *, cursor: str | None, limit: int, **search: Unpack[CdrSearch]) -> Page[CdrView]:
        """The charge records that are searched for, the one that ended last first."""

    async def orphans(
        self, *, station: str | None, kind: str | None, state: str, cursor: str | None, limit: int
    ) -> Page[OrphanView]:
        """What stations reported that belongs to no transaction, newest first; None stands for any."""

    async def orphan(self, orphan_id: int) -> OrphanView: ...

    async def assign_orphan(self, orphan_id: int, role: str, transaction: str, by: str) -> OrphanView:
        """Gives an orphan to the transaction that it is of; it counts there as if its station had said so."""

    async def dismiss_orphan(self, orphan_id: int, reason: str, by: str) -> OrphanView: ...

    async def quirks(
        self, *, station: str | None, vendor: str | None, model: str | None, cursor: str | None, limit: int
    ) -> Page[QuirkView]:
        """What stations do that OCPP does not allow, by vendor and model; None stands for any."""

    async def station_log(
        self, identity: str, *, kind: str | None, cursor: str | None, limit: int
    ) -> Page[LogEntryView]:
        """What a station reported beside charging, of one kind or all, newest first."""

    async def operate(
        self,
        identity: str,
        command: StationCommand,
        by: str,
        *,
        forced: bool = False,
        idempotency_key: str | None = None,
    ) -> StationOperation:
        """Gives a command to a station and returns at once; one that it has said it cannot do only if `forced`.

        Asked again by the same one under the same key it does nothing, and shows the operation as it is; raises
        `Refused` (422) where that was of another command or station.
        """

    async def operations(
        self,
        *,
        station: str | None,
        command: str | None,
        state: str | None,
        by: str | None,
        cursor: str | None,
        limit: int,
    ) -> Page[StationOperation]:
        """What operators have asked of stations, newest first; None stands for any."""

    async def operation(self, operation: str, wait_s: float) -> StationOperation:
        """One of them: as soon as it is over, or as it is after `wait_s` seconds."""

    async def start_local(self, identity: str, connector_id: int, id_tag: str) -> TransactionView:
        """A transaction with no roaming partner, started by the operator: RemoteStart on this connector."""

    async def stop(self, role: str, identifier: str) -> TransactionView:
        """Stops a running destination or local transaction at its station."""

    async def close(self, role: str, identifier: str, reason: str, by: str) -> TransactionView:
        """Ends a running one that no station will end: with the last known meter, marked as estimated."""

    async def quarantine(self, *, cursor: str | None, limit: int) -> Page[QuarantineView]:
        """What was put aside and is not decided on, the oldest first."""

    async def case(self, actor: str) -> QuarantineView: ...

    async def release(self, actor: str, *, hand_over: bool) -> None:
        """Lets it work again; the message that broke it is handed over once more, or dismissed."""


# -- how the node is ---------------------------------------------------------------------------------------------------


class Ailment(Value, frozen=True, kw_only=True):
    """Why the node cannot do its work now: which check has failed, and the reason, fit for anybody's eyes."""

    check: str
    reason: str


class Insight(Protocol):
    """How the node is, for load balancers and monitoring."""

    async def ailments(self) -> tuple[Ailment, ...]:
        """What keeps the node from taking work; nothing where it is ready. Answers within a few seconds."""

    async def readings(self) -> tuple[Reading, ...]:
        """What is looked up rather than counted. What the store cannot tell now is left out."""
