"""Hypothesis strategies: lives of a transaction as the charts know them, and what may befall them on the way.

A flow is a sound life, cut off anywhere, with what belongs to its kind put in between. Less is simpler: Hypothesis
shrinks to the fewest steps that still show what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from protocols.verify.attacks import MALFORMED, STRANGERS
from protocols.verify.options import KINDS, Options, Role
from protocols.verify.steps import (
    App,
    Ask,
    Authorize,
    Deaf,
    Flow,
    Malformed,
    Report,
    Start,
    StationAnswers,
    StationDoes,
    Step,
    Stop,
    Stranger,
    WeAnswer,
)

EXTRAS_MOST = 6
Steps = tuple[Step, ...]
Extras = dict[str, Steps]

_ATTACKS: Extras = {
    "malformed": tuple(Malformed(how=how) for how in MALFORMED),
    "hostile": tuple(Stranger(how=how, readable=readable) for readable in (True, False) for how in STRANGERS),
}

AT_DESTINATION: Extras = {
    "happy": (Ask(what="status"), Ask(what="list"), StationDoes(what="meter")),
    "refused": (
        *(
            Authorize(how=how)
            for how in ("unknown station", "connector 0", "connector 9999", "connector x", "parking", "no user")
        ),
        Start(name="unknown"),
        Stop(name="unknown"),
        Ask(what="unknown"),
        StationAnswers(start="reject"),
        StationAnswers(stop="reject"),
        Start(request=2),
        Stop(request=3),
    ),
    "repeated": (Start(), Start(request=2), Stop(), Stop(request=3), Authorize(), StationDoes(what="unplug")),
    "late": (
        StationAnswers(start="hold"),
        StationAnswers(start="first"),
        StationDoes(what="plug"),
        StationDoes(what="meter"),
        Deaf(),
        Deaf(status=500),
    ),
    "crossed": (
        Stop(request=4),
        Stop(request=0),
        Start(request=5),
        StationAnswers(start="hold"),
        StationDoes(what="unplug"),
        StationDoes(what="stray"),
        StationDoes(what="card"),
    ),
    "hostile": (*_ATTACKS["hostile"], Authorize(how="other operator"), Start(name="guessed"), Stop(name="guessed")),
    "malformed": _ATTACKS["malformed"],
}

AT_SOURCE: Extras = {
    "happy": (Report(what="progress"),),
    "refused": (
        WeAnswer(what="authorize", how="refuse"),
        WeAnswer(what="start", how="refuse"),
        WeAnswer(what="stop", how="refuse"),
        Report(what="notify", how="failed"),
        App(what="start"),
        App(what="stop"),
    ),
    "repeated": (
        Report(what="notify"),
        Report(what="progress"),
        Report(what="end"),
        App(what="start"),
        App(what="stop"),
    ),
    "late": (
        WeAnswer(what="authorize", how="hang"),
        WeAnswer(what="start", how="early"),
        WeAnswer(what="stop", how="early"),
        WeAnswer(what="start", how="lose"),
        WeAnswer(what="stop", how="lose"),
    ),
    "crossed": (Report(what="progress"), Report(what="end"), Report(what="end", how="changed"), App(what="stop")),
    "hostile": (
        *_ATTACKS["hostile"],
        *(
            Report(what="notify", how="unknown"),
            Report(what="progress", how="unknown"),
            Report(what="end", how="unknown"),
        ),
        *(Report(what=what, how=how) for what in ("progress", "end") for how in ("other-user", "other-operator")),
        Report(what="end", how="other-service"),
    ),
    "malformed": _ATTACKS["malformed"],
}


def flows(options: Options) -> dict[str, st.SearchStrategy[Flow]]:
    """What may be said to this partner, by its kind; what is not allowed is left out."""
    at_source = options.role is Role.SOURCE
    lives, extras = (_source_lives(options), AT_SOURCE) if at_source else (_lives(options), AT_DESTINATION)
    sound = [life for each in lives if (life := _usable(each, options))]
    usable = {kind: _usable(extras[kind], options) for kind in KINDS}
    return {
        kind: _flow(kind, sound or [()], steps)
        for kind, steps in usable.items()
        if kind in options.kinds and (steps or (sound and kind == "happy"))
    }


@st.composite
def _flow(draw: st.DrawFn, kind: str, lives: Sequence[Steps], extras: Steps) -> Flow:
    steps = list(draw(st.sampled_from(lives)))
    whole = len(steps)
    # Mostly the whole of it; one choice, so that what is left shrinks to nothing by itself
    steps = steps[: draw(st.sampled_from([*range(0 if extras else 1, whole), *[whole] * 2 * (whole + 1)]))]
    if extras:
        least = 0 if kind == "happy" and steps else 1
        placed = st.sampled_from(extras).flatmap(lambda extra: st.tuples(_places(extra, len(steps)), st.just(extra)))
        # From the end on, so that each place means what it did when it was drawn
        for place, extra in sorted(
            draw(st.lists(placed, min_size=least, max_size=EXTRAS_MOST)), key=_place, reverse=True
        ):
            steps.insert(place, extra)
    return Flow(kind=kind, steps=tuple(steps))


def _places(extra: Step, length: int) -> st.SearchStrategy[int]:
    """Where in a life it means something: how others will answer, from the beginning on; the rest once it has begun."""
    if isinstance(extra, StationAnswers | WeAnswer):
        return st.integers(0, max(0, length - 1))
    return st.integers(min(1, length), length)


def _place(placed: tuple[int, Step]) -> int:
    return placed[0]


def _lives(options: Options) -> Sequence[Steps]:
    """A transaction from its authorisation to its end, by the app or, where we are the station, by the driver."""
    ends: Steps = (Stop(),) if options.station is None else (StationDoes(what="unplug"), Stop())
    begins = Authorize(), Authorize(how="any connector")
    return [(authorize, Start(), end) for authorize in begins for end in ends]


def _source_lives(options: Options) -> Sequence[Steps]:
    """The same at a Source: its user's app asks, we report."""
    if options.app is None:
        return []
    notify, ended = Report(what="notify"), Report(what="end")
    begin: Steps = (App(what="authorize"), App(what="start"), notify)
    return [(*begin, ended), (*begin, App(what="stop"), notify, ended)]


def _usable(steps: Steps, options: Options) -> Steps:
    return tuple(step for step in steps if _allowed(step, options))


_OPERATION: dict[type[Step], str] = {Authorize: "authorize", Start: "start", Stop: "stop"}


def _allowed(step: Step, options: Options) -> bool:
    """Whether the partner may be asked this, and we have what it takes."""
    allowed = options.operations
    match step:
        case Authorize() | Start() | Stop():
            return _OPERATION[type(step)] in allowed
        case Ask(what=what):
            return ("list" if what == "list" else "status") in allowed
        case StationAnswers() | StationDoes():
            return options.station is not None
        case Deaf():
            return "start" in allowed
        case App(what=what):
            return options.app is not None and what in allowed
        case WeAnswer():
            return options.app is not None
        case Report(what=what, how=how):
            return what in allowed and (how == "unknown" or options.app is not None)
        case _:
            return ("notify" if options.role is Role.SOURCE else "authorize") in allowed
