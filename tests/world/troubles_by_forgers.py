"""People who have no business in a world: who pretend to be somebody, reach for what is another's, or repeat what they
have overheard. Nothing that they try may have an effect, and nobody's data may be told them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import trio

from tests.world.checker.wire import soap
from tests.world.conversation import Asked
from tests.world.ground import EPOCH
from tests.world.history import ChargeSeen, FrameSent
from tests.world.network import Attempt, Overheard
from tests.world.operators import (
    app_token,
    peer_password,
    room_token,
    small_app_token,
    station_password,
)
from tests.world.plan import StationPlan
from tests.world.strangers import Stranger, basic, bearer, changed, retold
from tests.world.troubles import Trouble, heavy_tail
from tests.world.troubles_at_home import NowAndThen

if TYPE_CHECKING:
    from tests.world.world import World

DAY_S = 86_400.0
APP_PATH = re.compile(r"/api/v1/transactions/([\w-]+)(?:/(?:start|stop))?")
"""What an app asks about one transaction."""

FIRST_MARK = 1_900_000_000
"""Meters that a forger tells of begin here: no honest one ever gets so far."""

REPEATABLE = frozenset({
    "requestStartTransaction", "requestStopTransaction", "notifyRequestResult", "transactionProgressUpdate",
    "endTransaction",
})  # fmt: skip
"""What names the request that it is. An authorize does not (MOBI.Europe): each one is another question."""


class Forgers(NowAndThen):
    """Somebody who tries something again and again, from a host that is nobody else's."""

    def draw(self) -> None:
        self.every_s = self.chance.choice((30.0, 100.0, 300.0))

    async def happen(self, world: World) -> None:
        self._stranger = Stranger(world.ground, world.network, self.name)
        await super().happen(world)

    def overheard(self, world: World, protocol: str) -> list[Overheard]:
        """What has passed so far and is about somebody's charge."""
        return [each for each in world.network.overheard if each.protocol == protocol and _is_of_a_charge(each)]

    def fresh_word(self) -> str:
        """Twelve hexadecimal digits, as an authorizationIdentifier has them."""
        return f"{self.chance.getrandbits(48):012X}"

    def twin(self) -> str:
        return self._stranger.fresh_name("twins")


def _is_of_a_charge(heard: Overheard) -> bool:
    if heard.protocol == "rest":
        return APP_PATH.fullmatch(heard.asked.target) is not None
    said = soap(heard.asked.body.decode())
    return said is not None and said.operation in REPEATABLE | {"authorize"}


# -- who repeats -------------------------------------------------------------------------------------------------------


class Repeaters(Forgers):
    """In some worlds what is repeated is a day old, or its node has been started again since."""

    name: ClassVar[str] = "repeat"
    row: ClassVar[str] = "F25"
    meaning: ClassVar[str] = "somebody sends again what he has overheard: requests with their credentials, frames"

    def draw(self) -> None:
        super().draw()
        self.after_s = self.chance.choice((1.0, 1.0, 60.0, 3_600.0, DAY_S))
        self.restarts = self.chance.random() < 0.3
        if self.after_s == DAY_S:
            self.since_s, self.until_s = DAY_S, DAY_S + self.plan.ends_s
            self.lasts_s = self.until_s

    async def once(self, world: World) -> None:
        if self.restarts and self.chance.random() < 0.1:
            operator = world.operators[self.chance.choice(self.plan.operators)]
            await operator.redeploy(heavy_tail(self.chance, 1, 60))
        await self.chance.choice((self._request, self._request, self._frame))(world)

    async def _request(self, world: World) -> None:
        before = trio.current_time() - self.after_s
        found = [each for each in world.network.overheard if each.at <= before and _is_repeatable(each)]
        if found:
            heard = self.chance.choice(found)
            await self._stranger.ask(heard, heard.asked, Attempt(repeats=heard.exchange))

    async def _frame(self, world: World) -> None:
        before = trio.current_time() - self.after_s
        frames = [each for each in world.ground.history.of(FrameSent) if each.at <= before and _is_report(world, each)]
        if frames:
            sight = self.chance.choice(frames)
            world.stations[sight.who].line.slip_in(sight.text)


def _is_repeatable(heard: Overheard) -> bool:
    if heard.protocol == "rest":
        return "idempotency-key" in {name.lower() for name in heard.asked.headers}
    said = soap(heard.asked.body.decode())
    return said is not None and said.operation in REPEATABLE


