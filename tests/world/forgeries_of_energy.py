"""Forgeries of what was metered, told and billed (I5)."""

from __future__ import annotations

import msgspec

from tests.world.checker.i05_told import ENDINGS
from tests.world.forging import World


def one_wh_more(world: World) -> None:
    node, row = world.record()
    energy = msgspec.json.decode(row["document"]).get("energy_wh") or 0
    world.change_document(node, "ledger", row, energy_wh=energy + 1)


def one_wh_less_metered(world: World) -> None:
    """The station's own meter shows less than it reported."""
    charges = [c for c in world.charges() if c.truth and world.evidence.is_of(c, f"destination/{c.id_tag.upper()}")]
    truth = world.one(charges).truth
    assert truth is not None and truth.meter_stop_wh is not None
    world.swap(truth, msgspec.structs.replace(truth, meter_stop_wh=truth.meter_stop_wh - 1))


def progress_beyond(world: World) -> None:
    """A progress update tells more than the charge took in the end."""
    told = [e for e in world.evidence.soap_calls("transactionProgressUpdate") if e.said and e.said.energy_wh]
    newest = {each.said.name: each for each in told if each.said}
    sent = world.one(newest.values())
    assert sent.said is not None
    text = sent.said.inner["energyConsumed"]
    body = sent.request.body.replace(f">{text}<", f">{float(text) + 1_000_000}<")
    world.swap(sent.request, msgspec.structs.replace(sent.request, body=body))


def misread(world: World) -> None:
    """A journal knows another reading than its samples show."""
    row = world.one(row for row in world.commits("MeterRead") if "meter_wh" in msgspec.json.decode(row.data))
    fact = msgspec.json.decode(row.data)
    data = msgspec.json.encode({**fact, "meter_wh": fact["meter_wh"] - 1}).decode()
    world.swap(row, msgspec.structs.replace(row, data=data))


def start_forgotten(world: World) -> None:
    """A start that was taken stands nowhere: the transaction says that it knows but its end."""
    known = {charge.number for charge in world.charges()}
    rows = [(n, r) for n, r in world.all_rows("transactions") if r["role"] != "source"]
    mine = [(n, r) for n, r in rows if msgspec.json.decode(r["document"]).get("station_transaction_id") in known]
    node, row = world.one(mine)
    world.change_document(node, "transactions", row, meter_start_wh=None, flags=["energy-unknown"])


def charge_nowhere(world: World) -> None:
    """A charge that was reported and acknowledged stands in no transaction and in no list."""
    charge = world.one(world.charges())
    found = world.evidence.by_number.get((charge.node, charge.number or 0), [])
    gone = {stream for stream, _ in found} | {f"destination/{charge.id_tag.upper()}"}
    rows = world.rows(charge.node, "transactions")
    world.set_rows(charge.node, "transactions", [row for row in rows if row["stream"] not in gone])
    world.set_rows(charge.node, "orphans", [])


def estimated_at_will(world: World) -> None:
    """A charge that nobody stopped is billed by another reading than the last that its meter showed."""
    row = world.one(row for row in world.commits("TransactionStopped") if row.to_state in ENDINGS != row.from_state)
    fact = msgspec.json.decode(row.data)
    kept = {name: fact[name] for name in ("at", "wall_at", "number") if name in fact}
    data = msgspec.json.encode({**kept, "type": "ConnectorTaken"}).decode()
    world.swap(row, msgspec.structs.replace(row, type="ConnectorTaken", data=data))
    mine = [(node, each) for node, each in world.all_rows("transactions") if each["stream"] == row.stream]
    node, view = world.one(mine)
    world.change_document(node, "transactions", view, meter_stop_wh=1, flags=["estimated", "late-stop"])


def progress_kept_back(world: World) -> None:
    """A charge is metered for long, and its Source is never told."""
    for each in list(world.evidence.soap_calls("transactionProgressUpdate")):
        world.drop(each.request, *(placed.sight for placed in (*each.arrivals, *each.answers)))
        if each.outcome is not None:
            world.drop(each.outcome)
    world.one(world.commits("MeterRead", role="destination/"))
