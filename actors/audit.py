"""Reading the journal and believing nothing of it that its checksums do not prove."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import structlog
from sqlalchemy import Connection, RowMapping, Table, bindparam, select, union_all

from actors import tables
from actors.archive import METERS_OF, unpacked_facts
from actors.head import Head
from actors.records import DeliveryStatus, Fact, History, Snapshot, StreamCorrupt
from actors.rows import AnyRow, checked, damaged, fact_of, intact, raw
from actors.store import DRIVER_ERRORS, cause, is_damage
from statecharts.limits import DAMAGE_SHOWN, NEWEST_TRIED, ROWS_READ

_DATABASE = "(database)"
_STATUSES = frozenset(status.value for status in DeliveryStatus)
_IN_STREAMS = (tables.journal, tables.archive, tables.snapshots)

_SNAPSHOT = select(*raw(tables.snapshots)).where(tables.snapshots.c.stream == bindparam("of"))
_ARCHIVED = (
    select(*raw(tables.archive))
    .where(tables.archive.c.stream == bindparam("of"), tables.archive.c.last_seq > bindparam("after"))
    .order_by(tables.archive.c.last_seq)
)
_FACTS = (
    select(*raw(tables.journal))
    .where(tables.journal.c.stream == bindparam("of"), tables.journal.c.seq > bindparam("after"))
    .order_by(tables.journal.c.seq)
)
_TIPS = union_all(
    select(tables.journal.c.checksum).where(
        tables.journal.c.stream == bindparam("of"), tables.journal.c.seq == bindparam("at")
    ),
    select(tables.archive.c.tip).where(
        tables.archive.c.stream == bindparam("of"), tables.archive.c.last_seq == bindparam("at")
    ),
)

_NEWEST = select(*raw(tables.journal)).order_by(tables.journal.c.position.desc()).limit(NEWEST_TRIED.limit)

log = structlog.get_logger(__name__)


def load(connection: Connection, stream: str) -> tuple[Fact, ...]:
    """The facts of a stream in order, each proven. Raises StreamCorrupt at the first that is not."""
    with _malformed_is_corrupt(stream):
        return _proven(connection, stream, Chain())


def history(connection: Connection, stream: str, form: str | None) -> History:
    """The snapshot of a stream, if there is one of this form, and the facts after it, each proven.

    A snapshot that was altered is not used: the facts say the same. Raises StreamCorrupt at the first that is not
    proven.
    """
    with _malformed_is_corrupt(stream):
        row = _snapshot(connection, stream, form)
        if row is None:
            return History(facts=_proven(connection, stream, Chain()))
        facts = _proven(connection, stream, Chain(row["seq"], row["position"], row["tip"]))
        return History(facts=facts, snapshot=Snapshot(seq=row["seq"], form=row["form"], data=row["data"]))


@contextmanager
def _malformed_is_corrupt(stream: str) -> Iterator[None]:
    try:
        yield
    except DRIVER_ERRORS as error:
        if not is_damage(error):
            raise
        raise StreamCorrupt(stream, 0, f"the database cannot read it: {cause(error)}") from error


def _snapshot(connection: Connection, stream: str, form: str | None) -> RowMapping | None:
    row = connection.execute(_SNAPSHOT, {"of": stream}).mappings().one_or_none()
    if row is None or row["form"] != form:
        return None
    if not intact(tables.snapshots, row):
        log.error("snapshot.damaged", stream=stream)
        return None
    return row


def _proven(connection: Connection, stream: str, chain: Chain) -> tuple[Fact, ...]:
    return tuple(fact_of(row) for row in chain.proven(stream, _stream(connection, stream, chain.seq)))


def _stream(connection: Connection, stream: str, after_seq: int) -> Iterator[AnyRow]:
    """The rows of a stream, from the archive and then from the journal."""
    query = {"of": stream, "after": after_seq}
    for row in connection.execute(_ARCHIVED, query).mappings():
        yield from (fact for fact in unpacked_facts(checked(tables.archive, row)["body"]) if fact["seq"] > after_seq)
    yield from connection.execute(_FACTS, query).mappings()


def ends_in_archive(connection: Connection, streams: Sequence[str]) -> dict[str, Chain]:
    """Where the facts of these streams end that are in the archive: their next ones are chained to that."""
    pieces = tables.archive.c
    query = select(pieces.stream, pieces.last_seq, pieces.position, pieces.tip).where(pieces.stream.in_(streams))
    return {stream: Chain(*end) for stream, *end in connection.execute(query.order_by(pieces.stream, pieces.last_seq))}


def check(connection: Connection, head: Head | None = None) -> tuple[StreamCorrupt, ...]:
    """What is wrong anywhere in the database, at most `limits.DAMAGE_SHOWN` findings; reads it row by row.

    With a `head` that was written before, also whether the end of the journal is gone.
    """
    return tuple(islice(_findings(connection, head), DAMAGE_SHOWN.limit))


def missing_end(connection: Connection, head: Head) -> str | None:
    """Why the journal does not reach as far as its head says; None if it does."""
    query = select(*raw(tables.journal)).where(tables.journal.c.position == head.position)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return f"the journal was cut off before position {head.position}, which had been written"
    if row["checksum"] != head.checksum:
        return f"position {head.position} is not the fact that had been written there"
    return None


def end(connection: Connection) -> Head:
    """The newest fact of all streams; none where that one has lost its checksum."""
    facts = tables.journal.c
    query = select(facts.position, facts.checksum).order_by(facts.position.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return Head(*row) if row and isinstance(row.checksum, bytes) else Head(0, b"")


def newest(connection: Connection) -> Fact | None:
    """The newest fact that is proven, among the last few. Raises StreamCorrupt where none can be read."""
    with _malformed_is_corrupt(_DATABASE):
        for row in connection.execute(_NEWEST).mappings().all():
            number = row["seq"] if isinstance(row["seq"], int) else 0
            previous = connection.scalar(_TIPS, {"of": row["stream"], "at": number - 1}) or b""
            if intact(tables.journal, row, previous):
                return fact_of(row)
        return None


class Chain:
    """Walks one stream row by row, from its beginning or from after the fact that is named."""

    def __init__(self, seq: int = 0, position: int = 0, checksum: bytes = b"") -> None:
        self.seq, self.position, self.checksum = seq, position, checksum
        self.expected = seq + 1

    def faults(self, row: AnyRow) -> Iterator[str]:
        self.expected, self.seq = self.seq + 1, row["seq"]
        previous, self.checksum = self.checksum, row["checksum"]
        before, self.position = self.position, row["position"]
        if row["seq"] != self.expected:
            yield f"seq {self.expected} is missing"
        elif not intact(tables.journal, row, previous):
            yield "this fact does not match its checksum, or the one before it was altered"
        elif row["position"] <= before:
            yield f"position {row['position']} is not after {before}, the fact before it"

    def proven(self, stream: str, rows: Iterable[AnyRow]) -> Iterator[AnyRow]:
        """The rows of this stream as they come. Raises StreamCorrupt at the first that is not what was written."""
        for row in rows:
            for reason in self.faults(row):
                raise StreamCorrupt(stream, self.expected, reason)
            yield row


def _findings(connection: Connection, head: Head | None) -> Iterator[StreamCorrupt]:
    """What each part of the database has to say; where one is damaged, the others are read all the same."""
    others = [table for table in tables.metadata.sorted_tables if table not in _IN_STREAMS]
    parts = (
        _structure(connection),
        _facts(connection),
        _archive(connection),
        _snapshots(connection),
        *(_rows(connection, table) for table in others),
        _losses(connection, head),
    )
    try:
        for part in parts:
            yield from _as_far_as_readable(_DATABASE, part)
    except DRIVER_ERRORS as error:
        yield StreamCorrupt(_DATABASE, 0, f"cannot be read further: {cause(error)}")


def _as_far_as_readable(stream: str, findings: Iterator[StreamCorrupt]) -> Iterator[StreamCorrupt]:
    try:
        yield from findings
    except DRIVER_ERRORS as error:
        if not is_damage(error):
            raise
        yield StreamCorrupt(stream, 0, f"cannot be read further: {cause(error)}")


def _structure(connection: Connection) -> Iterator[StreamCorrupt]:
    if connection.dialect.name == "sqlite":
        for (line,) in connection.exec_driver_sql("PRAGMA integrity_check"):
            if line != "ok":
                yield StreamCorrupt(_DATABASE, 0, str(line))


def _facts(connection: Connection) -> Iterator[StreamCorrupt]:
    """All facts in one go; where that meets a damaged page, stream by stream, which names those that it hit."""
    told = set()
    try:
        for finding in _chained(connection):
            told.add(str(finding))
            yield finding
    except DRIVER_ERRORS as error:
        if not is_damage(error):
            raise
        yield StreamCorrupt(_DATABASE, 0, f"cannot be read in one go: {cause(error)}")
        for stream in sorted(_streams(connection)):
            for finding in _as_far_as_readable(stream, _chained(connection, stream)):
                if str(finding) not in told:
                    yield finding


def _streams(connection: Connection) -> set[str]:
    """Those that can be found: by the index, and by the facts from either end, up to what is damaged."""
    column, position = tables.journal.c.stream, tables.journal.c.position
    found: set[str] = set()
    for query in (
        select(column).distinct(),
        select(column).order_by(position),
        select(column).order_by(position.desc()),
    ):
        try:
            found.update(map(str, connection.scalars(query)))
        except DRIVER_ERRORS as error:
            if not is_damage(error):
                raise
    return found


def _chained(connection: Connection, only: str | None = None) -> Iterator[StreamCorrupt]:
    """What is wrong with the facts of one stream, or of all."""
    order = tables.journal.c.stream, tables.journal.c.seq
    stream, chain = None, Chain()
    for row in _streamed(connection, tables.journal, *order, of=only):
        if row["stream"] != stream:
            stream = row["stream"]
            chain = Chain() if row["seq"] == 1 else ends_in_archive(connection, [stream]).get(stream, Chain())
        for reason in chain.faults(row):
            yield StreamCorrupt(str(stream), row["seq"], reason)


def _archive(connection: Connection) -> Iterator[StreamCorrupt]:
    """The facts in the archive: each chunk goes on where the one before it ends, and ends where it says."""
    order = tables.archive.c.stream, tables.archive.c.last_seq
    stream, chain = None, Chain()
    for row in _streamed(connection, tables.archive, *order):
        if row["stream"] != stream:
            stream, chain = row["stream"], Chain()
        if not intact(tables.archive, row):
            yield damaged(tables.archive, row)
            chain = Chain(row["last_seq"], row["position"], row["tip"])
            continue
        if row["stream"].startswith(METERS_OF):
            continue
        for fact in unpacked_facts(row["body"]):
            for reason in chain.faults(fact):
                yield StreamCorrupt(str(stream), fact["seq"], reason)
        if (chain.seq, chain.position, chain.checksum) != (row["last_seq"], row["position"], row["tip"]):
            yield StreamCorrupt(str(stream), row["last_seq"], "the archive does not end where it says")


def _snapshots(connection: Connection) -> Iterator[StreamCorrupt]:
    """The snapshots: each stands on a fact that is there, in the journal or as the end of what is in the archive."""
    for row in _streamed(connection, tables.snapshots):
        if not intact(tables.snapshots, row):
            yield damaged(tables.snapshots, row)
        elif row["tip"] not in connection.scalars(_TIPS, {"of": row["stream"], "at": row["seq"]}).all():
            yield StreamCorrupt(str(row["stream"]), row["seq"], "its snapshot stands on a fact that is not there")


def _rows(connection: Connection, table: Table) -> Iterator[StreamCorrupt]:
    for row in _streamed(connection, table):
        if not intact(table, row):
            yield damaged(table, row)
        elif table is tables.deliveries and row["status"] not in _STATUSES:
            yield StreamCorrupt(f"{table.name}/{row['id']}", 0, f"its status is {row['status']!r}: it is never sent")


def _losses(connection: Connection, head: Head | None) -> Iterator[StreamCorrupt]:
    noticed = {0}
    for row in _streamed(connection, tables.losses):
        noticed.add(row["position"])
        yield StreamCorrupt(_DATABASE, 0, str(row["reason"]))
    if head is not None and head.position not in noticed and (reason := missing_end(connection, head)):
        yield StreamCorrupt(_DATABASE, 0, reason)


def _streamed(connection: Connection, table: Table, *order: object, of: str | None = None) -> Iterator[RowMapping]:
    """The rows of a table, or those `of` a stream, a few at a time."""
    query = select(*raw(table)).order_by(*(order or table.primary_key.columns))
    if of is not None:
        query = query.where(table.c.stream == of)
    with connection.execute(query, execution_options={"yield_per": ROWS_READ.limit}) as result:
        yield from result.mappings()