def _is_report(world: World, sight: FrameSent) -> bool:
    """Whether it is a station's own word of how a charge began or ended."""
    reports = any(f'"{word}"' in sight.text for word in ("StartTransaction", "StopTransaction", "Started", "Ended"))
    return reports and sight.who in world.stations and not sight.forged


# -- who pretends ------------------------------------------------------------------------------------------------------


class ForgedPartners(Forgers):
    """The request is one that was overheard, made new, with credentials that do not open the door.

    Whatever is wrong with them, and whatever stands in the body, the answer is the same.
    """

    name: ClassVar[str] = "forged-partner"
    row: ClassVar[str] = "F26"
    meaning: ClassVar[str] = "somebody asks as a partner with no, wrong or another service's credentials"

    async def once(self, world: World) -> None:
        heard = self.overheard(world, "soap")
        if not heard:
            return
        one, twin = self.chance.choice(heard), self.twin()
        forged, credentials = self.chance.choice(list(self._credentials(one)))
        asked = changed(made_new(one.asked, self.fresh_word()), authorization=credentials)
        await self._stranger.ask(one, asked, Attempt(forged, twin))
        unknown = changed(asked, authorization=basic(f"NO-{self.fresh_word()}", "a-password-of-nobody"))
        nonsense = asked._replace(body=b"<no><envelope/>")
        other = self.chance.choice((unknown, nonsense)) if credentials else nonsense
        await self._stranger.ask(one, other, Attempt(forged, twin))

    def _credentials(self, heard: Overheard) -> Iterator[tuple[str, str | None]]:
        module, sender, to = _module(heard), heard.sender, heard.to
        other = {"Destination": "Source", "Source": "Destination"}[module]
        yield "no credentials", None
        yield "a wrong password", basic(sender, f"guess-{self.fresh_word()}")
        yield "an empty password", basic(sender, "")
        yield "the password of the other role", basic(sender, peer_password(sender, other, to))
        yield "the node's own password", basic(sender, peer_password(to, other, sender))
        yield "an app's token", bearer(app_token(to))
        for another in self.plan.partners_of(to):
            if another != sender:
                yield "another partner's password", basic(sender, peer_password(another, module, to))
                yield "another partner's name", basic(another, peer_password(sender, module, to))


def _module(heard: Overheard) -> str:
    return "Destination" if "Destination" in heard.url else "Source"


def made_new(asked: Asked, word: str) -> Asked:
    """The envelope as one that was never sent: with another requestIdentifier, other energy, the other result."""
    said = soap(asked.body.decode())
    assert said is not None
    if said.operation == "notifyRequestResult":
        result = {"true": "false", "false": "true"}.get(said.fields.get("requestSuccess", ""), "true")
        return retold(asked, "requestSuccess", result)
    if "energyConsumed" in said.inner:
        return retold(asked, "energyConsumed", "987.654")
    return retold(asked, "requestIdentifier", word)


class PryingPartners(Forgers):
    """A partner with credentials of its own; whether what it asks about exists at all it is not told."""

    name: ClassVar[str] = "prying-partner"
    row: ClassVar[str] = "F27"
    meaning: ClassVar[str] = "a partner asks for, starts, stops or reports another partner's charge, or in its name"

    async def once(self, world: World) -> None:
        heard = [each for each in self.overheard(world, "soap") if self._others(each)]
        if not heard:
            return
        one, word = self.chance.choice(heard), self.fresh_word()
        me, module = self.chance.choice(self._others(one)), _module(one)
        own = basic(me, world.operators[me].presents(module, one.to))
        asked = changed(made_new(one.asked, word), authorization=own)
        said = soap(one.asked.body.decode())
        assert said is not None
        if said.operation == "authorize":
            await self._stranger.ask(one, asked, Attempt("in another partner's name"))
            return
        twin = self.twin()
        await self._stranger.ask(one, asked, Attempt("another partner's charge", twin))
        named = "requestIdentifier" if said.operation == "notifyRequestResult" else "authorizationIdentifier"
        await self._stranger.ask(one, retold(asked, named, self.fresh_word()), Attempt("nobody's charge", twin))

    def _others(self, heard: Overheard) -> tuple[str, ...]:
        return tuple(name for name in self.plan.partners_of(heard.to) if name != heard.sender)


# -- apps and operators ------------------------------------------------------------------------------------------------


