"""How a simulated station says what befalls its transactions: in the words of OCPP 1.6, or in those of 2.x.

What happens is the same in every version. OCPP 1.6 has a message for the start, one for the end and one for readings,
and the central system numbers transactions. OCPP 2.x has numbered events of a transaction that the station names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from actors.simulated_outbox import UNKNOWN_TRANSACTION, Charge
from statecharts.simulated_events import BeginTransaction, EndTransaction
from statecharts.station_reports import (
    ConnectorStatus,
    MeterSample,
    MeterValues,
    StartTransaction,
    StationReport,
    StopTransaction,
    TransactionEvent,
    TransactionEventKind,
)
from statecharts.station_session import remote_start_id


class Idiom(Protocol):
    """One way to speak. `numbered_evses`: statuses are those of plugs of EVSEs, and none of the station as a whole."""

    numbered_evses: bool

    def begun(self, charge: Charge, effect: BeginTransaction, *, offline: bool) -> StationReport:
        """The start of a transaction."""

    def metered(self, charge: Charge, sample: MeterSample, *, offline: bool) -> StationReport:
        """A reading of a transaction that runs."""

    def shifted(
        self, charge: Charge, status: ConnectorStatus, sample: MeterSample, *, offline: bool
    ) -> StationReport | None:
        """That a transaction goes on in another way, as when the car pauses; None where the status says enough."""

    def ended(self, charge: Charge, effect: EndTransaction, *, offline: bool) -> StationReport:
        """The end of a transaction."""

    def shown(self, status: ConnectorStatus) -> ConnectorStatus:
        """A status as far as this version tells statuses apart."""


class Idiom16:
    """OCPP 1.6."""

    numbered_evses = False

    def begun(self, charge: Charge, effect: BeginTransaction, *, offline: bool) -> StationReport:
        return StartTransaction(
            connector_id=charge.connector_id,
            id_tag=effect.id_tag,
            meter_start_wh=effect.meter_wh,
            timestamp=effect.at,
            reservation_id=effect.reservation_id,
        )

    def metered(self, charge: Charge, sample: MeterSample, *, offline: bool) -> StationReport:
        return MeterValues(connector_id=charge.connector_id, samples=(sample,))

    def shifted(
        self, charge: Charge, status: ConnectorStatus, sample: MeterSample, *, offline: bool
    ) -> StationReport | None:
        return None

    def ended(self, charge: Charge, effect: EndTransaction, *, offline: bool) -> StationReport:
        return StopTransaction(
            transaction_id=UNKNOWN_TRANSACTION,
            meter_stop_wh=effect.meter_wh,
            timestamp=effect.at,
            reason=effect.reason,
            id_tag=effect.id_tag,
        )

    def shown(self, status: ConnectorStatus) -> ConnectorStatus:
        return status


_OCCUPIED = (ConnectorStatus.CHARGING, ConnectorStatus.SUSPENDED_EV, ConnectorStatus.SUSPENDED_EVSE)
_ENDS: Mapping[str, tuple[str, str]] = {
    "DeAuthorized": ("Deauthorized", "DeAuthorized"),
    "EVDisconnected": ("EVCommunicationLost", "EVDisconnected"),
    "HardReset": ("ResetCommand", "ImmediateReset"),
    "Local": ("StopAuthorized", "Local"),
    "PowerLoss": ("AbnormalCondition", "PowerLoss"),
    "Reboot": ("ResetCommand", "Reboot"),
    "Remote": ("RemoteStop", "Remote"),
    "SoftReset": ("ResetCommand", "Reboot"),
    "UnlockCommand": ("UnlockCommand", "Other"),
}
"""Why OCPP 1.6 says that a transaction ended -> the triggerReason and the stoppedReason of 2.x."""

STARTED, UPDATED, ENDED = TransactionEventKind


class Idiom2:
    """OCPP 2.0.1 and 2.1. A transaction begins when a car and a driver are there (TxStartPoint PowerPathClosed)."""

    numbered_evses = True

    def begun(self, charge: Charge, effect: BeginTransaction, *, offline: bool) -> StationReport:
        return TransactionEvent(
            kind=STARTED,
            reference=charge.reference,
            seq_no=charge.next_seq_no(),
            timestamp=effect.at,
            trigger="RemoteStart" if effect.remotely else "Authorized",
            offline=offline,
            connector_id=charge.connector_id,
            id_tag=effect.id_tag,
            remote_start_id=remote_start_id(effect.id_tag) if effect.remotely else None,
            charging_state="Charging",
            reservation_id=effect.reservation_id,
            samples=(_reading(effect, "Transaction.Begin"),),
        )

    def metered(self, charge: Charge, sample: MeterSample, *, offline: bool) -> StationReport:
        trigger = "Trigger" if sample.context == "Trigger" else "MeterValuePeriodic"
        return _update(charge, trigger, sample, offline)

    def shifted(
        self, charge: Charge, status: ConnectorStatus, sample: MeterSample, *, offline: bool
    ) -> StationReport | None:
        return _update(charge, "ChargingStateChanged", sample, offline, status.value)

    def ended(self, charge: Charge, effect: EndTransaction, *, offline: bool) -> StationReport:
        trigger, stopped_reason = _ENDS.get(effect.reason, ("AbnormalCondition", "Other"))
        return TransactionEvent(
            kind=ENDED,
            reference=charge.reference,
            seq_no=charge.next_seq_no(),
            timestamp=effect.at,
            trigger=trigger,
            offline=offline,
            connector_id=charge.connector_id,
            id_tag=effect.id_tag,
            charging_state="Idle" if effect.reason == "EVDisconnected" else "EVConnected",
            stopped_reason=stopped_reason,
            samples=(_reading(effect, "Transaction.End"),),
        )

    def shown(self, status: ConnectorStatus) -> ConnectorStatus:
        """Occupied, which is read as Preparing, is all that 2.x says of a plug with a car."""
        return ConnectorStatus.PREPARING if status in (*_OCCUPIED, ConnectorStatus.FINISHING) else status


def _update(
    charge: Charge, trigger: str, sample: MeterSample, offline: bool, state: str | None = None
) -> TransactionEvent:
    return TransactionEvent(
        kind=UPDATED,
        reference=charge.reference,
        seq_no=charge.next_seq_no(),
        timestamp=sample.timestamp,
        trigger=trigger,
        offline=offline,
        connector_id=charge.connector_id,
        charging_state=state,
        samples=(sample,),
    )


def _reading(effect: BeginTransaction | EndTransaction, context: str) -> MeterSample:
    return MeterSample(timestamp=effect.at, value=str(effect.meter_wh), context=context)


IDIOMS: Mapping[str, Idiom] = {"1.6": Idiom16(), "2.0.1": Idiom2(), "2.1": Idiom2()}
