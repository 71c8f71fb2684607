"""What was seen at the edges of a simulated world: the only thing that its checkers read, and what `replay` prints.

A history is a list of sights in the order in which they happened, each with its virtual time and where it was seen.
Nothing in it comes from inside an actor: rows as the disk took them, requests and answers as the network carried them,
OCPP frames as they passed between a station's WebSocket and its calls, charges as the station itself metered them, and
what the world did to everybody. `Finals` are the stores as they stand once the world has drained.

An HTTP exchange is seen at four moments, of which any but the first may be missing or come several times:
`RequestSent`, `RequestArrived`, `AnswerSent`, `AnswerArrived`; a frame at two, `FrameSent` and `FrameArrived`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tests.world.envelopes import soap_names


class Sight(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="sight", omit_defaults=True):
    """Something seen. `at` is virtual time in seconds since the world began, `who` where it was seen or who did it."""

    at: float
    who: str

    def words(self) -> str:
        """What a reader of the timeline wants to know of it."""
        names = [name for name in self.__struct_fields__ if name not in ("at", "who")]
        return " ".join(f"{name}={getattr(self, name)}" for name in names if getattr(self, name) not in (None, ""))


# -- the world itself --------------------------------------------------------------------------------------------------


class WorldBegan(Sight, frozen=True, kw_only=True):
    """Always the first. `stations` says whose each is, `connectors` how many it has; `epoch` is the wall time (ISO
    8601) at `at` 0; `plan` is all that the world was told to be, for people and for playing it again.
    """

    seed: int
    operators: tuple[str, ...]
    stations: dict[str, str]
    connectors: dict[str, int]
    epoch: str
    plan: dict[str, Any] = msgspec.field(default_factory=dict)

    def words(self) -> str:
        return f"seed {self.seed}: {', '.join(self.operators)}; plan {self.plan}"


class FaultsEnded(Sight, frozen=True, kw_only=True):
    """From here on the world only drains."""


class WorldEnded(Sight, frozen=True, kw_only=True):
    """Always the last. `drained` says whether everything that was owed had been delivered by then."""

    drained: bool


class FaultInjected(Sight, frozen=True, kw_only=True):
    """The world did something to `who`: `kind` is a short slug ("drop-answer", "partition", "disk-full")."""

    kind: str
    detail: str = ""


class DriverDid(Sight, frozen=True, kw_only=True):
    """Something that a driver, an app's user or an operator did there, for the timeline."""

    what: str


class UserBlocked(Sight, frozen=True, kw_only=True):
    """From here on the operator `who` lets this user do nothing new."""

    user: str


class PeerBlocked(Sight, frozen=True, kw_only=True):
    """From here on the operator `who` does no new business with this partner; with `blocked` false, again."""

    peer: str
    blocked: bool = True


class CredentialsTakenBack(Sight, frozen=True, kw_only=True):
    """From here on the operator `who` takes no more of what its partner presents so far; its node is down just now."""

    peer: str


class CredentialsRenewed(Sight, frozen=True, kw_only=True):
    """From here on the operator `who` presents at its partner what that one takes; its node is down just now."""

    peer: str


class ClockJumped(Sight, frozen=True, kw_only=True):
    """The wall clock of a node or a station went on by so many seconds at once (negative: back)."""

    by_s: float


# -- nodes and their disks ---------------------------------------------------------------------------------------------


class NodeStarted(Sight, frozen=True, kw_only=True):
    """`life` counts the incarnations of this node, from 1."""

    life: int


class NodeCrashed(Sight, frozen=True, kw_only=True):
    """All of this node ended at once. `point` says where it was cut, where that was chosen."""

    life: int
    point: str = ""


class Committed(Sight, frozen=True, kw_only=True):
    """A row of the journal that the disk has for good. `data` is the fact as JSON."""

    position: int
    stream: str
    seq: int
    type: str
    from_state: str
    to_state: str
    data: str

    def words(self) -> str:
        return f"#{self.position} {self.stream}/{self.seq} {self.type}: {self.from_state} -> {self.to_state}"


class CommitFailed(Sight, frozen=True, kw_only=True):
    """The disk refused a commit, as when it is full."""

    cause: str


class RowsLost(Sight, frozen=True, kw_only=True):
    """The journal of a dead node was cut at rest: rows after `position` that had been durable are gone."""

    position: int