class ForgedApps(Forgers):
    name: ClassVar[str] = "forged-app"
    row: ClassVar[str] = "F27"
    meaning: ClassVar[str] = "somebody reads, starts or stops another's charge with no, a wrong or a small token"

    async def once(self, world: World) -> None:
        heard = self.overheard(world, "rest")
        ways: tuple[Callable[[Overheard], Awaitable[None]], ...] = (
            self._without_token, self._of_another_user, self._of_another_user, self._for_another_user,
            self._of_another_role, self._around_the_corner,
        )  # fmt: skip
        if heard:
            await self.chance.choice(ways)(self.chance.choice(heard))

    async def _without_token(self, heard: Overheard) -> None:
        """The same tokens, asked about what is there and about what is not."""
        other = self.chance.choice(self.plan.partners_of(heard.to))
        forged, credentials = self.chance.choice((
            ("no token", None),
            ("a token that nobody has", bearer(f"token-{self.fresh_word()}")),
            ("the token of another operator's app", bearer(app_token(other))),
            ("the token of another operator's people", bearer(room_token(other))),
            ("a partner's password", basic(other, peer_password(other, "Destination", heard.to))),
            ("a partner's password as a token", bearer(peer_password(other, "Destination", heard.to))),
        ))  # fmt: skip
        twin = self.twin()
        asked = changed(heard.asked, authorization=credentials, idempotency_key=self.fresh_word())
        await self._stranger.ask(heard, asked, Attempt(forged, twin))
        await self._stranger.ask(heard, self._unknown(asked), Attempt(forged, twin))

    async def _of_another_user(self, heard: Overheard) -> None:
        """Looks, follows, starts and stops; in some cases under the key that the owner's app has used."""
        place = "/api/v1/transactions/" + _transaction(heard)
        method, path = self.chance.choice((
            (heard.asked.method, heard.asked.target), (heard.asked.method, heard.asked.target),
            ("POST", f"{place}/stop"), ("POST", f"{place}/start"), ("GET", place), ("GET", f"{place}/receipt"),
            ("GET", f"{place}/events"),
        ))  # fmt: skip
        asked = changed(heard.asked._replace(method=method, target=path), authorization=self._small(heard.to))
        if self.chance.random() < 0.5:
            asked = changed(asked, idempotency_key=self.fresh_word())
        twin = self.twin()
        await self._stranger.ask(heard, asked, Attempt("another user's charge", twin))
        await self._stranger.ask(heard, self._unknown(asked), Attempt("nobody's charge", twin))

    async def _for_another_user(self, heard: Overheard) -> None:
        roaming = self.chance.choice(self.plan.roaming)
        station = next(each for each in self.plan.stations if each.identity == roaming.station)
        wanted = {
            "user_identifier": roaming.user,
            "destination": station.operator,
            "local_service_identifier": roaming.station,
        }
        asked = self._json(self._small(heard.to), "POST", "/api/v1/authorizations", wanted)
        await self._stranger.ask(heard, asked, Attempt("for another user"))
        listed = self._json(self._small(heard.to), "GET", f"/api/v1/transactions?user={roaming.user}")
        await self._stranger.ask(heard, listed, Attempt("another user's charges"))

    async def _of_another_role(self, heard: Overheard) -> None:
        partner = self.chance.choice(self.plan.partners_of(heard.to))
        station = self.chance.choice(self.plan.stations).identity
        method, path, body = self.chance.choice((
            ("GET", "/transactions", None),
            ("GET", f"/deliveries?peer={partner}", None),
            ("POST", f"/peers/{partner}/block", None),
            ("POST", f"/stations/{station}/commands", {"command": "reset", "type": "Hard"}),
            ("POST", f"/stations/{station}/transactions", {"connector_id": 1, "id_tag": "CARD0000"}),
            ("POST", f"/transactions/source/{_transaction(heard)}/stop", None),
        ))  # fmt: skip
        token = bearer(self.chance.choice((app_token, small_app_token))(heard.to))
        asked = self._json(token, method, f"/api/v1/operator{path}", body)
        await self._stranger.ask(heard, asked, Attempt("an app's token at the operator's"))

    async def _around_the_corner(self, heard: Overheard) -> None:
        above = self.chance.choice(("..", "%2e%2e", "..%2f..", "..%5c..", "....//.."))
        goal = self.chance.choice(("operator/transactions", "operator/peers", _transaction(heard)))
        asked = self._json(self._small(heard.to), "GET", f"/api/v1/transactions/{above}/{goal}")
        await self._stranger.ask(heard, asked, Attempt("../ in an identifier"))

    def _small(self, operator: str) -> str:
        return bearer(small_app_token(operator))

    def _unknown(self, asked: Asked) -> Asked:
        """The same of a transaction that nobody has."""
        found = asked.target.split("/")
        fresh = changed(asked, idempotency_key=self.fresh_word())
        return fresh._replace(target="/".join([*found[:4], self.fresh_word(), *found[5:]]))

    def _json(self, credentials: str, method: str, target: str, body: dict[str, Any] | None = None) -> Asked:
        headers = {"authorization": credentials, "idempotency-key": self.fresh_word()}
        if body is None:
            return Asked(method, target, headers, b"")
        return Asked(method, target, {**headers, "content-type": "application/json"}, msgspec.json.encode(body))


