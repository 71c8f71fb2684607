"""What a station may say that has gone mad: valid frames of every version, and everything that can go wrong with them.

A `Burst` is what is said on one connection: a pure function of its seed, so that whatever breaks a node is said again.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

NOW = "2026-03-01T12:00:00Z"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_FIN, _MASKED = 0x80, 0x80
FRAME_BYTES_MAX = 65_536

_READING = [{"timestamp": NOW, "sampledValue": [{"value": "1500", "unit": "Wh"}]}]
_READING_2 = [{"timestamp": NOW, "sampledValue": [{"value": 1500.5, "unitOfMeasure": {"unit": "Wh", "multiplier": 0}}]}]
_SHARED: dict[str, Any] = {
    "Heartbeat": {},
    "DataTransfer": {"vendorId": "org.openchargealliance.costmsg", "messageId": "ConnectorUnplugged", "data": "{}"},
    "SecurityEventNotification": {"type": "FirmwareUpdated", "timestamp": NOW},
    "FirmwareStatusNotification": {"status": "Downloading"},
    "SignCertificate": {"csr": "-----BEGIN CERTIFICATE REQUEST-----"},
    "LogStatusNotification": {"status": "Uploading", "requestId": 1},
}
OCPP_16: dict[str, Any] = {
    **_SHARED,
    "BootNotification": {"chargePointVendor": "Mad", "chargePointModel": "Hatter", "firmwareVersion": "1"},
    "StatusNotification": {"connectorId": 1, "errorCode": "NoError", "status": "Charging", "timestamp": NOW},
    "Authorize": {"idTag": "04A1B2C3D4"},
    "MeterValues": {"connectorId": 1, "transactionId": 7, "meterValue": _READING},
    "StopTransaction": {"transactionId": -1, "meterStop": 2_000, "timestamp": NOW, "transactionData": _READING},
    "DiagnosticsStatusNotification": {"status": "Idle"},
}
_TOKEN = {"idToken": "04A1B2C3D4", "type": "ISO14443"}
OCPP_2: dict[str, Any] = {
    **_SHARED,
    "BootNotification": {"chargingStation": {"vendorName": "Mad", "model": "Hatter"}, "reason": "PowerUp"},
    "StatusNotification": {"timestamp": NOW, "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1},
    "Authorize": {"idToken": _TOKEN},
    "MeterValues": {"evseId": 1, "meterValue": _READING_2},
    "TransactionEvent": {"eventType": "Updated", "timestamp": NOW, "triggerReason": "MeterValuePeriodic", "seqNo": 1,
                         "transactionInfo": {"transactionId": "t"}, "evse": {"id": 1}, "meterValue": _READING_2},
    "NotifyEvent": {"generatedAt": NOW, "seqNo": 0, "eventData": [
        {"eventId": 1, "timestamp": NOW, "trigger": "Alerting", "actualValue": "1", "eventNotificationType":
         "HardWiredNotification", "component": {"name": "C"}, "variable": {"name": "V"}}]},
    "NotifyReport": {"requestId": 1, "generatedAt": NOW, "seqNo": 0, "tbc": False},
}  # fmt: skip
BEGINNINGS: dict[str, tuple[str, Any]] = {
    "ocpp1.6": ("StartTransaction", {"connectorId": 1, "idTag": "04A1B2C3D4", "meterStart": 1, "timestamp": NOW}),
    "ocpp2.0.1": ("TransactionEvent", {**OCPP_2["TransactionEvent"], "eventType": "Started", "idToken": _TOKEN}),
    "ocpp2.1": ("TransactionEvent", {**OCPP_2["TransactionEvent"], "eventType": "Started", "idToken": _TOKEN}),
}
"""Each makes a charge that stays: said seldom, or the node has nothing but charges."""

SAID = {"ocpp1.6": OCPP_16, "ocpp2.0.1": OCPP_2, "ocpp2.1": OCPP_2}
SEND = 6

_DEEP = 500
_UNREADABLE = ("\\ud800", "\ud800", '[{"a": ' * (_DEEP // 2 - 1))

_ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31 - 1, 2**31, -(2**31), 2**63, 2**64, 10**300, 0.1, -0.0, 1e308, 5e-324, "", "x",
    "a" * 21, "x" * 300, "y" * 10_000, "\x00", "\ud800", "\u202e", "\U0001f697" * 20, "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z", "2026-13-45T99:99:99Z", "0000-00-00", "1e999", "NaN", "-1", [], {}, [[]], [None],
    {"": None}, {"__proto__": {}},
)  # fmt: skip


@dataclass
class Burst:
    """The bytes of one connection, piece by piece.

    `owed` are the ids of calls of which each must be answered; `breaks` says that a piece is no WebSocket message that
    may pass, so that the node may close instead; with `ends` it is left in the middle.
    """

    pieces: list[bytes] = field(default_factory=list)
    owed: list[str] = field(default_factory=list)
    frames: int = 0
    breaks: bool = False
    ends: bool = False


def burst(seed: str, protocol: str, frames: int) -> Burst:
    """So many frames of a station that speaks this protocol, or fewer, if one of them ends the connection."""
    rng, made = random.Random(seed), Burst()
    for number in range(frames):
        _add_frame(made, rng, protocol, f"{number}-{rng.getrandbits(48):x}")
        made.frames += 1
        if made.breaks:
            break
    return made


def _add_frame(made: Burst, rng: random.Random, protocol: str, name: str) -> None:
    chance = rng.random()
    if chance < 0.008:
        made.breaks = True
        made.pieces.append(rng.choice(_VIOLATIONS)(rng))
    elif chance < 0.01:
        made.breaks = made.ends = True
        made.pieces.append(rng.randbytes(rng.randrange(1, 400)))
    elif chance < 0.012:
        made.breaks = made.ends = True
        whole = frame(_TEXT, _call(rng, protocol, name).encode())
        made.pieces.append(whole[: rng.randrange(1, len(whole))])
    elif chance < 0.06:
        made.pieces.append(frame(rng.choice((_PING, _PONG)), rng.randbytes(rng.randrange(126)), rng))
    else:
        _add_message(made, rng, protocol, name)


def _add_message(made: Burst, rng: random.Random, protocol: str, name: str) -> None:
    kind = rng.random()
    if kind < 0.25:
        text, is_owed = _call(rng, protocol, name), True
    elif kind < 0.65:
        text = _mutated_call(rng, protocol, name)
        # What no parser of JSON takes as a whole is answered, but not by its id: half a character, too deep a nest.
        is_owed = not any(sign in text for sign in _UNREADABLE)
    elif kind < 0.9:
        text, is_owed = _mutated_frame(rng, protocol, name), False
    else:
        text, is_owed = _garbage(rng, _call(rng, protocol, name)), False
    data = text.encode("utf-8", "surrogatepass")
    try:
        data.decode()
    except UnicodeDecodeError:
        made.breaks = True  # RFC 6455 section 8.1: closed with 1007
    made.breaks |= len(data) > FRAME_BYTES_MAX
    if is_owed and not made.breaks:
        made.owed.append(name)
    made.pieces.append(frame(_TEXT, data, rng) if rng.random() < 0.8 else _fragmented(rng, data))


# -- messages ----------------------------------------------------------------------------------------------------------


def _said(rng: random.Random, protocol: str) -> tuple[str, Any]:
    if rng.random() < 0.002:
        action, payload = BEGINNINGS[protocol]
        return action, json.loads(json.dumps(payload).replace('"t"', f'"{rng.getrandbits(32):x}"'))
    action = rng.choice(list(SAID[protocol]))
    return action, json.loads(json.dumps(SAID[protocol][action]))


def _call(rng: random.Random, protocol: str, name: str) -> str:
    return json.dumps([2, name, *_said(rng, protocol)])


def _mutated_call(rng: random.Random, protocol: str, name: str) -> str:
    """A call whose payload is wrong in one to four places."""
    action, payload = _said(rng, protocol)
    for _ in range(rng.randint(1, 4)):
        payload = _mutated(rng, payload)
    return _dumped(rng, [2, name, action, payload if isinstance(payload, dict) else {"x": payload}])


def _mutated_frame(rng: random.Random, protocol: str, name: str) -> str:
    """A frame that is wrong in itself: its type, its id, its action, its length; or an answer to nothing."""
    action, payload = _said(rng, protocol)
    whole: list[Any] = [2, name, action, payload]
    match rng.randrange(8):
        case 0:
            whole[0] = rng.choice([0, 1, 5, 7, 9, -1, 2**40, "2", 2.5, None, [], True])
        case 1:
            whole[1] = rng.choice([None, 7, "", "n" * 37, "n" * 200, [], {}, True, "\x00"])
        case 2:
            whole[2] = rng.choice([None, 7, "", "MakeCoffee", "a" * 5_000, "heartbeat", [], {}, "__class__"])
        case 3:
            whole[3] = rng.choice(_ODD_VALUES)
        case 4:
            whole = whole[: rng.randrange(4)]
        case 5:
            whole += [rng.choice(_ODD_VALUES) for _ in range(rng.randint(1, 5))]
        case 6:
            whole = rng.choice([[3, name, payload], [4, name, "InternalError", "", {}], [4, name], [3], [5, name, "X"]])
        case _:
            whole = [SEND, name, action, payload]
    return _dumped(rng, whole)


def _mutated(rng: random.Random, value: Any) -> Any:
    """The value with one place of it changed: replaced, removed, doubled, or beside a stranger."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name = rng.choice(list(value))
        match rng.randrange(6):
            case 0:
                return {other: each for other, each in value.items() if other != name}
            case 1:
                return {**value, rng.choice(["vendorField", "x" * 60, "", "customData"]): rng.choice(_ODD_VALUES)}
            case _:
                return {**value, name: _mutated(rng, value[name])}
    if isinstance(value, list) and value and rng.random() < 0.7:
        return [_mutated(rng, value[0]), *value[1:]] if rng.random() < 0.7 else value * rng.randint(2, 30)
    if rng.random() < 0.1:
        return _nested(rng.choice([5, 50, _DEEP]))
    return rng.choice(_ODD_VALUES)


