"""How much of charging cards is taken, or done, in one go. See `limits.py`."""

from __future__ import annotations

from statecharts.limit import Bound, Limit

CARDS = Bound(
    name="cards",
    limit=250_000,
    unit="cards",
    reason="more than most operators have customers, 88 to 145 MB measured; a further one is not taken (429)",
)
ROLL_CHANGES = Bound(
    name="roll_changes",
    limit=20_000,
    unit="changes",
    reason="changes of the list that stations should have, some 5 MB; who has an older one gets all anew",
)
LOCAL_LISTS_SERVED = Bound(
    name="local_lists_served",
    limit=16,
    unit="stations",
    reason="stations whose local lists are asked for or sent at a time, so that a change of cards floods no fleet",
)
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
LOCAL_LIST_PIECE = Limit(
    name="local_list_piece",
    limit=100,
    unit="cards",
    reason="cards of a local list in one message where the station takes as many: some 15 kB",
)
