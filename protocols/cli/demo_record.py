"""The charge record as the Source, the Destination and the station hold it, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from protocols.cli.demo_operators import HOME, LOCAL

_SAME_CDR = ("cdr_id", "authorization_identifier", "user_identifier", "local_service_identifier", "energy_wh",
             "start_timestamp", "end_timestamp")  # fmt: skip
_ROWS = (
    ("user, idTag", "user_identifier", "id_tag"),
    ("start", "start_timestamp", "started_at"),
    ("end", "end_timestamp", "stopped_at"),
    ("energy, Wh", "energy_wh", "energy_wh"),
)
"""What the table compares: its label, the CDR's name for it, the station's."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Both operators' views of the transaction, each with its CDR, and the charge as the station counted it."""

    source: dict[str, Any]
    destination: dict[str, Any]
    station: dict[str, Any]
    seconds: float

    def differences(self) -> Iterator[str]:
        """What is not as it must be after a complete transaction, in words; nothing if all is well."""
        for role, view in (("Source", self.source), ("Destination", self.destination)):
            if view["state"] != "Settled":
                yield f"the {role}'s transaction is {view['state']}, not Settled"
            if not view.get("cdr"):
                yield f"the {role} holds no CDR"
        ours, theirs = self.source.get("cdr") or {}, self.destination.get("cdr") or {}
        for name in _SAME_CDR if ours and theirs else ():
            if ours.get(name) != theirs.get(name):
                yield f"{name} is {ours.get(name)} at the Source, {theirs.get(name)} at the Destination"
        if theirs and theirs.get("energy_wh") != self.station.get("energy_wh"):
            yield f"the CDR says {theirs.get('energy_wh')} Wh, the station {self.station.get('energy_wh')} Wh"
        if theirs and theirs.get("status") != "acknowledged":
            yield f"the Destination's CDR is {theirs.get('status')}, not acknowledged"

    def summary(self) -> dict[str, Any]:
        """The same in one JSON object."""
        ours, theirs = self.source["cdr"], self.destination["cdr"]
        return {
            "authorizationIdentifier": self.source["authorization_identifier"],
            "state": {"source": self.source["state"], "destination": self.destination["state"]},
            "energy_wh": {
                "source": ours["energy_wh"],
                "destination": theirs["energy_wh"],
                "station": self.station["energy_wh"],
            },
            "cdr_id": theirs["cdr_id"],
            "seconds": round(self.seconds, 1),
        }

    def table(self) -> Table:
        """The record side by side, for people."""
        ours, theirs, station = self.source["cdr"], self.destination["cdr"], self.station
        table = Table(title="The charge record (CDR) as each party holds it", title_justify="left")
        for name in ("", f"{HOME} Source", f"{LOCAL} Destination", "station"):
            table.add_column(name, overflow="fold")
        table.add_row("state", self.source["state"], self.destination["state"], f"ended: {station['reason']}")
        table.add_row("CDR", f"{ours['cdr_id']} ({ours['status']})", f"{theirs['cdr_id']} ({theirs['status']})", "")
        for label, name, own in _ROWS:
            table.add_row(label, str(ours[name]), str(theirs[name]), str(station[own]))
        return table


def table_of(all_evidence: Mapping[str, Evidence]) -> Table:
    """The records of the same story told in several versions of OCPP, a line each."""
    table = Table(title="The same in every version of OCPP", title_justify="left")
    for name in ("OCPP", "station", "CDR", f"Wh, {HOME} Source", f"Wh, {LOCAL} Destination", "Wh, station"):
        table.add_column(name)
    for version, evidence in all_evidence.items():
        said = evidence.summary()
        place = evidence.source["cdr"]["local_service_identifier"]
        table.add_row(version, place, said["cdr_id"], *map(str, said["energy_wh"].values()))
    return table
