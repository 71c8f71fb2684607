"""Two operators' outboxes and inboxes: links lose, repeat, refuse and go down, clients hang up, strangers say what they
have overheard, and nodes die at any write or moment.

The model is what went over the links. Whatever happens, a message is over at its sender only for a reason that was
heard, what was acknowledged stands once in its receiver's journal, nothing is sent that is over, and in the end each
charge has one record with the station's own energy at both.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import trio
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.records import Delivery, DeliveryStatus
from statecharts.station_commands import RemoteStartTransaction
from statecharts.vocabulary import (
    Answered,
    Declined,
    EndTransaction,
    NotifyRequestResult,
    PeerOutcome,
    RequestStartTransaction,
    RequestStopTransaction,
    RoamingRequest,
)
from tests.models.delivery_world import LOST, NO, Car, Habits, World, attempt, message_of, opened
from tests.models.efforts import effort
from tests.models.stage import Stage
from tests.support.house import EPOCH, LinkedClient

WHICH = st.integers(0, 2)
CONNECTORS = (1, 2)
SIDES = st.sampled_from(("home", "local"))
LINKS = st.sampled_from(("there", "back"))
WH = st.integers(1, 3_000)
STEPS = st.integers(0, 9)
HABITS = st.builds(
    Habits,
    rest_after_s=st.sampled_from((0.1, 20, 300)),
    facts_after_snapshot=st.sampled_from((1, 3, 200)),
    in_kwh=st.booleans(),
    deaf_to_results=st.sampled_from((False, False, True)),
)
SENDERS = {"home": "there", "local": "back"}
COMMANDS = (RequestStartTransaction, RequestStopTransaction)
PENDING, DONE, PARKED, LAPSED = DeliveryStatus
Facts = list[tuple[str, str, Any]]


def effect_of(message: RoamingRequest) -> tuple[str, str] | None:
    """The fact that its receiver must have of a message, and its key; None for what leaves none."""
    match message:
        case RequestStartTransaction(request_identifier=name):
            return "StartRequested", name
        case RequestStopTransaction(request_identifier=name):
            return "StopRequested", name
        case NotifyRequestResult(request_identifier=name, request_success=success):
            return "ResultNotified", f"{name} {success}"
        case EndTransaction(authorization_identifier=name):
            return "TransactionEnded", name
    return None


def key_of(kind: str, said: Any) -> tuple[str, str] | None:
    match kind:
        case "StartRequested" | "StopRequested":
            return kind, said["request_identifier"]
        case "ResultNotified":
            return kind, f"{said['request_identifier']} {said['success']}"
        case "TransactionEnded":
            return kind, said["message"]["authorization_identifier"]
    return None


class Outbox:
    """What one operator's outbox said when it was last looked at, and how often each message had been sent by then."""

    def __init__(self, link: LinkedClient) -> None:
        self.link = link
        self.status: dict[str, DeliveryStatus] = {}
        self.sent: dict[str, int] = {}
        self.replayed = False

    def compare(self, rows: Sequence[Delivery], now: datetime) -> None:
        """Nothing is forgotten, nothing is over without a reason, and what is over is not sent again."""
        assert self.status.keys() <= {row.message_id for row in rows}, "nothing that is owed is ever forgotten"
        for row in rows:
            message = message_of(row)
            before, sent = self.status.get(row.message_id, PENDING), self.link.sent.count(message)
            if before is PENDING or (before is PARKED and self.replayed):
                self.check_reason(row, self.outcomes(message), now)
            else:
                assert (row.status, sent) == (before, self.sent[row.message_id]), "what is over stays over, unsent"
            self.status[row.message_id], self.sent[row.message_id] = row.status, sent
        self.replayed = False

    def check_reason(self, row: Delivery, outcomes: list[type[PeerOutcome]], now: datetime) -> None:
        """That a message is over has its reason in what was heard, or in the time."""
        is_command = row.expires_at is not None
        if row.status is DONE:
            assert Answered in outcomes or (Declined in outcomes and is_command)
        elif row.status is PARKED:
            assert Declined in outcomes and not is_command
        elif row.status is LAPSED:
            assert is_command and row.expires_at <= now

    def outcomes(self, message: RoamingRequest) -> list[type[PeerOutcome]]:
        return [type(outcome) for heard, outcome in self.link.heard if heard == message]

    def check_commands(self, rows: Sequence[Delivery]) -> None:
        """A command is never sent after its deadline."""
        until = {str(message_of(row)): row.expires_at for row in rows}
        for message, at in zip(self.link.sent, self.link.sent_at, strict=True):
            if isinstance(message, COMMANDS):
                expires_at = until[str(message)]
                assert expires_at is not None and EPOCH + timedelta(seconds=at) <= expires_at