def _nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


def _dumped(rng: random.Random, whole: Any) -> str:
    return json.dumps(whole, ensure_ascii=rng.random() < 0.9)


def _garbage(rng: random.Random, text: str) -> str:
    """What is no JSON, or no JSON that anybody wants."""
    place = rng.randrange(len(text))
    return rng.choice([
        text[:place],
        text[:place] + rng.choice('"{}[],:\\\x01x9') + text[place:],
        text[:place] + text[place + 1 :],
        text + text,
        "\ufeff" + text,
        "[" * rng.choice([10, 1_000, 60_000]),
        '{"a":' * 9_000,
        "9" * 30_000,
        "[2,\"x\",\"Heartbeat\",{\"a\":NaN}]",
        "[2,\"x\",\"Heartbeat\",{\"a\":1e99999}]",
        "[2,\"x\",\"Heartbeat\",{\"a\":1,\"a\":2}]",
        "",
        " ",
        "null",
        json.dumps("z" * rng.choice([FRAME_BYTES_MAX - 2, FRAME_BYTES_MAX])),
    ])  # fmt: skip


# -- frames ------------------------------------------------------------------------------------------------------------


def frame(opcode: int, data: bytes, rng: random.Random | None = None, *, first: int = _FIN) -> bytes:
    """One WebSocket frame of a client (RFC 6455 section 5.2), masked."""
    mask = rng.randbytes(4) if rng else b"\0\0\0\0"
    if len(data) < 126:
        size = bytes([_MASKED | len(data)])
    elif len(data) < 2**16:
        size = bytes([_MASKED | 126]) + len(data).to_bytes(2)
    else:
        size = bytes([_MASKED | 127]) + len(data).to_bytes(8)
    return bytes([first | opcode]) + size + mask + _xored(data, mask)