def _transaction(heard: Overheard) -> str:
    found = APP_PATH.fullmatch(heard.asked.target)
    assert found is not None
    return found[1]


# -- stations ----------------------------------------------------------------------------------------------------------


class ForgedStations(Forgers):
    name: ClassVar[str] = "forged-station"
    row: ClassVar[str] = "F26"
    meaning: ClassVar[str] = "somebody connects as a station with no, a wrong or another station's password or identity"

    async def once(self, world: World) -> None:
        station = self.chance.choice(self.plan.stations)
        forged, path, credentials = self.chance.choice(list(self._knocks(station)))
        await self._stranger.knock(station.operator, path, credentials, forged)

    def _knocks(self, station: StationPlan) -> Iterator[tuple[str, str, str | None]]:
        identity = station.identity
        own, root = station_password(identity), self.chance.choice(("/ocpp", "/websockets"))
        nobody = f"XX-{self.fresh_word()}"
        yield "no password", f"{root}/{identity}", None
        yield "a wrong password", f"{root}/{identity}", basic(identity, f"guess-{self.fresh_word()}")
        yield "an app's token", f"{root}/{identity}", bearer(app_token(station.operator))
        yield "an unknown identity", f"{root}/{nobody}", basic(nobody, own)
        yield "an identity that the password is not of", f"{root}/{nobody}", basic(identity, own)
        yield "no identity", f"{root}/", basic(identity, own)
        yield "../ in its identity", f"{root}/{nobody}/../{identity}", basic(identity, own)
        yield "%2f in its identity", f"{root}/..%2f{identity}", basic(identity, own)
        for other in (each.identity for each in self.plan.stations if each.identity != identity):
            yield "another station's credentials", f"{root}/{identity}", basic(other, station_password(other))
            yield "another station's password", f"{root}/{identity}", basic(identity, station_password(other))


class PryingStations(Forgers):
    """Frames on the line of an honest station, which has nothing to do with them."""

    name: ClassVar[str] = "prying-station"
    row: ClassVar[str] = "F27"
    meaning: ClassVar[str] = "a station stops or meters the charge of another station by its number"

    async def once(self, world: World) -> None:
        """Only numbers that its operator has given to another: with any other it may speak of a charge of its own."""
        ours = self.chance.choice(self.plan.stations)
        station, at_home = ours.identity, {s.identity for s in self.plan.stations if s.operator == ours.operator}
        seen = [each for each in list(world.ground.history.of(ChargeSeen))[-20:] if each.who in at_home - {station}]
        others = sorted({(each.transaction_id, each.id_tag) for each in seen if each.transaction_id})
        if others:
            say = self.chance.choice((self._stop, self._stop, self._meter))
            world.stations[station].line.slip_in(say(*self.chance.choice(others)), "another station's charge")

    def _stop(self, number: int, id_tag: str) -> str:
        """In some cases it names whose charge it is, in some it knows its number only."""
        mark = FIRST_MARK + self.chance.randrange(90_000_000)
        named = {"idTag": id_tag} if self.chance.random() < 0.5 else {}
        said = {"transactionId": number, "meterStop": mark, "timestamp": _now(), "reason": "Local"}
        return self._call("StopTransaction", **said, **named)

    def _meter(self, number: int, _: str) -> str:
        mark = FIRST_MARK + self.chance.randrange(90_000_000)
        register = {"value": str(mark), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        values = [{"timestamp": _now(), "sampledValue": [register]}]
        return self._call("MeterValues", connectorId=1, transactionId=number, meterValue=values)

    def _call(self, action: str, **payload: Any) -> str:
        return msgspec.json.encode([2, self._stranger.fresh_name("f"), action, payload]).decode()


def _now() -> str:
    return (EPOCH + timedelta(seconds=trio.current_time())).isoformat().replace("+00:00", "Z")


FORGERS: tuple[type[Trouble], ...] = (
    Repeaters, ForgedPartners, PryingPartners, ForgedApps, ForgedStations, PryingStations,
)  # fmt: skip
