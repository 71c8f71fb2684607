"""Why a transaction is still open: whose turn it is, and what is awaited of them; until when its chart says."""

from __future__ import annotations

from typing import Any

from statecharts.charging import Charging
from statecharts.destination_events import DestinationTransaction
from statecharts.source_events import SourceTransaction

IN_DOUBT = "word that the charge goes on; without it the charge ends with the last known meter, estimated"

_APP, _PARTNER, _STATION = "the app", "partner", "station"

_AWAITED: dict[str, dict[str, tuple[str, str]]] = {
    "source": {
        "Authorizing": (_PARTNER, "its word on the authorisation"),
        "Ready": (_APP, "a start"),
        "StartTxRequested": (_PARTNER, "word that the charge has begun"),
        "TxRunning": (_PARTNER, "the end of the charge"),
        "StopTxRequested": (_PARTNER, "word that the charge has stopped"),
        "TxFinished": (_PARTNER, "the charge record"),
    },
    "destination": {
        "Ready": (_PARTNER, "a start"),
        "StartTxRequested": (_STATION, "the beginning of the charge: the cable is to be plugged in"),
        "TxRunning": (_STATION, "the end of the charge"),
        "StopTxRequested": (_STATION, "the end of the charge, which it was asked for"),
        "TxFinished": (_PARTNER, "its receipt for the charge record"),
    },
    "local": {
        "StartTxRequested": (_STATION, "the beginning of the charge: the cable is to be plugged in"),
        "TxRunning": (_STATION, "the end of the charge"),
        "StopTxRequested": (_STATION, "the end of the charge, which it was asked for"),
    },
}


def awaited(role: str, data: Any) -> tuple[str, str] | None:
    """Who has to do what next, by name and in words; None of a transaction that is over."""
    found = _AWAITED[role].get(data.state)
    if found is None:
        return None
    owner, what = found
    if isinstance(data, Charging) and owner is _STATION and data.doubted_until is not None:
        what = IN_DOUBT
    return _named(owner, data), what


def _named(owner: str, data: Any) -> str:
    if owner is _STATION and isinstance(data, Charging):
        return f"{_STATION} {data.station}"
    if owner is _PARTNER and isinstance(data, SourceTransaction | DestinationTransaction):
        return f"{_PARTNER} {data.peer}"
    return owner
