"""I5: energy is conserved, in whole watt-hours.

What a station metered and was told is known stands in a transaction exactly, or in the operator's list of orphans, or
as an end whose start was never taken, without energy; an estimate is marked as one and never more than was metered. A
reading is what the samples say that it was made of. A charge record says at its Source what it said at its Destination
and on the wire, and bills nothing that no station metered.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import msgspec

from tests.world.checker import i05_told
from tests.world.checker.evidence import Charge, Evidence, Fact
from tests.world.checker.i05_told import energy_of
from tests.world.checker.verdict import Finding, Notes
from tests.world.checker.wire import moment

UNMETERED = {"energy-unknown", "energy-backwards"}
"""Flags of a charge whose readings make no energy: its record says none."""

REGISTER = "Energy.Active.Import.Register"
WH = {"Wh": 1, "kWh": 1_000}


class Sums(msgspec.Struct):
    """Watt-hours of one world."""

    metered: int = 0
    exact: int = 0
    estimated: int = 0
    orphaned: int = 0
    excused: int = 0
    unexplained: int = 0


def check(evidence: Evidence) -> Finding:
    notes, sums = Notes("I5"), Sums()
    known = [charge for charge in evidence.charges if charge.stop is not None]
    for charge in known:
        _conserved(evidence, notes, sums, charge)
    for (source, cdr_id), rows in evidence.cdrs.items():
        for _, record in rows:
            _record(evidence, notes, sums, source, cdr_id, record)
    _readings(evidence, notes)
    sums.unexplained += i05_told.check(evidence, notes)
    notes.count("Wh unexplained", sums.unexplained, sums.metered)
    notes.count("Wh in estimates and corrections", sums.estimated, sums.metered)
    notes.count("Wh of ends without a start", sums.orphaned, sums.metered)
    notes.count("Wh lost to named damage", sums.excused, sums.metered)
    return notes.finding()


# -- from the station's side -------------------------------------------------------------------------------------------


def _conserved(evidence: Evidence, notes: Notes, sums: Sums, charge: Charge) -> None:
    assert charge.stop is not None
    said = charge.stop.said.payload
    metered = said["meterStop"] - charge.meter_start
    sums.metered += max(0, metered)
    stream, view = _found(evidence, charge)
    if view is not None and _is_exact(view, charge, said):
        sums.exact += max(0, metered)
    elif view is not None and (_is_owned_up(view) or _began_too_late(evidence, view, charge, said)):
        sums.estimated += max(0, metered)
    elif _is_orphan(evidence, charge, said) or (view is not None and _is_end_alone(view, charge, said)):
        sums.orphaned += max(0, metered)
    else:
        excuse = evidence.excuse(charge.node, stream) or evidence.excuse(charge.node, f"station/{charge.station}")
        sums.excused += max(0, metered) if excuse else 0
        sums.unexplained += 0 if excuse else max(1, abs(metered))
        what = f"{charge} metered {metered} Wh, of which {charge.node} knows {_known(view)}"
        notes.object_unless(excuse, what, charge.stop.sight)


def _found(evidence: Evidence, charge: Charge) -> tuple[str, dict[str, Any] | None]:
    """The transaction that this charge became: by its number, else by the authorisation that it names, else by what
    its start said: an answer that failed need not mean that it was not written down. An authorisation that took no
    start may have declined it (misuse): then it is a charge of nobody's that the station went on with.
    """
    number = charge.number if charge.number is not None else evidence.named(charge)
    if number is not None:
        for stream, view in evidence.by_number.get((charge.node, number), ()):
            return stream, view
    stream = f"destination/{charge.id_tag.upper()}"
    named = evidence.views.get((charge.node, stream))
    if charge.number is None and (named is None or named.get("start_timestamp") is None):
        return next(_same_start(evidence, charge), (stream, named))
    return stream, named


def _same_start(evidence: Evidence, charge: Charge) -> Iterator[tuple[str, dict[str, Any]]]:
    place = charge.station, str(charge.connector), charge.meter_start, charge.id_tag
    for (node, stream), view in evidence.views.items():
        names = "local_service_identifier", "connector_identifier", "meter_start_wh", "user_identifier"
        same = node == charge.node and tuple(map(view.get, names)) == place
        if same and moment(view["start_timestamp"]) == charge.began:
            yield stream, view


def _known(view: dict[str, Any] | None) -> str:
    return "nothing" if view is None else f"{view.get('meter_start_wh')} to {view.get('meter_stop_wh')}"


def _is_exact(view: dict[str, Any], charge: Charge, said: dict[str, Any]) -> bool:
    return bool(view.get("meter_start_wh") == charge.meter_start and view.get("meter_stop_wh") == said["meterStop"])


def _is_owned_up(view: dict[str, Any]) -> bool:
    """Whether it says of itself that it is an estimate, and that the truth came later."""
    return {"estimated", "late-stop"} <= set(view.get("flags", ()))


def _is_end_alone(view: dict[str, Any], charge: Charge, said: dict[str, Any]) -> bool:
    """Whether no start of it was ever taken, and it says of itself that it knows an end, and no energy.

    One of OCPP 2.x may have been heard of before its end, and owns up to knowing the energy from there on.
    """
    taken = any(reply.kind == 3 for start in charge.starts for _, reply in start.replies)
    if taken or view.get("meter_stop_wh") != said["meterStop"]:
        return False
    start_wh, flags = view.get("meter_start_wh"), view.get("flags", ())
    return "energy-unknown" in flags if start_wh is None else "estimated" in flags and start_wh >= charge.meter_start


def _is_orphan(evidence: Evidence, charge: Charge, said: dict[str, Any]) -> bool:
    at, meter = moment(said["timestamp"]), said["meterStop"]
    for kept in _kept(evidence, charge, "StopTransaction"):
        if moment(kept["timestamp"]) == at and kept["meter_stop_wh"] == meter:
            return True
    ends = [event for event in _kept(evidence, charge, "TransactionEvent") if event["kind"] == "Ended"]
    return any(moment(event["timestamp"]) == at for event in ends)


def _kept(evidence: Evidence, charge: Charge, kind: str) -> Iterator[dict[str, Any]]:
    """What of this kind its station reported, and stands in the operator's list of open orphans."""
    for row in evidence.rows(charge.node, "orphans"):
        if row["station"] == charge.station and row["kind"] == kind and not row.get("outcome"):
            yield msgspec.json.decode(row["body"])


