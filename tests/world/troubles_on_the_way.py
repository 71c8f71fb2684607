"""What goes wrong between hosts: requests, answers, and the lines of stations."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import trio

from tests.world.faults import Answer, Exchange, ExchangeFate, Frame, FrameFate
from tests.world.troubles import Trouble, heavy_tail

if TYPE_CHECKING:
    from tests.world.world import World

SHARES = (0.01, 0.1, 0.1, 0.5)
"""How often a link does it: now and then, often, every other time."""

ENVELOPE = '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body>{}</e:Body></e:Envelope>'
OTHER_VERSION = '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body/></e:Envelope>'
FAULT = ENVELOPE.format(
    "<e:Fault><e:Code><e:Value>e:Receiver</e:Value></e:Code>"
    '<e:Reason><e:Text xml:lang="en">a gateway is out of breath</e:Text></e:Reason></e:Fault>'
)
WRONG_ANSWERS = (
    Answer(200, b"<html>It works!</html>", "text/html"),
    Answer(200, b""),
    Answer(200, ENVELOPE.format("<somethingElseResponse/>").encode()),
    Answer(200, ENVELOPE.format("").encode()[:-9]),
    Answer(200, OTHER_VERSION.encode(), "text/xml"),
    Answer(202),
    Answer(302, b"moved", "text/plain"),
    Answer(400, b"<html>Bad Request</html>", "text/html"),
    Answer(401, b"who are you", "text/plain"),
    Answer(403, b"not you", "text/plain"),
    Answer(404, b"<html>Not Found</html>", "text/html"),
    Answer(413, b"", "text/plain"),
    Answer(429, b"", "text/plain"),
    Answer(500, FAULT.encode()),
    Answer(500, b"oops", "text/plain"),
    Answer(502, b"<html>Bad Gateway</html>", "text/html"),
    Answer(503, b"", "text/plain"),
)


class OnTheWay(Trouble):
    """A trouble of requests: in some worlds of partners' alone, in others of apps' too."""

    def draw(self) -> None:
        self.share = self.chance.choice(SHARES)
        self.protocols = self.chance.choice((("soap",), ("soap", "rest"), ("soap", "rest")))

    def of_exchange(self, exchange: Exchange) -> ExchangeFate | None:
        if exchange.protocol not in self.protocols or not self.hits(self.share):
            return None
        self.struck(exchange.sender, f"({exchange.number}) {exchange.operation}")
        return self.fate(exchange)

    def fate(self, exchange: Exchange) -> ExchangeFate:
        raise NotImplementedError


class RequestsDropped(OnTheWay):
    name: ClassVar[str] = "drop-request"
    row: ClassVar[str] = "F1"
    meaning: ClassVar[str] = "a request never arrives, or finds no connection"

    def fate(self, exchange: Exchange) -> ExchangeFate:
        return ExchangeFate(lost=True) if self.chance.random() < 0.7 else ExchangeFate(refused=True)


class AnswersDropped(OnTheWay):
    name: ClassVar[str] = "drop-answer"
    row: ClassVar[str] = "F2"
    meaning: ClassVar[str] = "what was asked is done, and its answer never arrives"

    def fate(self, exchange: Exchange) -> ExchangeFate:
        return ExchangeFate(answer_lost=True) if self.chance.random() < 0.5 else ExchangeFate(answer_broken=True)


class RequestsDuplicated(OnTheWay):
    name: ClassVar[str] = "duplicate-request"
    row: ClassVar[str] = "F3"
    meaning: ClassVar[str] = "a request arrives up to five times, at once or much later"

    def fate(self, exchange: Exchange) -> ExchangeFate:
        return ExchangeFate(copies=self.chance.randint(2, 5), copy_after_s=heavy_tail(self.chance, 0.01, 1_800))


class RequestsReordered(OnTheWay):
    name: ClassVar[str] = "reorder-request"
    row: ClassVar[str] = "F4"
    meaning: ClassVar[str] = "requests overtake each other within a minute"

    def fate(self, exchange: Exchange) -> ExchangeFate:
        return ExchangeFate(delay_s=round(self.chance.uniform(0, 60), 3))


class RequestsDelayed(OnTheWay):
    name: ClassVar[str] = "delay-request"
    row: ClassVar[str] = "F5"
    meaning: ClassVar[str] = "a request takes up to ten minutes"

    def fate(self, exchange: Exchange) -> ExchangeFate:
        return ExchangeFate(delay_s=heavy_tail(self.chance, 0.05, 600))


class AnswersLate(OnTheWay):
    name: ClassVar[str] = "late-answer"
    row: ClassVar[str] = "F7"
    meaning: ClassVar[str] = "an answer comes late, often after whoever asked has given up"

    def fate(self, exchange: Exchange) -> ExchangeFate:
        return ExchangeFate(answer_delay_s=heavy_tail(self.chance, 1, 600))


class AnswersWrong(OnTheWay):
    name: ClassVar[str] = "wrong-answer"
    row: ClassVar[str] = "F8"
    meaning: ClassVar[str] = "something else answers: garbage, 2xx without sense, 3xx, 4xx, 5xx"

    def draw(self) -> None:
        super().draw()
        self.protocols = ("soap",)

    def fate(self, exchange: Exchange) -> ExchangeFate:
        return ExchangeFate(answer=self.chance.choice(WRONG_ANSWERS))


class HangUps(OnTheWay):
    name: ClassVar[str] = "hang-up"
    row: ClassVar[str] = "F10"
    meaning: ClassVar[str] = "whoever asked goes away in the middle of it, noticed or not"

    def fate(self, exchange: Exchange) -> ExchangeFate:
        unnoticed = self.chance.random() < 0.3
        if self.chance.random() < 0.5:
            return ExchangeFate(hang_up_at=self.chance.randint(1, 5), unnoticed=unnoticed)
        return ExchangeFate(hang_up_after_s=round(self.chance.uniform(0, 0.01), 4), unnoticed=unnoticed)


class Partition(Trouble):
    name: ClassVar[str] = "partition"
    row: ClassVar[str] = "F6"
    meaning: ClassVar[str] = "two operators, or an app and its operator, do not reach each other for a while"

    def draw(self) -> None:
        one, other = self.chance.sample(self.plan.operators, 2)
        self.between = frozenset((one, self.chance.choice((other, other, f"app-of-{one}"))))
        self.one_way = self.chance.choice((None, None, one))
        self.silent = self.chance.random() < 0.5
        begins_s = self.chance.uniform(0, self.plan.ends_s)
        self.since_s, self.until_s = begins_s, begins_s + heavy_tail(self.chance, 60, 7_200)

    def of_exchange(self, exchange: Exchange) -> ExchangeFate | None:
        if {exchange.sender, exchange.to} != self.between or not self.hits(1.0):
            return None
        if self.one_way not in (None, exchange.sender):
            return ExchangeFate(answer_lost=True)
        self.struck(exchange.sender, f"({exchange.number}) {exchange.operation}")
        return ExchangeFate(lost=True) if self.silent else ExchangeFate(refused=True)


class PartnerDown(Trouble):
    name: ClassVar[str] = "partner-down"
    row: ClassVar[str] = "F6"
    meaning: ClassVar[str] = "one operator takes no request of a partner for minutes up to seven days"

    def draw(self) -> None:
        self.node = self.chance.choice(self.plan.operators)
        self.since_s = self.chance.uniform(0, self.plan.ends_s)
        away_s = self.chance.choice((60, 600, 600, 3_600, 3_600, 86_400, 604_800))
        self.until_s = self.since_s + away_s
        self.lasts_s = self.until_s
        self.refuses = self.chance.random() < 0.7

    def of_exchange(self, exchange: Exchange) -> ExchangeFate | None:
        if exchange.protocol != "soap" or exchange.to != self.node or not self.hits(1.0):
            return None
        return ExchangeFate(refused=True) if self.refuses else ExchangeFate(lost=True)

    async def happen(self, world: World) -> None:
        await trio.sleep_until(self.since_s)
        self.struck(self.node, f"down for {self.until_s - self.since_s:.0f} s")


# -- lines of stations -------------------------------------------------------------------------------------------------


class OnTheLine(Trouble):
    """A trouble of OCPP messages."""

    def draw(self) -> None:
        self.share = self.chance.choice((0.01, 0.05, 0.1, 0.3))

    def concerns(self, frame: Frame) -> bool:
        return True

    def of_frame(self, frame: Frame) -> FrameFate | None:
        if not self.concerns(frame) or not self.hits(self.share):
            return None
        self.struck(frame.sender, f"({frame.connection}) {frame.text[:60]}")
        return self.fate()

    def fate(self) -> FrameFate:
        raise NotImplementedError


class FramesDropped(OnTheLine):
    name: ClassVar[str] = "drop-frame"
    row: ClassVar[str] = "F1"
    meaning: ClassVar[str] = "an OCPP message is lost"

    def fate(self) -> FrameFate:
        return FrameFate(arrives_after_s=())


class ResultsDropped(OnTheLine):
    name: ClassVar[str] = "drop-result"
    row: ClassVar[str] = "F2"
    meaning: ClassVar[str] = "the CALLRESULT alone is lost: what was called for is done"

    def concerns(self, frame: Frame) -> bool:
        return frame.text.startswith("[3")

    def fate(self) -> FrameFate:
        return FrameFate(arrives_after_s=())


class FramesDuplicated(OnTheLine):
    name: ClassVar[str] = "duplicate-frame"
    row: ClassVar[str] = "F3"
    meaning: ClassVar[str] = "an OCPP message arrives up to five times"

    def fate(self) -> FrameFate:
        copies = self.chance.randint(1, 4)
        return FrameFate(arrives_after_s=(0.0, *(heavy_tail(self.chance, 0.01, 600) for _ in range(copies))))


class FramesReordered(OnTheLine):
    name: ClassVar[str] = "reorder-frame"
    row: ClassVar[str] = "F4"
    meaning: ClassVar[str] = "OCPP messages overtake each other within a minute"

    def fate(self) -> FrameFate:
        return FrameFate(arrives_after_s=(round(self.chance.uniform(0, 60), 3),))


class FramesDelayed(OnTheLine):
    name: ClassVar[str] = "delay-frame"
    row: ClassVar[str] = "F5"
    meaning: ClassVar[str] = "an OCPP message takes up to ten minutes"

    def fate(self) -> FrameFate:
        return FrameFate(arrives_after_s=(heavy_tail(self.chance, 0.05, 600),))


class LinesBreak(OnTheLine):
    name: ClassVar[str] = "break-line"
    row: ClassVar[str] = "F9"
    meaning: ClassVar[str] = "a station's connection breaks in the place of a message"

    def fate(self) -> FrameFate:
        return FrameFate(breaks=True)


class HalfOpen(Trouble):
    name: ClassVar[str] = "half-open"
    row: ClassVar[str] = "F18"
    meaning: ClassVar[str] = "a station's connection carries nothing any more, and neither end is told"

    def draw(self) -> None:
        self.share = self.chance.choice((0.002, 0.01))
        self._dead: set[int] = set()

    def of_frame(self, frame: Frame) -> FrameFate | None:
        if frame.connection not in self._dead:
            if not self.hits(self.share):
                return None
            self._dead.add(frame.connection)
            self.struck(frame.sender, f"({frame.connection})")
        return FrameFate(arrives_after_s=())


class StationsOffline(Trouble):
    name: ClassVar[str] = "stations-offline"
    row: ClassVar[str] = "F33"
    meaning: ClassVar[str] = "stations lose their connection, and get none for minutes up to a day"

    def draw(self) -> None:
        stations = [station.identity for station in self.plan.stations]
        self.stations = self.chance.sample(stations, self.chance.randint(1, len(stations)))
        self.since_s = self.chance.uniform(0, self.plan.ends_s)
        self.until_s = self.since_s + self.chance.choice((30, 300, 1_000, 2_000, 6_000, 6_000, 20_000, 86_400))
        self.lasts_s = self.until_s

    def of_dial(self, station: str, node: str) -> bool:
        return station not in self.stations or not self.hits(1.0)

    async def happen(self, world: World) -> None:
        await trio.sleep_until(self.since_s)
        for station in self.stations:
            self.struck(station, f"offline for {self.until_s - self.since_s:.0f} s")
            world.stations[station].line.cut()


class Storm(Trouble):
    name: ClassVar[str] = "reconnect-storm"
    row: ClassVar[str] = "F17"
    meaning: ClassVar[str] = "all stations drop at once and come back at once, some times over"

    def draw(self) -> None:
        self.times_s = sorted(
            round(self.chance.uniform(0, self.plan.ends_s), 1) for _ in range(self.chance.choice((1, 3, 10)))
        )

    async def happen(self, world: World) -> None:
        for at_s in self.times_s:
            await trio.sleep_until(at_s)
            self.struck("world")
            for station in self.stations_in(world):
                station.line.cut()


class TwoSockets(Trouble):
    name: ClassVar[str] = "two-sockets"
    row: ClassVar[str] = "F18"
    meaning: ClassVar[str] = "a station connects a second time while its first connection stands"

    def draw(self) -> None:
        self.every_s = self.chance.choice((120.0, 600.0, 1_800.0))

    async def happen(self, world: World) -> None:
        while await self.again(self.every_s):
            station = world.stations[self.chance.choice(self.plan.stations).identity]
            self.struck(station.plan.identity)
            with trio.move_on_after(heavy_tail(self.chance, 1, 120)):
                await station.second_socket()


ON_THE_WAY: tuple[type[Trouble], ...] = (
    RequestsDropped, AnswersDropped, RequestsDuplicated, RequestsReordered, RequestsDelayed, AnswersLate, AnswersWrong,
    HangUps, Partition, PartnerDown,
    FramesDropped, ResultsDropped, FramesDuplicated, FramesReordered, FramesDelayed, LinesBreak, HalfOpen,
    StationsOffline, Storm, TwoSockets,
)  # fmt: skip
