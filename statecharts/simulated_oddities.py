"""What is odd about the messages of real stations, for simulated ones to show: names, and what each stands for."""

from __future__ import annotations

from collections.abc import Mapping

ODDITIES: Mapping[str, str] = {
    "clock-of-1970": "its clock was never set: it shows 1970",
    "clock-ahead": "its clock is three years ahead",
    "no-zone": "its times name no time zone",
    "kwh": "it meters in kWh",
    "texts": "it writes the registers of its meter as texts",
    "vendor-fields": "its messages have fields of its vendor's own, and null where nothing is meant",
    "final-values-twice": "the readings of an end come twice in it",
    "meter-resets": "its meter begins anew at the end of a charge",
    "no-number": "of OCPP 1.6: it ends and meters charges as number -1",
    "loses-stops": "the end of a charge is never told",
    "loses-answers": "the first answer about each start and end is lost: it says them again, with new message ids",
}
"""All of it is taken; charges are flagged where it matters, and what breaks a schema is counted as a quirk."""
