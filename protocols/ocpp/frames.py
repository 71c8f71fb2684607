"""The OCPP-J envelope: CALL, CALLRESULT and CALLERROR as JSON arrays (OCPP-J 1.6, section 4).

Decoding never raises: what is no frame comes back as `Malformed`, which says how to answer it, or as `Ignored`.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct
from ocpp import exceptions as ocpp

from statecharts.limits import OCPP_DESCRIPTION, OCPP_MESSAGE_ID

UNKNOWN_MESSAGE_ID = "-1"
"""Stands for an id that could not be read (OCPP 2.0.1 part 4, 4.2.3, which answers what 1.6 leaves open)."""

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises for untrusted bytes: depth bombs end in a RecursionError."""

ReceivedId = Annotated[str, Meta(min_length=1, max_length=OCPP_MESSAGE_ID.limit)]


class Call(Struct, frozen=True, array_like=True, tag=2):
    message_id: ReceivedId
    action: str
    payload: Raw


class CallResult(Struct, frozen=True, array_like=True, tag=3):
    message_id: ReceivedId
    payload: Raw


class CallError(Struct, frozen=True, array_like=True, tag=4):
    """`description` and `details` may be left out: some stations do."""

    message_id: str
    code: str
    description: str = ""
    details: Any = msgspec.field(default_factory=dict)


class Malformed(Struct, frozen=True):
    """No frame of ours to read. `message_id` is the one to answer with a CALLERROR."""

    message_id: str
    description: str


class Ignored(Struct, frozen=True):
    """To be left unanswered: an unknown message type (J-1.6, 4.1.3) or a broken answer, which is no question."""

    description: str


Frame = Call | CallResult | CallError

_frames: msgspec.json.Decoder[Frame] = msgspec.json.Decoder(Call | CallResult | CallError)
_parts = msgspec.json.Decoder(list[Raw])
_message_id = msgspec.json.Decoder(ReceivedId)
_message_type = msgspec.json.Decoder(int)
_json = msgspec.json.Encoder()


def decode_frame(data: bytes) -> Frame | Malformed | Ignored:
    """The frame these bytes hold, or why they hold none. Never raises."""
    try:
        return _frames.decode(data)
    except NOT_JSON as error:
        return _diagnose(data, str(error))


def _diagnose(data: bytes, description: str) -> Malformed | Ignored:
    """What to do about bytes that are no frame: read again, part by part, as far as they can be read."""
    try:
        parts = _parts.decode(data)
        message_type = _message_type.decode(parts[0])
    except (*NOT_JSON, IndexError):
        return Malformed(UNKNOWN_MESSAGE_ID, description)
    if message_type != Call.__struct_config__.tag:
        return Ignored(description)
    try:
        return Malformed(_message_id.decode(parts[1]), description)
    except (*NOT_JSON, IndexError):
        return Malformed(UNKNOWN_MESSAGE_ID, description)


def encode_call(message_id: str, action: str, payload: bytes) -> bytes:
    return _json.encode(Call(message_id, action, Raw(payload)))


def encode_result(message_id: str, payload: bytes) -> bytes:
    return _json.encode(CallResult(message_id, Raw(payload)))


def encode_error(message_id: str, code: str, description: str) -> bytes:
    """A CALLERROR. Its details are always `{}`: nothing of our inside leaves that way."""
    return _json.encode(CallError(message_id, code, description[: OCPP_DESCRIPTION.limit]))


_ERROR_CODES = {
    error.code.casefold(): error.code
    for error in (
        ocpp.NotImplementedError,
        ocpp.NotSupportedError,
        ocpp.InternalError,
        ocpp.ProtocolError,
        ocpp.SecurityError,
        ocpp.FormationViolationError,
        ocpp.PropertyConstraintViolationError,
        ocpp.OccurenceConstraintViolationError,
        ocpp.TypeConstraintViolationError,
        ocpp.GenericError,
    )
} | {
    # J-1.6 errata 5.1 and 5.2: the specification's own spellings stay, but stations send the correct ones, too.
    ocpp.OccurrenceConstraintViolationError.code.casefold(): ocpp.OccurenceConstraintViolationError.code,
    ocpp.FormatViolationError.code.casefold(): ocpp.FormationViolationError.code,
}


def error_code(received: str) -> str:
    """The error code of OCPP 1.6 that a received one means, whatever its case or spelling; others as they are."""
    return str(_ERROR_CODES.get(received.casefold(), received))
