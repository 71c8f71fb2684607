"""How much is taken from the pages, or shown on them, in one go. See `limits.py`."""

from __future__ import annotations

from statecharts.limit import Limit

PASSWORDS_AT_ONCE = Limit(
    name="passwords_at_once",
    limit=2,
    unit="passwords",
    reason="compared at a time: each takes 64 MiB and some 50 ms of a processor; others wait for their turn",
)
WRONG_PASSWORDS = Limit(
    name="wrong_passwords_per_minute",
    limit=10,
    unit="passwords",
    reason="wrong passwords that an address may send to the pages in 60 s; then it is answered 429",
)
PASSWORD = Limit(
    name="password",
    limit=200,
    unit="characters",
    reason="of a password that somebody signs in with; a longer one is wrong",
)
COURSE_POINTS = Limit(
    name="course_points",
    limit=1_500,
    unit="points",
    reason="of the course of a charge that are shown: a day of one a minute; of more every second, third, ... is",
)
SERVICES_SHOWN = Limit(
    name="services_shown",
    limit=200,
    unit="services",
    reason="on the driver's map and list, the nearest ones; who looks for others looks elsewhere on the map",
)
CHARGES_SHOWN = Limit(
    name="charges_shown",
    limit=50,
    unit="charges",
    reason="on one page of a list",
)
RECORDS_PLOTTED = Limit(
    name="records_plotted",
    limit=2_000,
    unit="records",
    reason="charge records that the console's overview adds up for its plot of a day",
)
TIMELINE_ENTRIES = Limit(
    name="timeline_entries",
    limit=2_000,
    unit="entries",
    reason="of one transaction's timeline that are shown, the latest ones; the export has all",
)