def _began_too_late(evidence: Evidence, view: dict[str, Any], charge: Charge, said: dict[str, Any]) -> bool:
    """Whether it was made of later events of OCPP 2.x, and its beginning, which came then, is kept for the operator."""
    begins = [event for event in _kept(evidence, charge, "TransactionEvent") if event["kind"] == "Started"]
    kept = any(moment(event["timestamp"]) == charge.began for event in begins)
    return kept and view.get("meter_stop_wh") == said["meterStop"] and view.get("meter_start_wh") != charge.meter_start


# -- from the record's side --------------------------------------------------------------------------------------------


def _record(evidence: Evidence, notes: Notes, sums: Sums, source: str, cdr_id: str, record: dict[str, Any]) -> None:
    destination, _, name = cdr_id.rpartition("/")
    energy = record.get("energy_wh")
    _same_on_the_wire(evidence, notes, sums, source, destination, name, energy)
    for theirs in evidence.made.get((destination, cdr_id), ()):
        if theirs.get("energy_wh") != energy:
            excuse = evidence.excuse(destination, f"destination/{name}")
            sums.unexplained += 0 if excuse else abs((theirs.get("energy_wh") or 0) - (energy or 0))
            what = f"{cdr_id} is {energy} Wh at {source} and {theirs.get('energy_wh')} Wh at {destination}"
            notes.object_unless(excuse, what)
    _metered_by_somebody(evidence, notes, sums, source, destination, name, record)


def _same_on_the_wire(
    evidence: Evidence, notes: Notes, sums: Sums, source: str, destination: str, name: str, energy: int | None
) -> None:
    """One of the messages that the Source took says so, to the watt-hour."""
    taken = [
        each for each in evidence.soap_calls("endTransaction")
        if (each.request.who, each.request.to) == (destination, source) and each.said and each.said.name == name
    ]  # fmt: skip
    told = {each.said.energy_wh for each in taken if each.said and not each.request.forged}
    if energy not in told:
        sums.unexplained += 1
        what = f"{source} holds {energy} Wh for {destination}/{name}, which {destination} never said"
        notes.object(what, *(each.request for each in taken[:2]))


def _metered_by_somebody(
    evidence: Evidence, notes: Notes, sums: Sums, source: str, destination: str, name: str, record: dict[str, Any]
) -> None:
    """A record is of a charge that its station began with this idTag, was accepted, and took no less than is billed."""
    billed = [c for c in evidence.charges if c.node == destination and evidence.is_of(c, f"destination/{name}")]
    energy, flags = record.get("energy_wh"), _flags(evidence, destination, name)
    metered = max((energy_of(charge) for charge in billed), default=0)
    if energy is None:
        if not UNMETERED & flags:
            what = f"the record {destination}/{name} at {source} says no energy, and not why"
            notes.object_unless(evidence.excuse(destination, f"destination/{name}"), what)
    elif energy > metered or (energy != metered and "estimated" not in flags):
        sums.unexplained += abs(energy - metered)
        sights = (charge.truth for charge in billed if charge.truth is not None)
        notes.object(
            f"{source} is billed {energy} Wh for {destination}/{name}, of which {metered} were metered", *sights
        )


def _flags(evidence: Evidence, destination: str, name: str) -> set[str]:
    return set(evidence.views.get((destination, f"destination/{name}"), {}).get("flags", ()))


def _readings(evidence: Evidence, notes: Notes) -> None:
    """A row that holds samples knows what the newest register among them showed, to the watt-hour."""
    rows = (each for node in evidence.nodes for each in evidence.committed[node] if each.sight.type == "MeterRead")
    for placed in rows:
        fact = evidence.fact(placed)
        newest = max(_registers(fact), default=None)
        if newest is not None and fact.get("meter_wh") != newest[1]:
            notes.object(f"a meter that shows {newest[1]} Wh is read as {fact.get('meter_wh')} Wh", placed.sight)


def _registers(fact: Fact) -> Iterator[tuple[Any, Fraction]]:
    """When the whole outlet's energy register was read, and what it showed."""
    for sample in fact.get("samples", ()):
        is_total = sample.get("measurand", REGISTER) == REGISTER and not sample.get("phase")
        if is_total and sample.get("unit", "Wh") in WH:
            yield moment(sample["timestamp"]), Fraction(sample["value"]) * WH[sample.get("unit", "Wh")]
