"""Facts, appends, views and charge records for tests of the store, made of as little as the test cares for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from actors.records import Append, LedgerEntry, NewDelivery, NewFact
from statecharts.ports import CdrView, TransactionView

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)


def execute(connection: Connection, statement: str) -> None:
    """Runs a statement written for SQLite, whichever database this is: what differs are the names of types."""
    if connection.dialect.name == "postgresql":
        statement = statement.replace("AS BLOB", "AS bytea")
        statement = statement.replace("replace(document,", "replace(encode(document, 'escape'),")
    connection.exec_driver_sql(statement)


class StoppedClock:
    """A Clock that shows the same time until somebody sets it."""

    def __init__(self, now: datetime = NOON) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def fact(text: str = "", type: str = "MeterValuesReported") -> NewFact:
    return NewFact(type=type, from_state="TxRunning", to_state="TxRunning", at=NOON, data=f'"{text}"'.encode())


def append(stream: str = "source/1", after_seq: int = 0, *texts: str, **more: Any) -> Append:
    """An append of one fact per text, of one nameless fact without texts."""
    return Append(stream=stream, after_seq=after_seq, facts=tuple(fact(text) for text in texts or ("",)), **more)


def delivery(message_id: str, peer: str = "IE-001", **more: Any) -> NewDelivery:
    defaults = {"operation": "EndTransaction", "transaction": "source/1", "body": b"<end/>", "created_at": NOON}
    return NewDelivery(message_id=message_id, peer=peer, **(defaults | more))


def view(number: int = 1, role: str = "source", **more: Any) -> TransactionView:
    defaults: dict[str, Any] = {
        "transaction_id": f"{number}",
        "state": "TxRunning",
        "version": 1,
        "created_at": after(number),
        "changed_at": after(number),
        "user_identifier": "anna",
        "local_service_identifier": "EVSE-1",
        "pms_identifier": "IE-001",
        "authorization_identifier": f"{number:012X}",
    }
    return TransactionView(role=role, **(defaults | more))


def entry(cdr_id: str = "IE-001/0A1B2C3D4E5F", role: str = "destination", **more: Any) -> LedgerEntry:
    cdr = CdrView(
        cdr_id=cdr_id,
        pms_identifier=more.pop("peer", "NL-MOT"),
        authorization_identifier=cdr_id.rpartition("/")[2],
        local_service_identifier="EVSE-1",
        user_identifier="anna",
        start_timestamp=NOON,
        end_timestamp=after(3600),
        energy_wh=more.pop("energy_wh", 11_000),
        status=more.pop("status", "pending"),
    )
    return LedgerEntry(role=role, cdr=cdr, ended_at=more.pop("ended_at", NOON), **more)