class RowDamaged(Sight, frozen=True, kw_only=True):
    """A row was altered at rest. `stream` is whose it is, as far as the table has one."""

    table: str
    key: str
    stream: str = ""


# -- HTTP: partners and apps -------------------------------------------------------------------------------------------


class RequestSent(Sight, frozen=True, kw_only=True):
    """`who` (a node or an app) sent a request. `exchange` is unique in a world; `protocol` is soap or rest.

    `forged` says what is wrong with its credentials or its place in the world; empty for an honest one. Forged requests
    with one `twin` must be refused in the same words. `repeats`: somebody else sends this exchange's request again,
    credentials and all. `key` is its Idempotency-Key, `correlation` its X-Correlation-ID.
    """

    exchange: int
    protocol: str
    to: str
    method: str
    path: str
    body: str = ""
    key: str = ""
    correlation: str = ""
    forged: str = ""
    twin: str = ""
    repeats: int | None = None

    def words(self) -> str:
        what = f"SOAP {soap_names(self.body)}" if self.protocol == "soap" else f"{self.method} {self.path} {self.body}"
        again = f" [again: {self.repeats}]" if self.repeats else ""
        return f"({self.exchange}) -> {self.to}: {what}" + (f" [forged: {self.forged}]" if self.forged else again)


class RequestArrived(Sight, frozen=True, kw_only=True):
    """The request reached the node `who`; a duplicated one arrives more than once."""

    exchange: int


class AnswerSent(Sight, frozen=True, kw_only=True):
    """The node `who` answered: what left it, whoever got it."""

    exchange: int
    status: int
    body: str = ""

    def words(self) -> str:
        return f"({self.exchange}) {self.status} {soap_names(self.body) or self.body[:200]}"


class AnswerArrived(Sight, frozen=True, kw_only=True):
    """What `who` had of its request in the end. `status` 0 is nothing: `cause` says why."""

    exchange: int
    status: int = 0
    body: str = ""
    cause: str = ""

    def words(self) -> str:
        told = soap_names(self.body) or self.body[:200]
        return f"({self.exchange}) {self.status} {told}" if self.status else f"({self.exchange}) nothing: {self.cause}"


# -- OCPP --------------------------------------------------------------------------------------------------------------


class LineOpened(Sight, frozen=True, kw_only=True):
    """The station `who` has a WebSocket to the node `to`; `connection` is unique in a world. `forged` as above."""

    connection: int
    to: str
    forged: str = ""


class LineRefused(Sight, frozen=True, kw_only=True):
    """Somebody who has no business there got no WebSocket to the node `to`, but this answer by HTTP."""

    to: str
    forged: str
    status: int


class LineClosed(Sight, frozen=True, kw_only=True):
    """That WebSocket is gone; what was not seen to arrive never will."""

    connection: int
    cause: str = ""


class FrameSent(Sight, frozen=True, kw_only=True):
    """An OCPP frame left `who`, a station or a node. `forged` says what is not the station's business in it."""

    connection: int
    text: str
    forged: str = ""

    def words(self) -> str:
        return f"({self.connection}) {self.text[:300]}"


class FrameArrived(Sight, frozen=True, kw_only=True):
    """An OCPP frame reached `who`; one that was duplicated does so more than once."""

    connection: int
    text: str

    def words(self) -> str:
        return f"({self.connection}) {self.text[:300]}"


class ChargeSeen(Sight, frozen=True, kw_only=True):
    """A charge as the station `who` itself has it: when it began, when it learned its number, and when it ended.

    One charge is (who, connector_id, started_at, meter_start_wh); times are the station's own clock, ISO 8601.
    """

    connector_id: int
    id_tag: str
    started_at: str
    meter_start_wh: int
    transaction_id: int | None = None
    stopped_at: str | None = None
    meter_stop_wh: int | None = None
    reason: str | None = None


AnySight = (
    WorldBegan | FaultsEnded | WorldEnded | FaultInjected | DriverDid | UserBlocked | PeerBlocked | ClockJumped
    | CredentialsTakenBack | CredentialsRenewed
    | NodeStarted | NodeCrashed | Committed | CommitFailed | RowsLost | RowDamaged
    | RequestSent | RequestArrived | AnswerSent | AnswerArrived
    | LineOpened | LineRefused | LineClosed | FrameSent | FrameArrived | ChargeSeen
)  # fmt: skip

S = TypeVar("S", bound=Sight)

