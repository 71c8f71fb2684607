"""The OCPP-J envelope: what is a frame, and what happens to what is none."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ocpp.frames import (
    Call,
    CallError,
    CallResult,
    Ignored,
    Malformed,
    decode_frame,
    encode_call,
    encode_error,
    encode_result,
    error_code,
)

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=36)
PAYLOADS = st.dictionaries(st.text("abc"), st.integers() | st.text("abc")).map(msgspec.json.encode)


@given(message_id=IDS, action=st.text("abc"), payload=PAYLOADS)
def test_frames_are_read_as_they_were_written(message_id: str, action: str, payload: bytes) -> None:
    call = decode_frame(encode_call(message_id, action, payload))
    assert isinstance(call, Call)
    assert (call.message_id, call.action, bytes(call.payload)) == (message_id, action, payload)
    result = decode_frame(encode_result(message_id, payload))
    assert isinstance(result, CallResult)
    assert (result.message_id, bytes(result.payload)) == (message_id, payload)
    assert decode_frame(encode_error(message_id, "GenericError", "why")) == CallError(message_id, "GenericError", "why")


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
def test_an_unreadable_id_is_answered_with_minus_one(data: bytes) -> None:
    frame = decode_frame(data)
    assert isinstance(frame, Malformed)
    assert frame.message_id == "-1"


@pytest.mark.parametrize("data", [b'[2,"7"]', b'[2,"7","Heartbeat"]', b'[2,"7",5,{}]'])
def test_a_broken_call_is_answered_by_its_own_id(data: bytes) -> None:
    frame = decode_frame(data)
    assert isinstance(frame, Malformed)
    assert frame.message_id == "7"


@pytest.mark.parametrize(
    "data", [b'[5,"7"]', b'[6,"7","Notify",{}]', b'[-1,"7"]', b"[3]", b'[3,"7"]', b'[4,"7"]', b"[4,7,8]"]
)
def test_unknown_message_types_and_broken_answers_are_left_alone(data: bytes) -> None:
    assert isinstance(decode_frame(data), Ignored)


def test_a_call_error_may_lack_description_and_details() -> None:
    assert decode_frame(b'[4,"7","InternalError"]') == CallError("7", "InternalError")
    assert decode_frame(b'[4,"-1","FormationViolation","","x"]') == CallError("-1", "FormationViolation", "", "x")


def test_a_call_error_tells_little_and_no_details() -> None:
    assert msgspec.json.decode(encode_error("7", "GenericError", "x" * 1000)) == [4, "7", "GenericError", "x" * 255, {}]


@pytest.mark.parametrize(
    ("received", "meant"),
    [
        ("OccurenceConstraintViolation", "OccurenceConstraintViolation"),
        ("OccurrenceConstraintViolation", "OccurenceConstraintViolation"),
        ("OCCURENCECONSTRAINTVIOLATION", "OccurenceConstraintViolation"),
        ("FormatViolation", "FormationViolation"),
        ("notimplemented", "NotImplemented"),
        ("AcmeError", "AcmeError"),
    ],
)
def test_error_codes_are_known_in_every_spelling(received: str, meant: str) -> None:
    assert error_code(received) == meant


OPENINGS = st.sampled_from((b"", b'[2,"1","A",', b'[2,"1","A",{"a":', b'[3,"1",', b'[4,"1","E","",', b'{"a":'))
BOMBS = st.builds(
    lambda before, piece, times: before + piece * times,
    OPENINGS,
    st.sampled_from((b"[", b'{"a":', b"9", b"-", b'"', b"\\ud800", b"1e9", b" ")),
    st.integers(0, 60_000),
)


@given(st.one_of(st.binary(max_size=80), BOMBS))
def test_no_bytes_make_decoding_raise(data: bytes) -> None:
    assert decode_frame(data) is not None
