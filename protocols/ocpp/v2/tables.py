"""The tables of OCPP 2.0.1, which 2.1 has all of: typed exchanges, and plain ones with what they are answered."""

from __future__ import annotations

from protocols.ocpp.dialect import plain_commands, plain_reports
from protocols.ocpp.v2 import firmware, parts, provisioning, remote, smart_charging, transactions, variables

STATUS = frozenset({"status"})
"""A station's answer stands as it said it: a word unknown to us is simply not one of acceptance."""

REPORTS = (
    *provisioning.REPORTS,
    *transactions.REPORTS,
    *parts.REPORTS,
    *plain_reports(
        {
            "ClearedChargingLimit": {},
            "Get15118EVCertificate": {"status": "Failed", "exiResponse": ""},
            "GetCertificateStatus": {"status": "Failed"},
            "NotifyChargingLimit": {},
            "NotifyEVChargingNeeds": {"status": "Rejected"},
            "NotifyEVChargingSchedule": {"status": "Accepted"},
            "PublishFirmwareStatusNotification": {},
        }
    ),
)
COMMANDS = (
    *remote.COMMANDS,
    *variables.COMMANDS,
    *smart_charging.COMMANDS,
    *firmware.COMMANDS,
    *plain_commands(
        "ClearDisplayMessage",
        "ClearVariableMonitoring",
        "CostUpdated",
        "CustomerInformation",
        "GetChargingProfiles",
        "GetDisplayMessages",
        "GetMonitoringReport",
        "GetReport",
        "PublishFirmware",
        "SetDisplayMessage",
        "SetMonitoringBase",
        "SetMonitoringLevel",
        "SetNetworkProfile",
        "SetVariableMonitoring",
        "UnpublishFirmware",
    ),
)
