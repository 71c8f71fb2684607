"""A simulated station's messages as real ones would say them: changed, lost or repeated on their way to the wire."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from statecharts.simulated_oddities import ODDITIES

if TYPE_CHECKING:
    from protocols.ocpp.client import StationTransport

Payload = dict[str, Any]
Change = Callable[[str, Payload], None]

_CALL, _RESULT = 2, 3
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=3 * 365)


class OddTransport:
    """Stands between a station's calls and its WebSocket. Raises ValueError for an oddity that there is not."""

    def __init__(self, transport: StationTransport, names: Iterable[str]) -> None:
        wanted = frozenset(names)
        if unknown := wanted - set(ODDITIES):
            raise ValueError(f"no oddity {min(unknown)!r}; there are {', '.join(ODDITIES)}")
        self._transport = transport
        self._changes = [change for name, change in CHANGES.items() if name in wanted]
        self._loses_stops, self._loses_answers = "loses-stops" in wanted, "loses-answers" in wanted
        self._told: set[bytes] = set()
        self._unheard: set[str] = set()
        self._heard, self._hears = trio.open_memory_channel[bytes](math.inf)

    async def run(self) -> None:
        """Sends what is posted until `close`, and takes what comes meanwhile."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hear)
            await self._transport.run()
            nursery.cancel_scope.cancel()

    async def recv(self) -> bytes | None:
        try:
            return await self._hears.receive()
        except trio.EndOfChannel:
            return None

    def post(self, data: bytes) -> None:
        frame = msgspec.json.decode(data)
        if frame[0] != _CALL:
            self._transport.post(data)
            return
        _, number, action, payload = frame
        if self._loses_stops and _ends(action, payload):
            self._heard.send_nowait(msgspec.json.encode([_RESULT, number, {}]))
            return
        if self._loses_answers and (_begins(action, payload) or _ends(action, payload)):
            self._lose_the_first_answer(number, msgspec.json.encode([action, payload]))
        for change in self._changes:
            change(action, payload)
        self._transport.post(msgspec.json.encode([_CALL, number, action, payload]))

    def close(self, code: int, reason: str) -> None:
        self._transport.close(code, reason)

    def _lose_the_first_answer(self, number: str, told: bytes) -> None:
        if told not in self._told:
            self._told.add(told)
            self._unheard.add(number)

    async def _hear(self) -> None:
        with self._heard:
            while (data := await self._transport.recv()) is not None:
                if not self._is_lost(data):
                    self._heard.send_nowait(data)

    def _is_lost(self, data: bytes) -> bool:
        if not self._unheard:
            return False
        kind, number, *_ = msgspec.json.decode(data)
        lost = kind == _RESULT and number in self._unheard
        self._unheard.discard(number)
        return lost


# -- what is told ------------------------------------------------------------------------------------------------------


def _begins(action: str, payload: Payload) -> bool:
    return action == "StartTransaction" or (action == "TransactionEvent" and payload["eventType"] == "Started")


def _ends(action: str, payload: Payload) -> bool:
    return action == "StopTransaction" or (action == "TransactionEvent" and payload["eventType"] == "Ended")


def _each(value: Any, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes every object in this value."""
    if isinstance(value, dict):
        for inner in list(value.values()):
            _each(inner, change)
        change(value)
    elif isinstance(value, list):
        for inner in value:
            _each(inner, change)


def _is_energy(sample: dict[str, Any]) -> bool:
    return "value" in sample and str(sample.get("measurand", "Energy")).startswith("Energy")


def _in_kwh(_: str, payload: Payload) -> None:
    def change(sample: dict[str, Any]) -> None:
        if not _is_energy(sample):
            return
        kwh = float(sample["value"]) / 1000
        if isinstance(sample["value"], str):
            sample.update(value=f"{kwh:.3f}", unit="kWh")
        else:
            sample.update(value=kwh, unitOfMeasure={"unit": "kWh"})

    _each(payload, change)


def _as_texts(_: str, payload: Payload) -> None:
    def change(found: dict[str, Any]) -> None:
        found.update({key: str(found[key]) for key in ("meterStart", "meterStop", "value") if key in found})

    _each(payload, change)


def _with_vendor_fields(_: str, payload: Payload) -> None:
    def change(found: dict[str, Any]) -> None:
        found.update(vendorNote={"firmware": "7.1-beta", "codes": [1, 2]}, vendorSpare=None)

    _each(payload, change)


def _with_times(told: Callable[[str], str]) -> Change:
    def change(found: dict[str, Any]) -> None:
        if "timestamp" in found:
            found["timestamp"] = told(found["timestamp"])

    return lambda _, payload: _each(payload, change)


def _moved(since: Callable[[datetime], datetime]) -> Callable[[str], str]:
    return lambda text: since(datetime.fromisoformat(text)).isoformat().replace("+00:00", "Z")


def _final_values_twice(action: str, payload: Payload) -> None:
    for key in ("transactionData", "meterValue"):
        if _ends(action, payload) and key in payload:
            payload[key] = [*payload[key], *payload[key]]


def _reset_at_the_end(action: str, payload: Payload) -> None:
    def change(sample: dict[str, Any]) -> None:
        if _is_energy(sample):
            sample["value"] = "7" if isinstance(sample["value"], str) else 7.0

    if _ends(action, payload):
        _each(payload, change)
        if "meterStop" in payload:
            payload["meterStop"] = 7


def _without_number(action: str, payload: Payload) -> None:
    if action in ("StopTransaction", "MeterValues") and "transactionId" in payload:
        payload["transactionId"] = -1


CHANGES: dict[str, Change] = {
    "clock-of-1970": _with_times(_moved(lambda at: _UNIX_EPOCH + timedelta(seconds=at.timestamp() % 86_400))),
    "clock-ahead": _with_times(_moved(lambda at: at + _AHEAD)),
    "no-zone": _with_times(lambda text: text.removesuffix("Z")),
    "kwh": _in_kwh,
    "texts": _as_texts,
    "vendor-fields": _with_vendor_fields,
    "final-values-twice": _final_values_twice,
    "meter-resets": _reset_at_the_end,
    "no-number": _without_number,
}
