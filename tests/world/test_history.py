"""Histories are written, read, hashed and printed alike wherever they are."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world.history import (
    TABLES,
    AnswerArrived,
    Committed,
    History,
    NodeStarted,
    RequestSent,
    WorldBegan,
    WorldEnded,
    read_tables,
    soap_names,
)

BEGAN = WorldBegan(
    at=0.0,
    who="world",
    seed=7,
    operators=("IE-ESB", "DE-XYZ"),
    stations={"CS02": "DE-XYZ", "CS01": "IE-ESB"},
    connectors={"CS01": 2, "CS02": 1},
    epoch="2026-03-01T12:00:00Z",
    plan={"b": 1, "a": [1, 2]},
)
ENVELOPE = (
    "<soap:Envelope><soap:Body><ns0:requestStartTransaction><ns0:requestIdentifier>R-1</ns0:requestIdentifier>"
    "</ns0:requestStartTransaction></soap:Body></soap:Envelope>"
)


def history() -> History:
    """One sight of several kinds."""
    committed = Committed(
        at=3.25,
        who="IE-ESB",
        position=1,
        stream="local/1",
        seq=1,
        type="TransactionStarted",
        from_state="New",
        to_state="TxRunning",
        data="{}",
    )
    return History(
        [
            BEGAN,
            NodeStarted(at=0.0, who="IE-ESB", life=1),
            RequestSent(
                at=1.5, who="IE-ESB", exchange=1, protocol="soap", to="DE-XYZ", method="POST", path="/", body=ENVELOPE
            ),
            AnswerArrived(at=2.0, who="IE-ESB", exchange=1, cause="dropped"),
            committed,
            WorldEnded(at=93_784.5, who="world", drained=True),
        ]
    )


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    history().write(tmp_path / "history.jsonl")
    assert History.read(tmp_path / "history.jsonl").sights == history().sights


def test_equal_histories_have_one_digest_in_every_process() -> None:
    digest = "from tests.world.test_history import history; print(history().digest())"
    other = subprocess.run([sys.executable, "-c", digest], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == history().digest()


def test_one_altered_sight_is_another_digest() -> None:
    altered = history()
    altered.sights[1] = NodeStarted(at=0.0, who="IE-ESB", life=2)
    assert altered.digest() != history().digest()


def test_the_timeline_tells_when_where_and_what() -> None:
    lines = list(history().timeline())
    assert lines[2] == (
        "0d 00:00:01.500  IE-ESB     RequestSent    (1) -> DE-XYZ: SOAP requestStartTransaction requestIdentifier=R-1"
    )
    assert lines[3].endswith("AnswerArrived  (1) nothing: dropped")
    assert lines[4].endswith("#1 local/1/1 TransactionStarted: New -> TxRunning")
    assert lines[5].startswith("1d 02:03:04.500")
    assert list(history().timeline(last=2)) == lines[-2:]


def test_a_history_without_its_beginning_says_so() -> None:
    with pytest.raises(TypeError, match="begins with WorldBegan"):
        _ = History().began


def test_tables_are_read_as_plain_values_in_the_order_of_their_keys() -> None:
    connection = sqlite3.connect(":memory:")
    for table in TABLES:
        connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, body BLOB, name TEXT)")
    connection.execute("INSERT INTO journal VALUES (2, x'00ff', 'b'), (1, NULL, 'a')")
    read = read_tables(connection)
    connection.close()
    assert read["journal"] == ({"id": 1, "body": None, "name": "a"}, {"id": 2, "body": b"\x00\xff", "name": "b"})
    assert set(read) == set(TABLES)


def test_the_operation_of_an_envelope_is_read_whatever_its_namespaces_are_called() -> None:
    body = "<soap-env:Envelope><soap-env:Body><ns0:endTransactionRequest><ns0:value>X</ns0:value>"
    assert soap_names(body) == soap_names(body.replace("soap-env:", "").replace("ns0:", "m:")) != ""
