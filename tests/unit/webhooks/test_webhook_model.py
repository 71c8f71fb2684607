"""Whatever a receiver answers, and however often the node is killed, its operator's server ends up knowing all."""

from __future__ import annotations

from typing import Any

import msgspec
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from statecharts.webhooks_door import HookAnswer, HookEvent, Letter, NewWebhook
from tests.support.receivers import Receivers
from tests.support.roaming import two_operators
from tests.unit.webhooks.test_webhook_actor import until

ANSWERS = st.sampled_from([None, 200, 204, 302, 404, 422, 500, 503])
STEPS = st.lists(st.sampled_from(["charge", "restart", "pause", "resume", "wait"]), min_size=1, max_size=7)


@settings(max_examples=12, deadline=None)  # each is a life of two operators
@given(STEPS, st.lists(ANSWERS, max_size=30), st.sampled_from([0.0, 0.5, 12.0]))
def test_everything_is_told_in_the_end_each_event_with_one_body(
    steps: list[str], answers: list[int | None], takes_s: float
) -> None:
    trio.run(_lived, steps, answers, takes_s, clock=trio.testing.MockClock(autojump_threshold=0))


async def _lived(steps: list[str], answers: list[int | None], takes_s: float) -> None:
    receivers, taken = Receivers(), set[str]()
    receivers.takes_s = takes_s

    def answered(letter: Letter) -> HookAnswer:
        status = answers.pop() if answers else 200
        if status in (200, 204):
            taken.add(letter.message_id)
        return HookAnswer(status=status, cause="" if status else "no connection could be made")

    async with trio.open_nursery() as nursery, two_operators(nursery) as roaming:
        house = roaming.local
        receivers.answer = answered
        house.webhook_client = house.context.webhook_client = receivers
        await house.context.webhooks.start()
        new = NewWebhook(url="https://erp/", events=(HookEvent.CDR, HookEvent.TRANSACTION))
        made, charges = await house.operator.make_webhook(new, "olga"), 0
        for step in steps:
            match step:
                case "charge":
                    charge = await roaming.running()
                    await roaming.station.stop(charge.number, 5_000)
                    await roaming.settled(charge)
                    await roaming.leave()
                    charges += 1
                case "restart":
                    await house.restart(nursery)
                    await roaming.station.come_online()
                case "pause":
                    await house.operator.pause_webhook(made.id, "olga")
                case "resume":
                    await house.operator.resume_webhook(made.id)
                case "wait":
                    await trio.sleep(30)
        answers.clear()
        await house.operator.resume_webhook(made.id)
        await until(house, made.id, "Idle")
        for given_up in (await house.operator.hook_deliveries(made.id, status="given-up")).items:
            await house.operator.replay_to_hook(made.id, given_up.id)
        await until(house, made.id, "Idle")
        _check(receivers, taken, charges)
        nursery.cancel_scope.cancel()


def _check(receivers: Receivers, taken: set[str], charges: int) -> None:
    bodies: dict[str, bytes] = {}
    for letter in receivers.letters:
        assert bodies.setdefault(letter.message_id, letter.body) == letter.body
    assert set(bodies) == taken
    told: list[Any] = [msgspec.json.decode(body) for body in bodies.values()]
    records = [each["cdr"]["cdr_id"] for each in told if each.get("cdr", {}).get("status") == "acknowledged"]
    settled = [each["transaction"] for each in told if each.get("transaction", {}).get("state") == "Settled"]
    assert len(records) == len(set(records)) == len(settled) == charges
    versions: dict[str, int] = {}
    for each in told:
        if each["event"] == "transaction":
            name, version = each["transaction"]["transaction_id"], each["transaction"]["version"]
            assert versions.get(name, 0) < version, "an older state is told after a newer one"
            versions[name] = version
