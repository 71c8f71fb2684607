"""docs/stations.md: what of each OCPP version is supported, and what the node does with it, from the dialects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from ocpp import exceptions as ocpp

from protocols.ocpp.dialect import Dialect, Exchange
from statecharts import station_commands as commands
from statecharts import station_reports as reports
from statecharts.vocabulary import Acknowledgement

_HEAD = """# Stations

Every action of every OCPP version that a station may speak, made by `make charts` of the tables that read and write it
(`protocols/ocpp/`); do not edit.

*Typed* actions are translated into words that all versions share (`statecharts/station_reports.py`,
`statecharts/station_commands.py`); *plain* ones are held to their schema and carried as the JSON they are. What we send
is strict. What we take may have fields nobody knows, `null` for what is left out, and in many places words of a
vendor's own: all that is logged and counted.

A *connector* is in OCPP 2.x an EVSE, named by its id. Of the plugs it has, it shows the first of these that one of them
does: Occupied, Reserved, Available, Faulted, Unavailable; Occupied in the words of its transaction's chargingState.

What real stations do beside all this, and what the node makes of it, has [a page of its own](real-stations.md).

Operators read a station's log at `GET /api/v1/operator/stations/{identity}/log`, and send commands by
`POST /api/v1/operator/stations/{identity}/commands` ([the API](api.md)).
"""

LOGGED = "kept in the station's log"
SENT = "sent for an operator, to whom the station's answer is shown"

DOES: dict[type[Any], str] = {
    reports.BootNotification: "registers the station, sets its clock and heartbeat; its open charges are doubted",
    reports.Heartbeat: "answered with our clock",
    reports.StatusNotification: "the connector's state, which confirms a charge there or puts it in doubt",
    reports.AuthorizeIdTag: "checked: our users, and the authorisations that partners were given",
    reports.StartTransaction: "a charge, durable before it is answered; a repeat gets the same number",
    reports.StopTransaction: "ends the charge that it means; of none that we know, kept as an orphan",
    reports.MeterValues: "readings of a charge or of an idle connector; of no charge that we know, an orphan",
    reports.TransactionEvent: "a charge from the event on that says who pays; its readings and its end",
    reports.SignCertificate: f"{LOGGED}; checked, signed and sent (CertificateSigned) if an authority is configured",
    reports.StationDataTransfer: f"{LOGGED}; answered by the handler of its vendor and message, else as unknown",
    commands.RemoteStartTransaction: "for a partner or an operator; the true outcome is the charge that begins",
    commands.RemoteStopTransaction: "for a partner or an operator; the true outcome is the end of the charge",
    commands.TriggerMessage: "sent where a charge is in doubt, for its connector's state and readings; for an operator",
    commands.GetConfiguration: f"{SENT}; of OCPP 2.x without keys the whole report (GetBaseReport) as one answer",
    commands.GetTransactionStatus: "sent where a charge is in doubt: it goes on, or ends with the last known meter",
}
"""What becomes of words that more is done with than to log or to send them."""


def support_page(dialects: Iterable[Dialect]) -> str:
    """The whole page, in Markdown."""
    return _HEAD + "".join(part for dialect in dialects for part in _version(dialect))


def _version(dialect: Dialect) -> Iterator[str]:
    told, asked = dialect.reports.exchanges, dialect.commands.exchanges
    count = len({exchange.action for exchange in (*told, *asked)})
    name = dialect.subprotocol
    yield f"\n## OCPP {name.removeprefix('ocpp')}\n\n{count} actions, subprotocol `{name}`.\n"
    yield f"\n### Reported by a station\n\n{_table(told, LOGGED)}"
    yield f"\n### Asked of a station\n\n{_table(asked, SENT)}"


def _table(exchanges: Iterable[Exchange], otherwise: str) -> str:
    rows = [_row(exchange, otherwise) for exchange in sorted(exchanges, key=lambda each: each.action)]
    return "".join(["| action | in our words | what the node does with it |\n", "|---|---|---|\n", *rows])


def _row(exchange: Exchange, otherwise: str) -> str:
    words = "plain" if exchange.plain else f"`{exchange.request.__name__}`"
    does = DOES.get(exchange.request, otherwise)
    if exchange.plain and exchange.request is reports.PlainReport:
        does = f"{otherwise}; {_answered(exchange)}"
    return f"| `{exchange.action}` | {words} | {does} |\n"


def _answered(exchange: Exchange) -> str:
    if not exchange.answered:
        return "a SEND, which nobody answers"
    try:
        return f"answered `{msgspec.json.encode(exchange.write_answer(Acknowledgement())).decode()}`"
    except ocpp.NotSupportedError:
        return "answered by the error NotSupported"
