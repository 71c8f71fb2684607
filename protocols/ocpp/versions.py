"""The OCPP versions that are spoken here, by the subprotocol that names each on a WebSocket."""

from __future__ import annotations

from protocols.ocpp.dialect import Dialect
from protocols.ocpp.v16 import V16
from protocols.ocpp.v21 import V21
from protocols.ocpp.v201 import V201

DIALECTS: dict[str, Dialect] = {dialect.subprotocol: dialect for dialect in (V16, V201, V21)}


def spoken(version: str) -> Dialect:
    """The dialect of a version ("2.0.1"). Raises KeyError for one that is not spoken here."""
    return DIALECTS[f"ocpp{version}"]