class DeliveryLife(RuleBasedStateMachine):
    stage: Stage[World]
    world: World

    def open(self, habits: Habits) -> None:
        self.stage = Stage(partial(opened, habits))
        self.world = self.stage.world
        self.outboxes = {name: Outbox(self.world.links[link]) for name, link in SENDERS.items()}

    def act(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        self.stage.step(self.world.living, work, *args)

    def car(self, which: int) -> Car:
        """One of the newest cars."""
        cars = self.world.cars
        return cars[-1 - which % len(cars)]

    # -- apps ----------------------------------------------------------------------------------------------------------

    @initialize(how_far=st.sampled_from(("authorised", "asked", "charging", "charging", "stopping")), habits=HABITS)
    def beginning(self, how_far: str, habits: Habits) -> None:
        """Most lives begin with a charge under way that the Source has heard of."""
        self.open(habits)
        self.a_user_comes()
        assert self.world.cars, "nothing has gone wrong yet"
        if how_far != "authorised":
            self.the_app_starts(which=0)
        if how_far in ("charging", "stopping"):
            self.the_car_charges(which=0, wh=1)  # the meter shows 1.001 kWh, which no float times 1000 makes 1001 of
            self.time_passes(seconds=1)
        if how_far == "stopping":
            self.the_app_stops(which=0)

    @precondition(lambda self: len(self.world.cars) < 4)
    @rule()
    def a_user_comes(self) -> None:
        taken = {car.connector_id for car in self.world.cars if not car.told}
        free = [connector for connector in CONNECTORS if connector not in taken]
        if free:
            self.act(self.world.authorize, free[0])

    @precondition(lambda self: self.world.cars)
    @rule(which=WHICH)
    def the_app_starts(self, which: int) -> None:
        self.act(attempt, self.world.roaming.start, self.car(which).charge)

    @precondition(lambda self: self.world.cars)
    @rule(which=WHICH)
    def the_app_stops(self, which: int) -> None:
        self.act(attempt, self.world.roaming.stop, self.car(which).charge)

    @precondition(lambda self: self.world.cars)
    @rule(which=WHICH, steps=STEPS)
    def the_app_is_gone_before_it_hears_of_what_it_asked(self, which: int, steps: int) -> None:
        self.act(self.world.leave, self.car(which), steps)

    # -- cars and their station ----------------------------------------------------------------------------------------

    @precondition(lambda self: self.world.cars)
    @rule(which=WHICH, wh=WH)
    def the_car_charges(self, which: int, wh: int) -> None:
        self.act(self.world.begin, self.car(which))
        self.act(self.world.meter, self.car(which), wh)

    @precondition(lambda self: self.world.cars)
    @rule(which=WHICH)
    def the_station_obeys(self, which: int) -> None:
        self.act(self.world.obey, self.car(which))

    @precondition(lambda self: self.world.cars)
    @rule(which=WHICH)
    def the_driver_stops(self, which: int) -> None:
        self.act(self.world.end, self.car(which))

    @rule(online=st.booleans())
    def the_station_goes(self, online: bool) -> None:
        self.act(self.world.go, online)

    @rule()
    def the_station_boots(self) -> None:
        self.act(self.world.boot)

    # -- links ---------------------------------------------------------------------------------------------------------

    @rule(link=LINKS, what=st.sampled_from(("call", "answer", "refused")), times=st.integers(1, 3))
    def calls_are_lost(self, link: str, what: str, times: int) -> None:
        client = self.world.links[link]
        if what == "answer":
            client.reply_lost += [True] * times
        else:
            client.script += [LOST if what == "call" else NO] * times

    @rule(link=LINKS)
    def a_link_goes_down_or_up(self, link: str) -> None:
        self.world.links[link].down ^= True

    @precondition(lambda self: self.world.cars)
    @rule(which=WHICH, what=st.sampled_from(("start", "stop")), seconds=st.sampled_from((5, 250, 1_000)))
    def the_app_asks_while_the_other_operator_is_away(self, which: int, what: str, seconds: int) -> None:
        self.world.links["there"].down = True
        self.the_app_starts(which) if what == "start" else self.the_app_stops(which)
        self.time_passes(seconds)
        self.world.links["there"].down = False

    @rule(link=LINKS, which=st.integers(0, 9))
    def an_old_message_comes_again(self, link: str, which: int) -> None:
        self.act(self.world.repeat, link, which)

    @rule(link=LINKS, which=st.integers(0, 9))
    def a_stranger_says_an_old_message(self, link: str, which: int) -> None:
        self.act(self.world.pose, link, which)

    @rule(link=LINKS, steps=STEPS)
    def a_caller_hangs_up(self, link: str, steps: int) -> None:
        self.world.links[link].hangs_up_after.append(steps)

    @rule()
    def the_operator_sends_again_what_is_parked(self) -> None:
        self.outboxes["local"].replayed = True
        self.act(self.world.replay)

    # -- crashes and time ----------------------------------------------------------------------------------------------

    @rule(side=SIDES)
    def a_node_restarts(self, side: str) -> None:
        self.act(self.world.revive, side)

    @rule(side=SIDES, appends=st.integers(1, 3), written=st.booleans())
    def a_node_dies_at_a_write(self, side: str, appends: int, written: bool) -> None:
        """At one that is to come: before it is written, or once it is and nobody has heard of it."""
        blade = self.world.blades[side]
        blade.cut_at, blade.written = blade.appends + appends, written

    @rule(side=SIDES, moments=st.integers(0, 60))
    def a_node_dies_in_a_moment(self, side: str, moments: int) -> None:
        """At any await of what comes next."""
        self.world.doomed = side, moments

    @rule(seconds=st.sampled_from((1, 5, 40, 120, 1_000)))
    def time_passes(self, seconds: int) -> None:
        self.act(trio.sleep, seconds)

    # -- what holds ----------------------------------------------------------------------------------------------------

    @invariant()
    def what_is_over_is_over_for_a_reason_and_what_is_acknowledged_is_done_once(self) -> None:
        now, home, local = self.stage.step(self.world.look)
        for name, (owed, _) in (("home", home), ("local", local)):
            self.outboxes[name].compare(owed, now)
            self.outboxes[name].check_commands(owed)
        self.check_inbox(self.world.links["there"], local[1])
        self.check_inbox(self.world.links["back"], home[1])
        self.check_station(local[1])

    def check_station(self, facts: Facts) -> None:
        """No start is commanded for a request that is not in the journal, nor twice for one, also over a restart; and
        what is known of the meter is what it showed.
        """
        commands = [c for c in self.world.roaming.station.commands if isinstance(c, RemoteStartTransaction)]
        commanded = Counter(f"destination/{command.id_tag}" for command in commands)
        requested = Counter(stream for stream, kind, _ in facts if kind == "StartRequested")
        assert commanded <= requested
        assert {said["meter_wh"] for _, kind, said in facts if kind == "MeterRead"} <= self.world.metered_wh

    def check_inbox(self, link: LinkedClient, facts: Facts) -> None:
        effects = Counter(key for _, kind, said in facts if (key := key_of(kind, said)))
        assert all(count == 1 for count in effects.values()), "nothing is done twice"
        done = {effect_of(message) for message, outcome in link.done if isinstance(outcome, Answered)} - {None}
        assert done <= effects.keys(), "what was acknowledged is durable"

    def teardown(self) -> None:
        try:
            if sys.exception() is None:
                self.stage.step(self.come_to_an_end)
        finally:
            self.stage.close()

    async def come_to_an_end(self) -> None:
        """Once everybody is fair both operators have the station's own energy, or nothing where nothing was charged."""
        world, roaming = self.world, self.world.roaming
        await world.be_fair()
        made = {cdr.authorization_identifier: cdr for cdr in (await roaming.cdrs())[1]}
        for car in world.cars:
            view, data = await roaming.view(car.charge), await roaming.local.data(car.charge.destination)
            expected = "Expired" if car.energy_wh is None else "Settled"
            assert (view.state, data.state) == (expected, expected), (view.flags, data.flags)
            assert all(operation.status != "pending" for operation in view.operations)
            if car.energy_wh is not None:
                assert (data.charge.meter_last_wh or 0) >= car.acknowledged_wh, "what was answered is known"
                assert (await roaming.same_cdr(car.charge)).energy_wh == car.energy_wh
        assert len(made) == sum(car.energy_wh is not None for car in world.cars)
        for house in world.houses.values():
            (peer,) = (await house.operator.peers()).items
            assert (peer.pending_deliveries, peer.parked_deliveries) == (0, 0)
        page = await roaming.local.operator.transactions(role="local", state=None, cursor=None, limit=9)
        assert page.items == (), "nothing of a roaming charge is billed locally"


TestDeliveryLife = DeliveryLife.TestCase
TestDeliveryLife.settings = effort(lives=25, steps=25)
