"""What users want, and how they and their apps go about it: each visit follows one of `HABITS`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import trio

from tests.world.apps import App
from tests.world.ground import Ground
from tests.world.history import DriverDid
from tests.world.plan import Roaming
from tests.world.stations import Station

ENDED = frozenset({"Settled", "Refused", "Expired"})
STOPPED = ENDED | {"TxFinished"}


class Visit:
    """One user at one station, with the app of the user's operator."""

    def __init__(self, ground: Ground, app: App, station: Station, plan: Roaming) -> None:
        self.app, self.station, self.plan = app, station, plan
        self.name = f"{plan.user}-at-{plan.begins_s:g}"  # in its keys, which no other visit of its user may use
        self._ground = ground
        self._asked = 0
        self._place = ""
        self._id_tag = ""

    async def happen(self) -> None:
        """From the first wish on until the user has what he came for, or has given up."""
        await trio.sleep_until(self.plan.begins_s)
        self._did(f"({self.plan.habit}) wants to charge at {self.plan.station} of {self.station.plan.operator}")
        await HABITS[self.plan.habit].follow(self)

    # -- what a user can ask -------------------------------------------------------------------------------------------

    async def authorised(self, *, user: str = "", key: str = "") -> bool:
        """Asks for an authorisation; whether there is one."""
        plan = self.plan
        wanted = {
            "user_identifier": user or plan.user,
            "destination": self.station.plan.operator,
            "local_service_identifier": plan.station,
        }
        if plan.connector is not None:
            wanted["connector_identifier"] = plan.connector
        granted = await self.app.until_answered("POST", "/authorizations", key or self._key("authorize"), json=wanted)
        if granted is None or granted["state"] != "Ready":
            return False
        self._place, self._id_tag = f"/transactions/{granted['transaction_id']}", granted["authorization_identifier"]
        return True

    async def started(self) -> bool:
        """Asks to start, and looks whether the car charges."""
        return await self.asked("start") and await self.seen("TxRunning", "Ready", *STOPPED) == "TxRunning"

    async def asked(self, what: str, key: str = "") -> bool:
        """Asks to start or to stop; whether it was not refused."""
        self._did(f"asks to {what}")
        answer = await self.app.until_answered("POST", f"{self._place}/{what}", key or self._key(what))
        return answer is not None

    async def seen(self, *states: str) -> str | None:
        """Waits until the transaction is in one of these states, and says in which."""
        return await self.app.until(self._place, frozenset(states))

    async def stopped(self) -> None:
        """Asks to stop until the charge has stopped, and waits for its record."""
        for _ in range(5):
            await self.asked("stop")
            if await self.seen("TxRunning", *STOPPED) != "TxRunning":
                break
        await self.seen(*ENDED)

    async def charges(self, share: float = 1.0) -> None:
        """Lets the car charge for so much of its time."""
        await trio.sleep(self.plan.lasts_s * share)

    async def pulls_the_cable(self) -> None:
        self._did("pulls the cable")
        await self.station.unplug_charge_of(self._id_tag)

    async def ends_it_at_the_reader(self) -> None:
        self._did("holds his authorisation to the reader, to end the charge")
        await self.station.swipe_charge_of(self._id_tag)

    async def uses_it_as_a_card(self) -> None:
        self._did("holds his authorisation to the station like a card")
        await self.station.plug_and_swipe_offline(self._connector, self._id_tag)

    async def meets_a_driver(self) -> None:
        self._did("meets somebody with a card")
        await self.station.plug_and_swipe(self._connector, f"CARD-OF-{self.plan.user}"[:20])

    @property
    def _connector(self) -> int:
        return int(self.plan.connector or 1)

    def _key(self, what: str) -> str:
        self._asked += 1
        return f"{self.name}-{what}-{self._asked}"

    def _did(self, what: str) -> None:
        self._ground.saw(DriverDid, self.app.name, what=f"{self.plan.user} {what}")


# -- habits ------------------------------------------------------------------------------------------------------------


async def _patient(visit: Visit) -> None:
    if not await visit.authorised():
        return
    if await visit.started():
        await visit.charges()
        await visit.stopped()
    else:
        await visit.charges(0.3)
        await visit.ends_it_at_the_reader()


async def _hasty(visit: Visit) -> None:
    if await visit.authorised() and await visit.asked("start"):
        await visit.stopped()


async def _brief(visit: Visit) -> None:
    if await visit.authorised() and await visit.started():
        await visit.charges(0.01)
        await visit.stopped()


async def _stubborn(visit: Visit) -> None:
    if not await visit.authorised():
        return
    for _ in range(4):
        if await visit.started():
            await visit.charges()
            await visit.stopped()
            return
        await trio.sleep(30)
    await visit.pulls_the_cable()


