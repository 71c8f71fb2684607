"""Whoever sends a value that a field cannot have is told which ones it can."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from protocols.rest.bodies import invalid
from protocols.rest.v1.cdrs import CdrsQuery
from protocols.rest.v1.commands import ANY_COMMAND


@pytest.mark.parametrize(
    ("type_", "sent", "field", "reason"),
    [
        (CdrsQuery, {"status": "lost"}, "status", "'lost' is none of acknowledged, conflict, overdue, parked, pending"),
        (ANY_COMMAND, {"command": "Rest"}, "command", "'Rest' is none of CancelReservation, CentralDataTransfer"),
        (ANY_COMMAND, {"command": "Reset", "kind": "Warm"}, "kind", "'Warm' is none of Hard, Soft"),
        (
            ANY_COMMAND,
            {"command": "GetInstalledCertificateIds", "certificate_types": "x"},
            "certificate_types",
            "Expected",
        ),
        (CdrsQuery, {"limit": 0}, "limit", "Expected `int` >= 1"),
    ],
)
def test_the_values_of_a_field_are_named(type_: Any, sent: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(msgspec.ValidationError) as complaint:
        msgspec.convert(sent, type_)
    (error,) = invalid(complaint.value, type_, sent).errors
    assert error.field == field
    assert error.reason.startswith(reason)
