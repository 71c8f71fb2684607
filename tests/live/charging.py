"""Steps that many live tests share: begin a charge, end it, and look at the one record of it."""

from __future__ import annotations

from typing import Any

from tests.live.operators import Operator, Record, Station

Pair = tuple[Operator, Operator]


def authorized(home: Operator, local: Operator, station: Station, connector: int = 1) -> Record:
    """A transaction of anna in Ready."""
    view = home.authorize(local.name, station.identity, connector)
    assert view["state"] == "Ready"
    return view


def begun(pair: Pair, station: Station, connector: int = 1) -> Record:
    """A transaction that is charging, at the station and to both operators, with nothing owed between them."""
    home, local = pair
    view = authorized(home, local, station, connector)
    name = view["authorization_identifier"]
    home.request("start", view["transaction_id"])
    station.wait_for("started", id_tag=name, status="Accepted")
    local.until("destination", name, "TxRunning")
    running = home.until("source", view["transaction_id"], "TxRunning")
    local.until_true(lambda: owed(local), lambda count: count == 0)
    return running


def owed(operator: Operator) -> int:
    """How many messages this operator still owes its partners."""
    peers = operator.desk.get("/api/v1/operator/peers").json()["items"]
    return sum(peer["pending_deliveries"] for peer in peers)


def record_of(operator: Operator, role: str, name: str) -> Record:
    """The one charge record of an authorisation."""
    found = [cdr for cdr in operator.cdrs(role) if cdr["authorization_identifier"] == name]
    assert len(found) == 1, f"{operator.name} has {len(found)} records of {name}"
    return found[0]


def settled(pair: Pair, station: Station, view: Record, **more: Any) -> Record:
    """Waits until both have the record, and checks that it is the same one with the station's own energy."""
    (home, local), name = pair, view["authorization_identifier"]
    home.until("source", view["transaction_id"], "Settled", **more)
    local.until("destination", name, "Settled", **more)
    received, made = record_of(home, "source", name), record_of(local, "destination", name)
    stopped = station.wait_for("stopped", id_tag=name)
    same = ("cdr_id", "energy_wh", "start_timestamp", "end_timestamp", "user_identifier")
    assert [received[key] for key in same] == [made[key] for key in same]
    assert received["cdr_id"] == f"{local.name}/{name}"
    assert received["energy_wh"] == stopped["energy_wh"]
    assert len(station.said("remote_start", id_tag=name)) <= 1, "RemoteStart was sent twice"
    assert len(station.said("stopped", id_tag=name)) == 1
    return received
