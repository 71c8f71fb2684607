"""Messages of stations that break the specification: what was odd about each, and what was done with it."""

from __future__ import annotations

from statecharts.vocabulary import Message, Word


class Handling(Word):
    """What was done with a message that breaks the specification; all but `TAKEN` and `REFUSED` keep it for people."""

    TAKEN = "taken"
    TAKEN_IN_PART = "taken-in-part"
    UNREADABLE = "unreadable"
    REFUSED = "refused"

    @property
    def loses_something(self) -> bool:
        """Whether something was said of a charge that could not be read."""
        return self in (Handling.TAKEN_IN_PART, Handling.UNREADABLE)


class OddMessage(Message, frozen=True, kw_only=True):
    """A message as it came: its OCPP `action`, its payload as text, and in `notes` what is odd about it.

    `model` is the vendor and the model of the station, where the message itself names them.
    """

    action: str
    payload: str
    notes: tuple[str, ...]
    handling: Handling
    model: tuple[str, str] | None = None