def _xored(data: bytes, mask: bytes) -> bytes:
    if not any(mask):
        return data
    repeated = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(repeated)).to_bytes(len(data))


def _fragmented(rng: random.Random, data: bytes) -> bytes:
    """The same message in up to five frames, with pings between them."""
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 5)))
    parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    made = bytearray()
    for number, part in enumerate(parts):
        made += frame(_TEXT if number == 0 else 0, part, rng, first=_FIN if number == len(parts) - 1 else 0)
        if rng.random() < 0.3 and number < len(parts) - 1:
            made += frame(_PING, b"between", rng)
    return bytes(made)


_VIOLATIONS: tuple[Callable[[random.Random], bytes], ...] = (
    lambda rng: frame(_TEXT, b"[]", first=_FIN | rng.choice([0x10, 0x20, 0x40, 0x70])),  # reserved bits
    lambda rng: frame(rng.choice([3, 4, 5, 6, 7, 11, 12, 15]), b"x"),  # reserved opcodes
    lambda rng: frame(_PING, b"p" * 126),  # a control frame that is too long
    lambda rng: frame(_PING, b"p", first=0),  # and one in fragments
    lambda rng: b"\x81\x02[]",  # not masked
    lambda rng: frame(0, b"more"),  # a continuation of nothing
    lambda rng: frame(_TEXT, b"[2", first=0) + frame(_TEXT, b"[]"),  # a message within another
    lambda rng: frame(_BINARY, rng.randbytes(100)),
    lambda rng: frame(_TEXT, b"\xff\xfe" + rng.randbytes(20)),  # no UTF-8
    lambda rng: frame(_TEXT, b"x" * (FRAME_BYTES_MAX + rng.randrange(1, 5_000))),
    lambda rng: b"\x81\xff" + (2 ** rng.choice([20, 30, 40, 62])).to_bytes(8) + b"\0\0\0\0xx",  # a length alone
    lambda rng: b"\x81\xff" + b"\xff" * 8 + b"\0\0\0\0xx",
    lambda rng: frame(_CLOSE, rng.choice([b"", b"\x03", b"\x03\xe8", b"\x03\xe7", b"\x00\x00", b"\x03\xed", b"\xff\xff",
                                          b"\x03\xe8\xff\xff"])),
)  # fmt: skip


def pieces_of(whole: bytes, rng: random.Random) -> Iterator[bytes]:
    """The same bytes as a slow or a hasty network brings them."""
    while whole:
        size = rng.choice([1, 2, 7, 100, 1_400, 65_536])
        yield whole[:size]
        whole = whole[size:]
