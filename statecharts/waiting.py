"""Why a transaction is still open: whose turn it is, and what is awaited of them; until when its chart says."""

from __future__ import annotations

from typing import Any, NamedTuple

from statecharts.charging import Charging
from statecharts.destination_events import DestinationTransaction
from statecharts.source_events import SourceTransaction

IN_DOUBT = "word that the charge goes on; without it the charge ends with the last known meter, estimated"

_APP, _PARTNER, _STATION = "the app", "partner", "station"

_BEGIN = ("begin", "the beginning of the charge: the cable is to be plugged in")
_END = ("end", "the end of the charge")
_END_ASKED_FOR = ("end-asked-for", "the end of the charge, which it was asked for")

_AWAITED: dict[str, dict[str, tuple[str, tuple[str, str]]]] = {
    "source": {
        "Authorizing": (_PARTNER, ("authorisation", "its word on the authorisation")),
        "Ready": (_APP, ("start", "a start")),
        "StartTxRequested": (_PARTNER, ("begin", "word that the charge has begun")),
        "TxRunning": (_PARTNER, _END),
        "StopTxRequested": (_PARTNER, ("end-asked-for", "word that the charge has stopped")),
        "TxFinished": (_PARTNER, ("record", "the charge record")),
    },
    "destination": {
        "Ready": (_PARTNER, ("start", "a start")),
        "StartTxRequested": (_STATION, _BEGIN),
        "TxRunning": (_STATION, _END),
        "StopTxRequested": (_STATION, _END_ASKED_FOR),
        "TxFinished": (_PARTNER, ("receipt", "its receipt for the charge record")),
    },
    "local": {
        "StartTxRequested": (_STATION, _BEGIN),
        "TxRunning": (_STATION, _END),
        "StopTxRequested": (_STATION, _END_ASKED_FOR),
    },
}


class Awaited(NamedTuple):
    """Who has to do what next: by name, for programs, and in words."""

    owner: str
    code: str
    what: str


def awaited(role: str, data: Any) -> Awaited | None:
    """What a transaction waits for; None of one that is over."""
    found = _AWAITED[role].get(data.state)
    if found is None:
        return None
    owner, (code, what) = found
    if isinstance(data, Charging) and owner is _STATION and data.doubted_until is not None:
        code, what = "word-of-the-charge", IN_DOUBT
    return Awaited(_named(owner, data), code, what)


def _named(owner: str, data: Any) -> str:
    if owner is _STATION and isinstance(data, Charging):
        return f"{_STATION} {data.station}"
    if owner is _PARTNER and isinstance(data, SourceTransaction | DestinationTransaction):
        return f"{_PARTNER} {data.peer}"
    return owner
