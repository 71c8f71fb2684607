"""Asking a station what has become of charges that are in doubt: what it says or then reports decides.

OCPP 2.x can be asked whether a transaction goes on (GetTransactionStatus); of OCPP 1.6 a connector's state tells that.
How far a charge has come is told by readings (TriggerMessage), in OCPP 2.x by an event of the transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator

from statecharts.station import StationCharge
from statecharts.station_commands import CallOutcome, GetTransactionStatus, StationCommand, TriggerMessage

_UNABLE = frozenset({"NotImplemented", "NotSupported"})
"""The station's own word for one message, or the code of its CALLERROR for the command as a whole."""

Told = Callable[[int, CallOutcome], None]


class Enquiry:
    """Asks one station, about one charge after the other. What it cannot be asked for it is not asked for again.

    `told` gets what it says of the charge of a number, whether that goes on.
    """

    def __init__(self, command: Callable[[StationCommand], Awaitable[CallOutcome]], told: Told) -> None:
        self._command, self._told = command, told
        self._unable: set[str] = set()
        self._under_way: set[int] = set()

    def booted(self) -> None:
        """Another firmware may be able to do more."""
        self._unable.clear()

    async def ask(self, charges: Iterable[StationCharge]) -> None:
        """Asks about these charges, and for the states and readings of their connectors, unless that is under way."""
        for charge in charges:
            if charge.number in self._under_way:
                continue
            self._under_way.add(charge.number)
            try:
                await self._ask(charge)
            finally:
                self._under_way.discard(charge.number)

    async def _ask(self, charge: StationCharge) -> None:
        for what, command in _questions(charge):
            if what in self._unable:
                continue
            outcome = await self._command(command)
            if outcome.status in _UNABLE:
                self._unable.add(what)
            elif isinstance(command, GetTransactionStatus):
                self._told(charge.number, outcome)


def _questions(charge: StationCharge) -> Iterator[tuple[str, StationCommand]]:
    """What a station is asked about a charge, and by which name it may turn out to be unable to answer."""
    if charge.reference:
        yield "GetTransactionStatus", GetTransactionStatus(transaction_id=charge.number)
    for what in ("StatusNotification", "TransactionEvent" if charge.reference else "MeterValues"):
        yield what, TriggerMessage(what=what, connector_id=charge.start.connector_id)
