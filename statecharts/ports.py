"""What one floor needs of another, as Protocols: node.py hands each side its counterpart.

Doors lead in (a protocol calls them, an actor stands behind them), clients lead out (an actor calls them, a protocol
stands behind them), the world is what tests replace: clock, randomness.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, Protocol, TypeVar

import msgspec

from statecharts.oddities import OddMessage
from statecharts.promises import Promise
from statecharts.station_commands import CallOutcome, StationCommand
from statecharts.station_credentials import Login, Shown, StationCertificate, StationCredentials, TurnedAway
from statecharts.station_reports import DataTransferAnswer, ReportAnswer, StationDataTransfer, StationReport
from statecharts.vocabulary import (
    DestinationRequest,
    PeerOutcome,
    RoamingAnswer,
    RoamingRequest,
    ServiceType,
    SourceRequest,
    Value,
)

T = TypeVar("T")

# -- the world ---------------------------------------------------------------------------------------------------------


class Clock(Protocol):
    """Where times come from. `now` is aware and UTC: wall time at the edge of a node, node time within it."""

    def now(self) -> datetime: ...


class Ids(Protocol):
    """Where fresh identifiers and random numbers come from."""

    def authorization_identifier(self) -> str:
        """12 upper-case hex characters, fresh."""

    def request_identifier(self) -> str:
        """A fresh UUID as text."""

    def jitter(self) -> float:
        """A number in [0, 1)."""


# -- between operators -------------------------------------------------------------------------------------------------


class PeerSeen(Value, frozen=True, kw_only=True):
    """What was seen of a peer beside its answers; None where nothing was.

    `certificate_until` is when the certificate ends that its server showed. `date` is what its clock showed (the Date
    of its newest answer), `dated_s` when that came, in seconds of trio's clock.
    """

    certificate_until: datetime | None = None
    date: datetime | None = None
    dated_s: float = 0.0


class PeerClient(Protocol):
    """Speaks to one peer operator. Never raises for what the peer or the network does: that is the outcome."""

    async def call(self, request: RoamingRequest, timeout_s: float) -> PeerOutcome: ...

    def seen(self) -> PeerSeen:
        """What its newest connection and answer showed."""

    async def aclose(self) -> None: ...


class PeerDirectory(Protocol):
    """Who may knock at our SOAP services."""

    def authenticate(self, username: str, password: bytes, certificate: str | None = None) -> str | None:
        """The pmsIdentifier of the peer with these credentials, None if there is none; takes equal time either way.

        `certificate` is the SHA-256 fingerprint, in hex, of the client certificate that came with them.
        """


class DestinationDoor(Protocol):
    """What a Source may ask of us. Raises `Refused`, which becomes a ResponseError."""

    async def __call__(self, peer: str, request: DestinationRequest) -> RoamingAnswer: ...


class SourceDoor(Protocol):
    """What a Destination may tell us. Raises `Refused`, which becomes a ResponseError."""

    async def __call__(self, peer: str, request: SourceRequest) -> RoamingAnswer: ...


# -- stations ----------------------------------------------------------------------------------------------------------


class StationConnection(Protocol):
    """One live connection of a station, as the central system's actors see it."""

    @property
    def protocol(self) -> str:
        """The OCPP version spoken, as its subprotocol: "ocpp1.6"."""

    @property
    def certificate(self) -> StationCertificate | None:
        """The certificate that the station has shown, verified; None if it showed none."""

    @property
    def login(self) -> Login:
        """By what the station came in."""

    async def call(self, command: StationCommand) -> CallOutcome:
        """Sends a command and waits for its outcome. One at a time: later callers wait in order. Never raises."""

    def close(self, code: int, reason: str) -> None:
        """Closes the WebSocket with this code; running and waiting calls end as UNKNOWN and NEVER_SENT."""


