"""Facts that have left the journal: packed stream by stream, still in their chain, read wherever their stream is.

A row of the archive holds the facts `first_seq` to `last_seq` of one stream, column by column as the journal had them
(checksums too), and with a finished transaction also the deliveries that are over. The meter values of a station's idle
connectors have rows of their own, with their ids in place of seqs.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Table, bindparam, select

from actors import tables
from actors.rows import AnyRow, Row

LEVEL = 6
"""zlib's own choice: facts shrink to about a fifth; the best level saves little more and takes three times as long."""


METERS_OF = "meter-values/"
"""What the meter values of a station stand under in the archive: this and its identity."""

ARCHIVED_TIP = (
    select(tables.archive.c.last_seq, tables.archive.c.position, tables.archive.c.tip)
    .where(tables.archive.c.stream == bindparam("stream"))
    .order_by(tables.archive.c.last_seq.desc())
    .limit(1)
)
"""Where the archived facts of a stream end: seq, position and checksum of the last."""


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """The values of rows, each in the order of its table's columns."""

    facts: list[list[Any]]
    deliveries: list[list[Any]]
    meter_values: list[list[Any]]


def packed(
    facts: Iterable[AnyRow] = (), deliveries: Iterable[AnyRow] = (), meter_values: Iterable[AnyRow] = ()
) -> bytes:
    """The body of a row of the archive."""
    content = Packed(
        facts=_values(tables.journal, facts),
        deliveries=_values(tables.deliveries, deliveries),
        meter_values=_values(tables.meter_values, meter_values),
    )
    return zlib.compress(msgspec.msgpack.encode(content), LEVEL)


def unpacked_facts(body: bytes) -> list[Row]:
    """The rows of the journal as they were."""
    return _rows(tables.journal, _content(body).facts)


def unpacked_deliveries(body: bytes) -> list[Row]:
    """The rows of the outbox as they were."""
    return _rows(tables.deliveries, _content(body).deliveries)


def unpacked_meter_values(body: bytes) -> list[Row]:
    """The rows of the meter values as they were."""
    return _rows(tables.meter_values, _content(body).meter_values)


def _content(body: bytes) -> Packed:
    return msgspec.msgpack.decode(zlib.decompress(body), type=Packed)


def _values(table: Table, rows: Iterable[AnyRow]) -> list[list[Any]]:
    names = [column.name for column in table.columns]
    return [[row[name] for name in names] for row in rows]


def _rows(table: Table, values: list[list[Any]]) -> list[Row]:
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in values]
