"""How much of charging cards is taken, or done, in one go. See `limits.py`."""

from __future__ import annotations

from statecharts.limit import Limit

CARDS_FILE = Limit(
    name="cards_file",
    limit=4 * 1024 * 1024,
    unit="bytes",
    reason="some 50,000 cards in one CSV; a longer one is answered 413, more cards come in several",
)
CARDS_READ = Limit(
    name="cards_read",
    limit=200,
    unit="lines",
    reason="lines of a CSV of cards that are read before others have the loop: some 3 ms",
)
CARDS_WRITTEN = Limit(
    name="cards_written",
    limit=500,
    unit="cards",
    reason="cards that are written in one turn of the writer: some 10 ms of its time",
)
CARDS_LOOKED_AT = Limit(
    name="cards_looked_at",
    limit=5_000,
    unit="cards",
    reason="what one page of a filtered list looks through: some 5 ms; the page may then have few cards, and a cursor",
)
WRONG_LINES_SHOWN = Limit(
    name="wrong_lines_shown",
    limit=100,
    unit="errors",
    reason="what is said of the lines of a CSV that are wrong; nobody mends more before the next attempt",
)