class StationDirectory(Protocol):
    """Which stations there are and what opens them."""

    def credentials(self, identity: str) -> StationCredentials | None:
        """What this station has to show, None where there is no such station."""

    async def introduce(self, identity: str, shown: Shown) -> None:
        """Makes a station known that nobody knows, if it has shown enough and strangers may be; durable, or not at all.

        Raises `Refused` (503) where the store is away.
        """

    def ocpp_version(self, identity: str) -> str | None:
        """The OCPP version that this station is to speak ("1.6"), None where it is left to the station."""


class CertificateAuthority(Protocol):
    """Who signs the certificates that our stations show to us: an authority of our own, or another."""

    @property
    def root(self) -> str:
        """The certificates that vouch for those that it signs, as PEM."""

    def check(self, csr: str, common_name: str) -> None:
        """Raises `Refused` (400) unless this PKCS #10 request, as PEM, may be signed for a station of this name."""

    async def sign(self, csr: str, common_name: str) -> str:
        """The station's certificate and those of its issuers, as PEM. Raises `Refused` where it cannot be had."""


class VendorHandler(Protocol):
    """Answers a vendor's messages (DataTransfer) at the stations of this node.

    A plain function runs in a thread, a coroutine in the node's own loop, which it must not hold up. Whatever it
    raises, or has not answered within 10 s, the station is answered Rejected.
    """

    def __call__(
        self, station: str, message: StationDataTransfer
    ) -> DataTransferAnswer | Awaitable[DataTransferAnswer]: ...


class StationDoor(Protocol):
    """What connections of stations lead into. Nothing here waits: what takes time is promised."""

    def connected(self, identity: str, connection: StationConnection) -> Promise[None]:
        """A station came online. An older connection of the same identity is closed: the newest wins."""

    def reported(
        self, identity: str, connection: StationConnection, report: StationReport
    ) -> ReportAnswer | Promise[ReportAnswer]:
        """The answer to a report, given once what the report says is durable.

        May raise, or the promise fail: then a CALLERROR goes back.
        """

    def odd(self, identity: str, odd: OddMessage) -> Promise[None]:
        """Takes note of a message that breaks the specification; kept once what it promises has come true."""

    def disconnected(self, identity: str, connection: StationConnection) -> None:
        """This connection ended; nothing happens if a newer one has taken its place."""

    def is_charging(self, identity: str) -> bool:
        """Whether a charge goes on at this station, as far as is known without asking: it is let in before others."""

    def turned_away(self, identity: str, event: TurnedAway) -> None:
        """Somebody who claimed to be this station of ours was not let in; told at most once a minute and station."""


class CentralSystem(Protocol):
    """A station's own end: what a simulated station speaks through."""

    async def call(self, report: StationReport) -> ReportAnswer:
        """Reports and waits for the answer. Raises OSError when the connection is gone, TimeoutError without answer."""

    async def next_command(self) -> IncomingCommand:
        """The next command from the central system. Raises OSError when the connection is gone."""

    async def aclose(self) -> None: ...


class IncomingCommand(Protocol):
    @property
    def command(self) -> StationCommand: ...

    async def answer(self, status: str, data: dict[str, Any] | None = None) -> None:
        """Answers with the command's own status word ("Accepted"), and its other fields where it has any."""

    async def refuse(self) -> None:
        """Answers that this station does not do such a thing: a CALLERROR NotSupported."""


# -- apps and operators ------------------------------------------------------------------------------------------------


