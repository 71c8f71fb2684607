"""What a flow is made of: steps as plain values, so that Hypothesis can draw them, shrink them and show them."""

from __future__ import annotations

from statecharts.vocabulary import Value


class Step(Value, frozen=True, kw_only=True, tag=True):
    """One thing that we, the user's app or the station do. One that cannot be done just then is left out."""


class Flow(Value, frozen=True, kw_only=True):
    """A transaction's way through a kind of fortune: happy, refused, repeated, late, crossed, malformed, hostile."""

    kind: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return f"{self.kind}: " + ", ".join(map(in_words, self.steps))


def in_words(step: Step) -> str:
    """A step in a few words: "Start own 0"."""
    said = (str(getattr(step, name)) for name in step.__struct_fields__)
    return " ".join([type(step).__name__, *said])


# -- towards any partner -----------------------------------------------------------------------------------------------


class Malformed(Step, frozen=True, kw_only=True):
    """A message that breaks the contract; `how` is a key of `attacks.MALFORMED`."""

    how: str


class Stranger(Step, frozen=True, kw_only=True):
    """A request with credentials that are not ours, `readable` or not; `how` is a key of `attacks.STRANGERS`."""

    how: str
    readable: bool


# -- towards a Destination ---------------------------------------------------------------------------------------------


class Authorize(Step, frozen=True, kw_only=True):
    """`how` is a key of `authorizations.AUTHORIZATIONS`."""

    how: str = "good"


class Start(Step, frozen=True, kw_only=True):
    """`name` is whose authorisation: own, unknown, or guessed from our own; `request` numbers requestIdentifiers."""

    name: str = "own"
    request: int = 0


class Stop(Step, frozen=True, kw_only=True):
    """As `Start`."""

    name: str = "own"
    request: int = 1


class Ask(Step, frozen=True, kw_only=True):
    """For local services: status, unknown (the status of none) or list."""

    what: str


class StationDoes(Step, frozen=True, kw_only=True):
    """plug, meter, unplug, stray (the end of a transaction that there never was) or card (a local driver)."""

    what: str


class StationAnswers(Step, frozen=True, kw_only=True):
    """How it takes the next commands: see `station.Station`."""

    start: str = "accept"
    stop: str = "accept"


class Deaf(Step, frozen=True, kw_only=True):
    """The next report is answered with this HTTP status instead of being acknowledged."""

    status: int = 503


# -- towards a Source --------------------------------------------------------------------------------------------------


class App(Step, frozen=True, kw_only=True):
    """The user's app asks: authorize, start or stop."""

    what: str


class WeAnswer(Step, frozen=True, kw_only=True):
    """How we, the Destination, take what the Source asks next: do, refuse, lose (503), hang or early (report first)."""

    what: str
    how: str


class Report(Step, frozen=True, kw_only=True):
    """notify, progress or end; `how` is good, failed, unknown, other-user, other-operator, other-service or changed."""

    what: str
    how: str = "good"
