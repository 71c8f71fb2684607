"""The OCPP-J envelope: what is a frame, and what happens to what is none."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ocpp.frames import (
    FRAMING_16,
    FRAMING_21,
    FRAMING_201,
    Call,
    CallError,
    CallResult,
    CallResultError,
    Framing,
    Ignored,
    Malformed,
    Send,
    encode_call,
    encode_error,
    encode_result,
    encode_result_error,
    encode_send,
)

FRAMINGS = {FRAMING_16: "1.6", FRAMING_201: "2.0.1", FRAMING_21: "2.1"}
EVERY_FRAMING = pytest.mark.parametrize("framing", FRAMINGS, ids=FRAMINGS.values())

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=36)
PAYLOADS = st.dictionaries(st.text("abc"), st.integers() | st.text("abc")).map(msgspec.json.encode)


@EVERY_FRAMING
@given(message_id=IDS, action=st.text("abc"), payload=PAYLOADS)
def test_frames_are_read_as_they_were_written(framing: Framing, message_id: str, action: str, payload: bytes) -> None:
    call = framing.decode(encode_call(message_id, action, payload))
    assert isinstance(call, Call)
    assert (call.message_id, call.action, bytes(call.payload)) == (message_id, action, payload)
    result = framing.decode(encode_result(message_id, payload))
    assert isinstance(result, CallResult)
    assert (result.message_id, bytes(result.payload)) == (message_id, payload)
    error = framing.decode(encode_error(message_id, "GenericError", "why"))
    assert error == CallError(message_id, "GenericError", "why")


@given(message_id=IDS, action=st.text("abc"), payload=PAYLOADS)
def test_the_frames_of_2_1_are_read_as_they_were_written(message_id: str, action: str, payload: bytes) -> None:
    send = FRAMING_21.decode(encode_send(message_id, action, payload))
    assert isinstance(send, Send)
    assert (send.message_id, send.action, bytes(send.payload)) == (message_id, action, payload)
    error = FRAMING_21.decode(encode_result_error(message_id, "FormatViolation", "why"))
    assert error == CallResultError(message_id, "FormatViolation", "why")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"hello",
        b"{}",
        b"[]",
        b"null",
        b"[2",
        b'["2","1","Heartbeat",{}]',
        b'[2,1,"Heartbeat",{}]',
        b'[2,null,"Heartbeat",{}]',
        b'[2,"","Heartbeat",{}]',
        b'[2,"' + b"x" * 200 + b'","Heartbeat",{}]',
        b"[2]",
        b'[2,"1","Heartbeat",{"a":NaN}]',
        b'[2,"\\ud800","Heartbeat",{}]',
        b'[2,"1","Heartbeat",' + b"[" * 30_000 + b"]" * 30_000 + b"]",
        b"[" * 60_000,
        b"[" + b"9" * 5_000 + b',"1"]',
    ],
    ids=lambda data: repr(data[:24]),
)
@EVERY_FRAMING
def test_an_unreadable_id_is_answered_with_minus_one(framing: Framing, data: bytes) -> None:
    frame = framing.decode(data)
    assert isinstance(frame, Malformed)
    assert (frame.message_id, frame.code) == ("-1", UNREADABLE[framing])


UNREADABLE = {
    FRAMING_16: "FormationViolation",
    FRAMING_201: "RpcFrameworkError",
    FRAMING_21: "RpcFrameworkError",
}


@EVERY_FRAMING
@pytest.mark.parametrize("data", [b'[2,"7"]', b'[2,"7","Heartbeat"]', b'[2,"7",5,{}]'])
def test_a_broken_call_is_answered_by_its_own_id(framing: Framing, data: bytes) -> None:
    frame = framing.decode(data)
    assert isinstance(frame, Malformed)
    assert (frame.message_id, frame.code) == ("7", UNREADABLE[framing])


@EVERY_FRAMING
@pytest.mark.parametrize("data", [b"[3]", b'[3,"7"]', b'[4,"7"]', b"[4,7,8]"])
def test_broken_answers_are_left_alone(framing: Framing, data: bytes) -> None:
    assert isinstance(framing.decode(data), Ignored)


@pytest.mark.parametrize("data", [b"[5]", b'[5,"7"]', b"[6]", b'[6,"7"]', b'[6,7,"Notify",{}]'])
def test_broken_frames_of_2_1_that_nobody_waits_for_are_left_alone(data: bytes) -> None:
    assert isinstance(FRAMING_21.decode(data), Ignored)


UNKNOWN_TYPES = [b'[5,"7"]', b'[6,"7","Notify",{}]', b'[-1,"7"]', b'[1,"7"]', b'[99,"7",{}]']


@pytest.mark.parametrize("data", UNKNOWN_TYPES)
def test_1_6_ignores_unknown_message_types(data: bytes) -> None:
    assert isinstance(FRAMING_16.decode(data), Ignored)


@pytest.mark.parametrize("data", UNKNOWN_TYPES)
def test_2_0_1_answers_unknown_message_types_by_their_id(data: bytes) -> None:
    frame = FRAMING_201.decode(data)
    assert isinstance(frame, Malformed)
    assert (frame.message_id, frame.code) == ("7", "MessageTypeNotSupported")


@pytest.mark.parametrize("data", [b"[7]", b'[7,{},"7"]', b"[0,1]"])
def test_an_unknown_message_type_without_an_id_is_answered_with_minus_one(data: bytes) -> None:
    frame = FRAMING_21.decode(data)
    assert isinstance(frame, Malformed)
    assert (frame.message_id, frame.code) == ("-1", "MessageTypeNotSupported")


@EVERY_FRAMING
def test_a_call_error_may_lack_description_and_details(framing: Framing) -> None:
    assert framing.decode(b'[4,"7","InternalError"]') == CallError("7", "InternalError")
    assert framing.decode(b'[4,"-1","FormationViolation","","x"]') == CallError("-1", "FormationViolation", "", "x")


def test_an_error_tells_little_and_no_details() -> None:
    refusal = msgspec.json.decode(encode_result_error("7", "GenericError", "x" * 1000))
    assert refusal == [5, "7", "GenericError", "x" * 255, {}]
    assert msgspec.json.decode(encode_error("7", "GenericError", "x" * 1000)) == [4, "7", "GenericError", "x" * 255, {}]


@pytest.mark.parametrize(
    ("received", "of_1_6", "of_2"),
    [
        ("OccurenceConstraintViolation", "OccurenceConstraintViolation", "OccurrenceConstraintViolation"),
        ("OccurrenceConstraintViolation", "OccurenceConstraintViolation", "OccurrenceConstraintViolation"),
        ("OCCURENCECONSTRAINTVIOLATION", "OccurenceConstraintViolation", "OccurrenceConstraintViolation"),
        ("FormatViolation", "FormationViolation", "FormatViolation"),
        ("formationviolation", "FormationViolation", "FormatViolation"),
        ("notimplemented", "NotImplemented", "NotImplemented"),
        ("AcmeError", "AcmeError", "AcmeError"),
        ("rpcframeworkerror", "rpcframeworkerror", "RpcFrameworkError"),
    ],
)
def test_error_codes_are_known_in_every_spelling(received: str, of_1_6: str, of_2: str) -> None:
    assert FRAMING_16.error_code(received) == of_1_6
    assert FRAMING_201.error_code(received) == FRAMING_21.error_code(received) == of_2


OPENINGS = st.sampled_from(
    (b"", b'[2,"1","A",', b'[2,"1","A",{"a":', b'[3,"1",', b'[4,"1","E","",', b'[6,"1","A",', b'[7,"1",', b'{"a":')
)
BOMBS = st.builds(
    lambda before, piece, times: before + piece * times,
    OPENINGS,
    st.sampled_from((b"[", b'{"a":', b"9", b"-", b'"', b"\\ud800", b"1e9", b" ")),
    st.integers(0, 60_000),
)


@EVERY_FRAMING
@given(data=st.one_of(st.binary(max_size=80), BOMBS))
def test_no_bytes_make_decoding_raise(framing: Framing, data: bytes) -> None:
    assert framing.decode(data) is not None
