"""What a node counts while it works, as plain numbers: a few tenths of a microsecond each, read when metrics are asked.

One `Meters` per node, made by node.py and handed to whoever counts. Labels are of small closed sets: a route template,
an action, a status; never what a client made up and never who somebody is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from statecharts.bounds import Watermarks
from statecharts.vocabulary import Value

Labels = tuple[str, ...]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper ends of the classes that durations are counted in; what lasts longer has a class of its own."""

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Tally:
    """How often something has happened, by its labels. `name` is that of the metric."""

    def __init__(self, name: str, meaning: str, labels: Labels) -> None:
        self.name, self.meaning, self.labels = name, meaning, labels
        self._counts: dict[Labels, int] = {}

    def __repr__(self) -> str:
        return f"<Tally {self.name} {sum(self._counts.values())}>"

    def add(self, *labels: str) -> None:
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def __iter__(self) -> Iterator[tuple[Labels, int]]:
        return iter(tuple(self._counts.items()))


class Spread:
    """How values are spread over classes, by their labels: `ends` are the classes' upper ends."""

    def __init__(self, name: str, meaning: str, labels: Labels = (), ends: Sequence[float] = SECONDS) -> None:
        self.name, self.meaning, self.labels, self.ends = name, meaning, labels, ends
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def __repr__(self) -> str:
        return f"<Spread {self.name} {sum(map(sum, self._counts.values()))}>"

    def saw(self, value: float, *labels: str) -> None:
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self.ends) + 1)
            self._sums[labels] = 0.0
        counts[bisect_left(self.ends, value)] += 1
        self._sums[labels] += value

    def __iter__(self) -> Iterator[tuple[Labels, tuple[int, ...], float]]:
        """Labels, how many fell into each class (the last is beyond every end), and the sum of all values."""
        for labels, counts in tuple(self._counts.items()):
            yield labels, tuple(counts), self._sums[labels]


class Reading(Value, frozen=True, kw_only=True):
    """A value that is looked up when metrics are asked: one sample for each combination of label values."""

    name: str
    meaning: str
    labels: Labels = ()
    samples: tuple[tuple[Labels, float], ...]


class Meters:
    """Everything that is counted in one node."""

    def __init__(self) -> None:
        self.watermarks = Watermarks()
        self.http_requests = Spread(
            "roamnode_http_request_duration_seconds",
            "HTTP requests by route, method and status: seconds until the head of the answer",
            ("route", "method", "status"),
        )
        self.http_refused = Tally(
            "roamnode_http_refused_total", "Connections and requests that the listener did not take", ("reason",)
        )
        self.soap_received = Tally(
            "roamnode_soap_received_total",
            "SOAP messages from partners, by what became of them: answered, refused, fault",
            ("operation", "outcome"),
        )
        self.soap_sent = Tally(
            "roamnode_soap_sent_total",
            "SOAP messages to partners, by what came of each attempt: answered, declined, unanswered",
            ("operation", "outcome"),
        )
        self.ocpp_received = Tally(
            "roamnode_ocpp_received_total",
            "Calls of stations, by what they were answered: answered, or the code of a CALLERROR",
            ("action", "outcome"),
        )
        self.ocpp_sent = Tally(
            "roamnode_ocpp_sent_total", "Commands to stations, by what became of them", ("action", "outcome")
        )
        self.ocpp_received_seconds = Spread(
            "roamnode_ocpp_received_seconds",
            "Calls of stations: seconds from their arrival until they were answered",
            ("action",),
        )
        self.ocpp_sent_seconds = Spread(
            "roamnode_ocpp_sent_seconds",
            "Commands to stations that were answered: seconds from the sending until the answer",
            ("action",),
        )
        self.duplicates = Tally(
            "roamnode_duplicates_total",
            "Messages that had been taken before, and were answered as the first time",
            ("sender", "message"),
        )
        self.loop_lag = Spread(
            "roamnode_event_loop_lag_seconds", "How much later than it should a task woke that wakes twice a second"
        )
        self.journal_commits = Spread(
            "roamnode_journal_commit_seconds", "Commits of the journal: seconds until everything in it was durable"
        )
        self.journal_batches = Spread(
            "roamnode_journal_commit_appends", "Commits of the journal: how many appends shared it", ends=SIZES
        )

    def __iter__(self) -> Iterator[Tally | Spread]:
        """Every one, in the order of this page."""
        return (meter for meter in vars(self).values() if isinstance(meter, Tally | Spread))