_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER: msgspec.json.Decoder[AnySight] = msgspec.json.Decoder(AnySight)


class History:
    """Everything that was seen of one world, in its order."""

    def __init__(self, sights: Iterable[AnySight] = ()) -> None:
        self.sights: list[AnySight] = list(sights)

    def __repr__(self) -> str:
        return f"<History {len(self.sights)} sights, {self.digest()[:12]}>"

    def __len__(self) -> int:
        return len(self.sights)

    def __iter__(self) -> Iterator[AnySight]:
        return iter(self.sights)

    def saw(self, sight: AnySight) -> None:
        """Appends one; its time must not be before the last one's."""
        self.sights.append(sight)

    def of(self, *kinds: type[S]) -> Iterator[S]:
        """All sights of these kinds, in order."""
        return (sight for sight in self.sights if isinstance(sight, kinds))

    @property
    def began(self) -> WorldBegan:
        """What the world was made of. Raises TypeError for a history that does not begin with it."""
        first = self.sights[0] if self.sights else None
        if not isinstance(first, WorldBegan):
            raise TypeError("a history begins with WorldBegan")
        return first

    def digest(self) -> str:
        """SHA-256 over all of it in hex: equal for equal worlds, in any process."""
        digest = sha256()
        for sight in self.sights:
            digest.update(_ENCODER.encode(sight) + b"\n")
        return digest.hexdigest()

    def timeline(self, *, last: int | None = None) -> Iterator[str]:
        """One line per sight, for people; only the `last` ones where that is given."""
        for sight in self.sights if last is None else self.sights[-last:]:
            yield line_of(sight)

    def write(self, path: Path) -> None:
        """Writes one JSON object per line."""
        path.write_bytes(b"".join(_ENCODER.encode(sight) + b"\n" for sight in self.sights))

    @staticmethod
    def read(path: Path) -> History:
        """Reads what `write` wrote. Raises msgspec.ValidationError for anything else."""
        return History(_DECODER.decode(line) for line in path.read_bytes().splitlines())


def line_of(sight: Sight) -> str:
    """One sight as a line of the timeline: virtual time in days and hours, where, what."""
    seconds = int(sight.at)
    clock = f"{seconds // 86_400}d {seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{sight.at % 60:06.3f}"
    return f"{clock}  {sight.who:<10} {type(sight).__name__:<14} {sight.words()}"


# -- the stores at the end ---------------------------------------------------------------------------------------------

Row = dict[str, Any]
Rows = tuple[Row, ...]

TABLES = (
    "journal", "deliveries", "aliases", "transactions", "ledger", "orphans", "losses", "snapshots", "archive",
    "meter_values", "station_log", "quarantine",
)  # fmt: skip
"""The tables that checkers read, by their names in SQL."""


class BoundSeen(msgspec.Struct, frozen=True, kw_only=True):
    """How full something has been at most in any life of a node, and how full it may be (bounds.Watermarks)."""

    name: str
    highest: int
    limit: int


class Finals(msgspec.Struct, frozen=True, kw_only=True):
    """One node's store as it stands at the end, as plain values read by SQL.

    `tables` has each of `TABLES` with its rows in the order of their keys. `live` is what the actors that are in memory
    at the end know, as JSON by stream (`msgspec.json.encode(actor.data)`). `problems` is what check-journal says.
    """

    node: str
    tables: dict[str, Rows]
    bounds: tuple[BoundSeen, ...] = ()
    live: dict[str, str] = msgspec.field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def rows(self, table: str) -> Rows:
        return self.tables.get(table, ())


def read_tables(connection: Any) -> dict[str, Rows]:
    """All rows of `TABLES` from a `sqlite3.Connection`, in the order of their primary keys; damaged text as it is."""
    connection.text_factory = lambda text: text.decode(errors="replace")
    return {table: tuple(_rows(connection, table)) for table in TABLES}


def _rows(connection: Any, table: str) -> Iterator[Row]:
    cursor = connection.cursor()
    keys = [row[1] for row in sorted(cursor.execute(f"PRAGMA table_info({table})"), key=lambda row: row[5]) if row[5]]
    cursor.execute(f"SELECT * FROM {table} ORDER BY {', '.join(keys)}")
    names = [column[0] for column in cursor.description]
    for values in cursor.fetchall():
        yield dict(zip(names, values, strict=True))


AllFinals = Mapping[str, Finals]
"""The finals of every node, by its name."""
