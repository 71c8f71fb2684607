"""The OCPP-J envelope: CALL, CALLRESULT and CALLERROR as JSON arrays (OCPP-J 1.6, section 4).

OCPP 2.1 adds two: SEND, a CALL that wants no answer, and CALLRESULTERROR, which refuses a CALLRESULT. What a version
frames differently is its `Framing`. Decoding never raises: what is no frame comes back as `Malformed`, which says how
to answer it, or as `Ignored`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, get_args

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


class CallResultError(Struct, frozen=True, array_like=True, tag=5):
    """OCPP 2.1 part 4: the CALLRESULT with this id could not be taken. Nothing answers it."""

    message_id: str
    code: str
    description: str = ""
    details: Any = msgspec.field(default_factory=dict)


class Send(Struct, frozen=True, array_like=True, tag=6):
    """OCPP 2.1 part 4: a message that is answered neither by a CALLRESULT nor by a CALLERROR."""

    message_id: ReceivedId
    action: str
    payload: Raw


class Malformed(Struct, frozen=True):
    """No frame of ours to read. `message_id` is the one to answer with a CALLERROR of this code."""

    message_id: str
    code: str
    description: str


class Ignored(Struct, frozen=True):
    """To be left unanswered: an unknown message type of 1.6 (J-1.6, 4.1.3), a broken answer or SEND, no questions."""

    description: str


Frame = Call | CallResult | CallError | CallResultError | Send

_CALL = Call.__struct_config__.tag

_parts = msgspec.json.Decoder(list[Raw])
_message_id = msgspec.json.Decoder(ReceivedId)
_message_type = msgspec.json.Decoder(int)
_json = msgspec.json.Encoder()

MESSAGE_TYPE_NOT_SUPPORTED = "MessageTypeNotSupported"
RPC_FRAMEWORK_ERROR = "RpcFrameworkError"
FORMATION_VIOLATION = ocpp.FormationViolationError.code

_EVERYWHERE = (
    ocpp.NotImplementedError.code,
    ocpp.NotSupportedError.code,
    ocpp.InternalError.code,
    ocpp.ProtocolError.code,
    ocpp.SecurityError.code,
    ocpp.PropertyConstraintViolationError.code,
    ocpp.TypeConstraintViolationError.code,
    ocpp.GenericError.code,
)
_SPELLINGS = (
    # J-1.6 errata 5.1 and 5.2: the specification's own spellings stay, but stations send the correct ones, too.
    (ocpp.OccurenceConstraintViolationError.code, ocpp.OccurrenceConstraintViolationError.code),
    (FORMATION_VIOLATION, ocpp.FormatViolationError.code),
)
"""What OCPP 1.6 calls an error, and what OCPP 2.x does."""


class Framing:
    """How one OCPP version frames its messages: the frames and error codes it knows, and what it does about others.

    `frames` is the union of its frames, `unreadable` the code for what is none of them; `unknown_type` is the code for
    other message types, None where they are ignored.
    """

    def __init__(
        self, frames: Any, *, codes: Iterable[str], synonyms: dict[str, str], unreadable: str, unknown_type: str | None
    ) -> None:
        self._frames: msgspec.json.Decoder[Frame] = msgspec.json.Decoder(frames)
        known = get_args(frames)
        self._types = frozenset(frame.__struct_config__.tag for frame in known)
        self._codes = {code.casefold(): code for code in codes}
        self._codes |= {said.casefold(): meant for said, meant in synonyms.items()}
        self._unreadable, self._unknown_type = unreadable, unknown_type
        self.refuses_results = CallResultError in known
        """Whether a CALLRESULT that cannot be taken is answered."""

    def decode(self, data: bytes) -> Frame | Malformed | Ignored:
        """The frame these bytes hold, or why they hold none. Never raises."""
        try:
            return self._frames.decode(data)
        except NOT_JSON as error:
            return self._diagnose(data, str(error))

    def error_code(self, code: str) -> str:
        """What this version calls an error, whatever the case or the spelling; a code nobody knows as it is."""
        return self._codes.get(code.casefold(), code)

    def _diagnose(self, data: bytes, description: str) -> Malformed | Ignored:
        """What to do about bytes that are no frame: read again, part by part, as far as they can be read."""
        try:
            parts = _parts.decode(data)
            message_type = _message_type.decode(parts[0])
        except (*NOT_JSON, IndexError):
            return Malformed(UNKNOWN_MESSAGE_ID, self._unreadable, description)
        if message_type == _CALL:
            return Malformed(_id_in(parts), self._unreadable, description)
        if message_type in self._types or self._unknown_type is None:
            return Ignored(description)
        return Malformed(_id_in(parts), self._unknown_type, "this message type is not known here")


def _id_in(parts: list[Raw]) -> str:
    try:
        return _message_id.decode(parts[1])
    except (*NOT_JSON, IndexError):
        return UNKNOWN_MESSAGE_ID


FRAMING_16 = Framing(
    Call | CallResult | CallError,
    codes=(*_EVERYWHERE, *(old for old, _ in _SPELLINGS)),
    synonyms={new: old for old, new in _SPELLINGS},
    unreadable=FORMATION_VIOLATION,
    unknown_type=None,
)
_CODES_2 = (*_EVERYWHERE, *(new for _, new in _SPELLINGS), MESSAGE_TYPE_NOT_SUPPORTED, RPC_FRAMEWORK_ERROR)
_SYNONYMS_2 = dict(_SPELLINGS)
FRAMING_201 = Framing(
    Call | CallResult | CallError,
    codes=_CODES_2,
    synonyms=_SYNONYMS_2,
    unreadable=RPC_FRAMEWORK_ERROR,
    unknown_type=MESSAGE_TYPE_NOT_SUPPORTED,
)
FRAMING_21 = Framing(
    Call | CallResult | CallError | CallResultError | Send,
    codes=_CODES_2,
    synonyms=_SYNONYMS_2,
    unreadable=RPC_FRAMEWORK_ERROR,
    unknown_type=MESSAGE_TYPE_NOT_SUPPORTED,
)


def encode_call(message_id: str, action: str, payload: bytes) -> bytes:
    return _json.encode(Call(message_id, action, Raw(payload)))


def encode_result(message_id: str, payload: bytes) -> bytes:
    return _json.encode(CallResult(message_id, Raw(payload)))


def encode_error(message_id: str, code: str, description: str) -> bytes:
    """A CALLERROR. Its details are always `{}`: nothing of our inside leaves that way."""
    return _json.encode(CallError(message_id, code, description[: OCPP_DESCRIPTION.limit]))


def encode_result_error(message_id: str, code: str, description: str) -> bytes:
    """A CALLRESULTERROR, with details as in a CALLERROR."""
    return _json.encode(CallResultError(message_id, code, description[: OCPP_DESCRIPTION.limit]))


def encode_send(message_id: str, action: str, payload: bytes) -> bytes:
    return _json.encode(Send(message_id, action, Raw(payload)))
