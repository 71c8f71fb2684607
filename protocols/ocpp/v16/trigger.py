"""OCPP 1.6 TriggerMessage (section 5.17), and the security whitepaper's ExtendedTriggerMessage for the rest."""

from __future__ import annotations

from typing import Any

from protocols.ocpp.dialect import Content
from protocols.ocpp.exchanges import command
from protocols.ocpp.fields import given, present, translation
from statecharts.feature_profiles import PLAIN_TRIGGERS
from statecharts.station_commands import TriggerMessage

_said, _read = translation({"SignChargingStationCertificate": "SignChargePointCertificate"})


def _write_trigger(order: TriggerMessage) -> Content:
    return present(requestedMessage=_said(order.what), connectorId=order.connector_id)


def _read_trigger(payload: Any) -> TriggerMessage:
    return TriggerMessage(what=_read(payload.requestedMessage), connector_id=given(payload.connectorId))


def _is_plain(order: TriggerMessage) -> bool:
    return order.what in PLAIN_TRIGGERS


COMMANDS = (
    command("TriggerMessage", TriggerMessage, _write_trigger, _read_trigger, says=_is_plain),
    command("ExtendedTriggerMessage", TriggerMessage, _write_trigger, _read_trigger),
)