async def _double(visit: Visit) -> None:
    if await visit.authorised():
        await _at_once(lambda: visit.asked("start"), lambda: visit.asked("start"))
        if await visit.seen("TxRunning", "Ready", *STOPPED) == "TxRunning":
            await visit.charges()
            await _at_once(lambda: visit.asked("stop"), lambda: visit.asked("stop"))
            await visit.stopped()


async def _repeating(visit: Visit) -> None:
    key = f"{visit.name}-once"
    if not await visit.authorised(key=key):
        return
    await visit.authorised(key=key)
    await _at_once(lambda: visit.asked("start", key), lambda: visit.asked("start", key))
    if await visit.seen("TxRunning", "Ready", *STOPPED) == "TxRunning":
        await visit.asked("start", key)
        await visit.charges()
        await visit.asked("stop", key)
        await visit.asked("stop", key)
        await visit.seen(*ENDED)


async def _key_reusing(visit: Visit) -> None:
    key = f"{visit.name}-one-key"
    await visit.authorised(user=f"nobody-like-{visit.plan.user}", key=key)
    await visit.authorised(key=key)
    await _patient(visit)


async def _undecided(visit: Visit) -> None:
    await visit.authorised()


async def _late(visit: Visit) -> None:
    if await visit.authorised():
        await trio.sleep(700)
        await visit.asked("start")
        await visit.asked("stop")


async def _stranger(visit: Visit) -> None:
    await visit.authorised(user=f"stranger-to-{visit.app.operator}")


async def _driving_off(visit: Visit) -> None:
    if await visit.authorised() and await visit.started():
        await visit.charges()
        await visit.pulls_the_cable()
        await visit.seen(*ENDED)


async def _impatient(visit: Visit) -> None:
    """Whether the app ever shows that the car charges does not matter to him."""
    if await visit.authorised():
        await visit.asked("start")
        await visit.charges(0.5)
        await visit.pulls_the_cable()
        await visit.seen(*ENDED)


async def _at_the_reader(visit: Visit) -> None:
    """He ends it with the number of his authorisation, so the station's report of the end names it."""
    if await visit.authorised() and await visit.asked("start"):
        await visit.charges(0.5)
        await visit.ends_it_at_the_reader()
        await visit.seen(*ENDED)


async def _crossing(visit: Visit) -> None:
    """The cable is pulled while the stop is on its way."""
    if await visit.authorised() and await visit.started():
        await visit.charges()
        await _at_once(visit.pulls_the_cable, lambda: visit.asked("stop"))
        await visit.seen(*ENDED)


async def _staying(visit: Visit) -> None:
    if await visit.authorised():
        await visit.started()


async def _misusing(visit: Visit) -> None:
    """The number of an authorisation is held to the station like a card, and nobody asked for a start."""
    if await visit.authorised():
        await visit.uses_it_as_a_card()
        await visit.charges(0.1)
        await visit.asked("start")


async def _outrun(visit: Visit) -> None:
    """Somebody with a card is faster."""
    if await visit.authorised():
        await _at_once(lambda: visit.asked("start"), visit.meets_a_driver)
        await visit.seen(*ENDED, "Ready")


async def _at_once(*wishes: Callable[[], Awaitable[Any]]) -> None:
    async with trio.open_nursery() as nursery:
        for wish in wishes:
            nursery.start_soon(wish)


class Habit(NamedTuple):
    meaning: str
    follow: Callable[[Visit], Awaitable[None]]


HABITS: dict[str, Habit] = {
    "patient": Habit("asks for one thing after the other, and waits for each", _patient),
    "hasty": Habit("stops before the charge has begun", _hasty),
    "brief": Habit("stops as soon as it has begun", _brief),
    "stubborn": Habit("starts again and again where it fails", _stubborn),
    "double": Habit("starts twice and stops twice, at once", _double),
    "repeating": Habit("asks for everything again under one Idempotency-Key", _repeating),
    "key-reusing": Habit("uses a key again for another request", _key_reusing),
    "undecided": Habit("never starts", _undecided),
    "late": Habit("starts when the authorisation has lapsed", _late),
    "stranger": Habit("is not known to his operator", _stranger),
    "driving-off": Habit("pulls the cable instead of stopping", _driving_off),
    "impatient": Habit("charges without a look at the app, and pulls the cable", _impatient),
    "at-the-reader": Habit("ends the charge by his authorisation, held to the reader", _at_the_reader),
    "crossing": Habit("pulls the cable while the stop is on its way", _crossing),
    "staying": Habit("never stops", _staying),
    "misusing": Habit("uses the authorisation as a card, without a start", _misusing),
    "outrun": Habit("asks to start where somebody else holds a card to the reader", _outrun),
}
