"""PostgreSQL as the store's database: one writer's session that keeps all other nodes out, readers beside it.

Whoever writes holds a lock that ends with its session, so two nodes can never write to one journal. A session may end
at any moment, also while its COMMIT is on the way: every transaction leaves a mark by which the next session can tell
whether it was committed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, NamedTuple, TypeVar

import psycopg
import structlog
from psycopg.abc import Buffer, PQGen
from psycopg.types.string import StrDumperUnknown, TextLoader
from sqlalchemy import Column, Connection, Engine, MetaData, SmallInteger, Table, Text, create_engine, event, select
from sqlalchemy import update as sql_update

from actors.records import StoreError, StoreTaken, StoreUnavailable
from statecharts.bounds import STORE_READERS

CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_MS = 60_000
"""No statement of a node takes longer: whatever does is given up, and tried again by whoever needs it."""

ANSWER_S = 75.0
"""How long any answer is waited for: a server that is sound has given the statement up by then. One whose processes are
frozen says nothing, while its machine goes on acknowledging what it is sent."""

LEAVING_ANSWER_S = 2.0
"""The same for a node that ends."""

LOCK_WAIT_S = 3.0
"""How long a session of a node that has just died may keep the next one waiting."""

LOCK_POLL_S = 0.05
SILENCE_MS = 20_000
"""How long an answer may be on the way before a connection counts as lost, and with it the lock of its session."""

_LOCK_CLASS = 0x524F414D  # "ROAM"

log = structlog.get_logger(__name__)

metadata = MetaData()

# One row, which says what transaction was the last to be committed.
marks = Table(
    "marks",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("mark", Text(collation="C"), nullable=False),
)


class PostgresDatabase:
    """A schema of a database on a server: the one that the URL's user writes to."""

    path = None
    in_memory = False
    remote = True

    def __init__(self, url: str) -> None:
        self._session: _Session | None = None
        self._numbers = count(1)
        self._patience = _Patience()
        self.writer = _engine(url, self._patience, "BEGIN", 1)
        snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        self.reader = _engine(url, self._patience, snapshot, STORE_READERS.limit)
        event.listen(self.writer, "connect", self._take)

    def __repr__(self) -> str:
        return self.writer.url.render_as_string()

    def mark(self, connection: Connection) -> Callable[[Connection], bool]:
        """Marks the transaction, and returns the question whether it was committed, to be asked in a later session."""
        mark = f"{self._session} {next(self._numbers)}"
        connection.execute(sql_update(marks).values(mark=mark))
        return lambda later: later.scalar(select(marks.c.mark)) == mark

    def begin_again(self) -> None:
        self.writer.dispose()

    def hurry(self) -> None:
        """Waits no longer for an answer than a node that ends can."""
        self._patience.answer_s = LEAVING_ANSWER_S

    def _take(self, connection: Any, _record: object) -> None:
        """Takes the lock for a new session of the writer. Raises StoreTaken if another node has it."""
        with connection.cursor() as cursor:
            until = time.monotonic() + LOCK_WAIT_S
            while not cursor.execute(_TAKE_LOCK, {"class": _LOCK_CLASS}).fetchone()[0]:
                holder = self._holder(cursor)
                if holder is not None and holder == self._session:
                    # Our own last session, which the server does not know to be dead. Its transaction ends with it.
                    cursor.execute("SELECT pg_terminate_backend(%s)", [holder.pid])
                if time.monotonic() > until:
                    raise _not_free(holder, self._session)
                time.sleep(LOCK_POLL_S)
            self._session = _Session(*cursor.execute(_OWN_SESSION).fetchone())

    def _holder(self, cursor: Any) -> _Session | None:
        row = cursor.execute(_HOLDER, {"class": _LOCK_CLASS}).fetchone()
        return _Session(*row) if row else None


class _Session(NamedTuple):
    """A session of the server: no two ever have the same process number and beginning."""

    pid: int
    since: str
    client: str

    def __str__(self) -> str:
        return f"{self.pid} since {self.since}"


def _not_free(holder: _Session | None, ours: _Session | None) -> StoreError:
    if holder is not None and holder == ours:
        return StoreUnavailable(f"our own last session ({ours}) does not end")
    whose = f"session {holder}, from {holder.client}" if holder else "a session that has just ended"
    return StoreTaken(f"another node runs on this database: {whose}")


# -- connections -------------------------------------------------------------------------------------------------------


T = TypeVar("T")


class _Patience:
    """How long the connections of one database wait for an answer, in seconds."""

    answer_s = ANSWER_S


class _Silent(Exception):
    """No answer came in time."""


