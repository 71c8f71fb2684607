"""OCPP 2.1: all of 2.0.1, messages that nobody answers, and actions that are taken, checked and recorded as is."""

from __future__ import annotations

from protocols.ocpp.dialect import (
    Commands,
    Dialect,
    Reports,
    plain_commands,
    plain_refusals,
    plain_reports,
    plain_sends,
)
from protocols.ocpp.frames import FRAMING_21
from protocols.ocpp.v2 import tables

_REPORTS = (
    *plain_reports(
        {
            "BatterySwap": {},
            "ClosePeriodicEventStream": {},
            "NotifyDERAlarm": {},
            "NotifyDERStartStop": {},
            "NotifyPriorityCharging": {},
            "NotifySettlement": {},
            "OpenPeriodicEventStream": {"status": "Rejected"},
            "PullDynamicScheduleUpdate": {"status": "Rejected"},
            "ReportDERControl": {},
        }
    ),
    *plain_refusals("GetCertificateChainStatus", "VatNumberValidation"),
    *plain_sends("NotifyPeriodicEventStream"),
)
_COMMANDS = plain_commands(
    "AFRRSignal",
    "AdjustPeriodicEventStream",
    "ChangeTransactionTariff",
    "ClearDERControl",
    "ClearTariffs",
    "GetDERControl",
    "GetPeriodicEventStream",
    "GetTariffs",
    "NotifyAllowedEnergyTransfer",
    "NotifyWebPaymentStarted",
    "RequestBatterySwap",
    "SetDERControl",
    "SetDefaultTariff",
    "UpdateDynamicSchedule",
    "UsePriorityCharging",
)

V21 = Dialect(
    subprotocol="ocpp2.1",
    framing=FRAMING_21,
    reports=Reports("v21", (*tables.REPORTS, *_REPORTS), frozenset()),
    commands=Commands("v21", (*tables.COMMANDS, *_COMMANDS), tables.STATUS),
)