class Rank(StrEnum):
    """What an operator may do: a viewer looks, an operator commands and decides, an admin may do everything."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Principal(Value, frozen=True, kw_only=True):
    """Who speaks at our REST APIs or through our pages. `users` None stands for every user, an operator for each."""

    name: str
    users: frozenset[str] | None = None
    operator: bool = False
    rank: Rank = Rank.ADMIN

    def may_act_for(self, user_identifier: str) -> bool:
        return self.operator or self.users is None or user_identifier in self.users


class Tokens(Protocol):
    def principal(self, token: str) -> Principal | None:
        """Whose bearer token this is; compared in constant time."""


class AuthorizationRequest(Value, frozen=True, kw_only=True):
    """An app asks for a charge (or a parking) of one of its users at another operator's local service.

    `idempotency_key`: the same key from the same app gets the first answer again, with nothing done twice.
    """

    user_identifier: str
    destination: str
    local_service_identifier: str
    connector_identifier: str | None = None
    service_type: ServiceType = ServiceType.EV_CHARGING
    idempotency_key: str | None = None


Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class OperationView(Value, frozen=True, kw_only=True):
    """A start or a stop that an app asked for. `status` is pending, succeeded or failed."""

    request_identifier: str
    kind: str
    status: str
    requested_at: Moment
    waits_for: str | None = None
    until: Moment | None = None
    cause: str | None = None


class CdrView(Value, frozen=True, kw_only=True):
    """A charge record as one of the two operators holds it."""

    cdr_id: str
    pms_identifier: str
    authorization_identifier: str
    local_service_identifier: str
    user_identifier: str
    start_timestamp: Moment
    end_timestamp: Moment
    energy_wh: int | None
    status: str
    flags: tuple[str, ...] = ()


class WaitingView(Value, frozen=True, kw_only=True):
    """Why a transaction is open: `owner` has to do what it `awaits`, `until` something is done about it otherwise.

    `code` is what is awaited, for programs. It is so `since` the state began; station or partner were last `heard_at`.
    What an operator `may` do about it: stop, close, replay (a dead letter), release (from quarantine).
    """

    owner: str
    awaits: str
    code: str
    until: Moment | None = None
    since: Moment | None = None
    heard_at: Moment | None = None
    may: tuple[str, ...] = ()


class TransactionView(Value, frozen=True, kw_only=True):
    """A transaction as REST shows it: `transaction_id` is ours alone, `authorization_identifier` shared with the peer.

    `role` is source, destination or local; `pms_identifier` the partner (absent for local); `version` counts changes.
    `waiting` is there for operators who look at one that is open.
    """

    transaction_id: str
    role: str
    state: str
    version: int
    created_at: Moment
    changed_at: Moment
    user_identifier: str
    local_service_identifier: str
    pms_identifier: str | None = None
    connector_identifier: str | None = None
    service_type: ServiceType = ServiceType.EV_CHARGING
    authorization_identifier: str | None = None
    request_identifier: str | None = None
    station_transaction_id: int | None = None
    expires_at: Moment | None = None
    start_timestamp: Moment | None = None
    end_timestamp: Moment | None = None
    meter_start_wh: int | None = None
    meter_stop_wh: int | None = None
    energy_wh: int | None = None
    cause: str | None = None
    flags: tuple[str, ...] = ()
    operations: tuple[OperationView, ...] = ()
    cdr: CdrView | None = None
    waiting: WaitingView | None = None


class Page(Value, Generic[T], frozen=True, kw_only=True):
    """Some of a list. `next_cursor` fetches the following ones and is absent on the last page."""

    items: tuple[T, ...]
    next_cursor: str | None = None


class Change(Value, frozen=True, kw_only=True):
    """A transaction as it stands since `position`, the place in the journal of the fact that made it so."""

    position: int
    transaction: TransactionView


# -- identity ----------------------------------------------------------------------------------------------------------


class UserCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a user may charge now, at that operator. `refusal_message` says why not.

    A card may belong to a `group`, whose cards may stop each other's charges, and have a moment when it expires.
    """

    allowed: bool
    refusal_message: str = ""
    blocked: bool = False
    expired: bool = False
    expires_at: datetime | None = None
    group: str | None = None


class IdentityService(Protocol):
    """Who our users are. The shipped one reads the configuration; another may ask a directory."""

    async def check_user(self, user_identifier: str, service_operator: str, now: datetime) -> UserCheck: ...

    async def check_id_tag(self, id_tag: str, now: datetime) -> UserCheck:
        """The same for an RFID card at one of our own stations; idTags compare without regard to case."""