class _Connection(psycopg.Connection[Any]):
    """A connection on which no wait is for ever; psycopg's own have no end."""

    patience = _Patience()

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            return super().wait(_in_time(gen, self.patience), interval, timeout)
        except _Silent:
            self.pgconn.finish()  # so that it counts as lost, as it does when the server has ended it
            raise psycopg.OperationalError("the connection is given up: the server does not answer") from None


def _in_time(gen: PQGen[T], patience: _Patience) -> PQGen[T]:
    """The same wait, until patience is at its end. psycopg says every `interval` that nothing has come."""
    began_at = time.monotonic()
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() - began_at > patience.answer_s:
                raise _Silent
            wanted = gen.send(ready)
    except StopIteration as done:
        answer: T = done.value
        return answer


def _connect(patience: _Patience, _dialect: object, _record: object, args: Any, kwargs: Any) -> _Connection:
    timeout_s = max(2, min(CONNECT_TIMEOUT_S, int(patience.answer_s)))  # libpq knows nothing shorter
    connection = _Connection.connect(*args, **{**kwargs, "connect_timeout": timeout_s})
    connection.patience = patience
    return connection


def _engine(url: str, patience: _Patience, begin: str, connections_max: int) -> Engine:
    engine = create_engine(
        url,
        connect_args=_CONNECTION,
        pool_size=connections_max,
        max_overflow=0,
        use_native_hstore=False,
    )
    event.listen(engine, "do_connect", partial(_connect, patience))
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", partial(_begin, begin))
    return engine


def _prepare(connection: Any, _record: object) -> None:
    connection.adapters.register_dumper(str, _EscapingDumper)
    connection.adapters.register_loader("text", _UnescapingLoader)
    with connection.cursor() as cursor:
        for name, value in _SETTINGS.items():
            cursor.execute(_SET, {"name": name, "value": value})
        encoding, schema, fsync = cursor.execute(_SURROUNDINGS).fetchone()
    if encoding != "UTF8":
        raise StoreError(f"the database is encoded in {encoding}: make one with ENCODING 'UTF8'")
    if schema is None:
        raise StoreError("there is no schema for the tables: CREATE SCHEMA, or mend the search_path of this user")
    if fsync == "off":
        log.warning("store.not_durable", reason="the server runs with fsync = off: a power failure loses what it holds")


def _begin(statement: str, connection: Connection) -> None:
    connection.exec_driver_sql(statement)


_CONNECTION = {
    "autocommit": True,  # a transaction begins with a statement of ours
    "client_encoding": "UTF8",
    "connect_timeout": CONNECT_TIMEOUT_S,
    "fallback_application_name": "roamnode",
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": SILENCE_MS,
}

# The server must notice a dead node as we notice a dead server: its lock would keep the next node out.
_SETTINGS = {
    "synchronous_commit": "on",
    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
    "idle_in_transaction_session_timeout": str(STATEMENT_TIMEOUT_MS),
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": str(SILENCE_MS),
}
_SET = "SELECT set_config(name, %(value)s, false) FROM pg_settings WHERE name = %(name)s"  # nothing where it is unknown
_SURROUNDINGS = "SELECT current_setting('server_encoding'), current_schema(), current_setting('fsync')"

_TAKE_LOCK = "SELECT pg_try_advisory_lock(%(class)s, hashtext(current_schema()))"
_SESSION = "a.pid, a.backend_start::text, coalesce(host(a.client_addr), 'this machine')"
_OWN_SESSION = f"SELECT {_SESSION} FROM pg_stat_activity a WHERE a.pid = pg_backend_pid()"
_HOLDER = f"""
    SELECT {_SESSION} FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.database = a.datid
    AND l.classid = %(class)s::oid AND l.objid = hashtext(current_schema())::oid AND a.datname = current_database()
"""

# -- text --------------------------------------------------------------------------------------------------------------

# PostgreSQL takes every character but NUL, and stations may send it. These escapes sort as what they stand for.
_ESCAPES = (("\x01", "\x01\x02"), ("\x00", "\x01\x01"))


def escaped(text: str) -> str:
    """The text without NUL; the order of texts stays as it was."""
    for plain, escape in _ESCAPES:
        text = text.replace(plain, escape)
    return text


def unescaped(text: str) -> str:
    """What `escaped` was given."""
    for plain, escape in reversed(_ESCAPES):
        text = text.replace(escape, plain)
    return text


class _EscapingDumper(StrDumperUnknown):
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(escaped(obj) if "\x00" in obj or "\x01" in obj else obj)


class _UnescapingLoader(TextLoader):
    def load(self, data: Buffer) -> str | bytes:
        text = super().load(data)
        return unescaped(text) if isinstance(text, str) and "\x01" in text else text
