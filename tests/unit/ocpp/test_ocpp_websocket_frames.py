"""Our frame codec against `wsproto`'s client: whatever the cut of the bytes, the same messages; and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, CloseCode, Frame, Opcode
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage

from protocols.ocpp.websocket_frames import FrameReader, Violation, close_said, control_frame, text_frame

LIMIT = 70_000


def client() -> Connection:
    return Connection(ConnectionType.CLIENT)


def read_in_parts(data: bytes, cuts: list[int], limit: int = LIMIT) -> tuple[FrameReader, list[tuple[Opcode, bytes]]]:
    reader, found, start = FrameReader(limit), [], 0
    for end in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        found += reader.read(data[start:end])
        start = end
    return reader, found


texts = st.one_of(st.text(max_size=300), st.integers(120, 66_000).map("x".__mul__))
cuts = st.lists(st.integers(0, 200_000), max_size=6)


@given(st.lists(st.one_of(texts.map(TextMessage), st.binary(max_size=125).map(Ping)), max_size=5), cuts)
def test_what_a_client_sends_is_read_however_it_is_cut(events: list[Event], cuts: list[int]) -> None:
    sender = client()
    _, found = read_in_parts(b"".join(sender.send(event) for event in events), cuts)
    expected = [
        (Opcode.TEXT, event.data.encode()) if isinstance(event, TextMessage) else (Opcode.PING, bytes(event.payload))
        for event in events
    ]
    assert found == expected


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), cuts)
def test_fragments_are_one_message_and_pings_may_come_between(parts: list[bytes], cuts: list[int]) -> None:
    sender, data = client(), b""
    for number, part in enumerate(parts, 1):
        data += sender.send(BytesMessage(part, message_finished=number == len(parts)))
        data += sender.send(Ping(b"p"))
    _, found = read_in_parts(data, cuts)
    assert [content for opcode, content in found if opcode is Opcode.TEXT] == [b"".join(parts)]
    assert [opcode for opcode, _ in found].count(Opcode.PING) == len(parts)


@given(st.one_of(st.binary(max_size=300), st.integers(120, 66_000).map(bytes)))
def test_what_we_send_is_read_by_a_client(data: bytes) -> None:
    receiver = client()
    receiver.receive_data(text_frame(b"a" * len(data)))
    assert "".join(str(event.data) for event in receiver.events() if isinstance(event, TextMessage)) == "a" * len(data)


def test_a_frame_longer_than_any_of_ours_is_written_as_well() -> None:
    assert text_frame(bytes(70_000))[:10] == b"\x81\x7f" + (70_000).to_bytes(8, "big")


def frame(first: int, second: int, rest: bytes = b"\0\0\0\0") -> bytes:
    return bytes((first, second)) + rest


def test_lengths_are_written_in_as_many_bytes_as_they_need() -> None:
    """RFC 6455, 5.2: in one byte below 126, in three below 65,536."""
    for size, head in (
        (125, b"\x7d"),
        (126, b"\x7e\0\x7e"),
        (65_535, b"\x7e\xff\xff"),
        (65_536, b"\x7f" + bytes(5) + b"\1\0\0"),
    ):
        assert text_frame(bytes(size)) == b"\x81" + head + bytes(size)


def test_as_much_as_is_allowed_is_read() -> None:
    for event, opcode in ((TextMessage("x" * LIMIT), Opcode.TEXT), (Ping(b"x" * 125), Opcode.PING)):
        reader = FrameReader(LIMIT)
        assert [found for found, _ in reader.read(client().send(event))] == [opcode]
        assert reader.violation is None


WRONG, TOO_BIG = CloseCode.PROTOCOL_ERROR, CloseCode.MESSAGE_TOO_BIG


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (frame(0xC1, 0x80), WRONG, "no such frame: 0xc1"),  # a reserved bit
        (frame(0x83, 0x80), WRONG, "no such frame: 0x83"),  # an unknown opcode
        (frame(0x81, 0x02, b"{}"), WRONG, "a client masks its frames"),
        (frame(0x09, 0x80), WRONG, "a control frame is short and whole"),  # a ping in parts
        (frame(0x89, 0xFE, b"\0\x7e"), WRONG, "a control frame is short and whole"),  # a long ping
        (frame(0x80, 0x80), WRONG, "a message begins once, and goes on only after that"),  # goes on with nothing
        (frame(0x01, 0x80) + frame(0x81, 0x80), WRONG, "a message begins once, and goes on only after that"),
        (frame(0x81, 0xFF, (LIMIT + 1).to_bytes(8, "big")), TOO_BIG, "a message has 70000 bytes at most"),
        (frame(0x81, 0xFF, b"\xff" * 8), TOO_BIG, "a message has 70000 bytes at most"),
    ],
)
def test_a_frame_that_must_not_be_is_refused_before_its_content_comes(
    data: bytes, code: CloseCode, reason: str
) -> None:
    reader = FrameReader(LIMIT)
    reader.read(data)
    assert reader.violation == Close(int(code), reason)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=5), cuts)
def test_a_message_is_refused_if_it_is_too_long_in_however_many_frames(sizes: list[int], cuts: list[int]) -> None:
    sender, data = client(), b""
    for number, size in enumerate(sizes, 1):
        data += sender.send(BytesMessage(bytes(size), message_finished=number == len(sizes)))
    reader, found = read_in_parts(data, cuts, limit=100)
    if sum(sizes) <= 100:
        assert (found, reader.violation) == ([(Opcode.TEXT, bytes(sum(sizes)))], None)
    else:
        assert found == [] and reader.violation is not None and reader.violation.code == TOO_BIG


def test_parts_are_too_big_together_and_what_came_before_is_still_read() -> None:
    sender, reader = client(), FrameReader(10)
    parts = [TextMessage("good"), TextMessage("123456", message_finished=False), TextMessage("78901")]
    assert reader.read(b"".join(sender.send(part) for part in parts)) == [(Opcode.TEXT, b"good")]
    assert reader.violation is not None and reader.violation.code == CloseCode.MESSAGE_TOO_BIG


@given(st.binary(max_size=200), cuts)
def test_no_bytes_are_ever_an_error_of_ours(data: bytes, cuts: list[int]) -> None:
    read_in_parts(data, cuts, limit=100)


def test_close_frames_are_said_and_read() -> None:
    sender = client()
    ((opcode, content),) = FrameReader(LIMIT).read(sender.send(CloseConnection(4000, "bye")))
    assert opcode is Opcode.CLOSE
    assert (close_said(content).code, close_said(content).reason) == (4000, "bye")
    for wrong, code, reason in (
        (b"\x03", CloseCode.PROTOCOL_ERROR, "close frame too short"),
        (b"\x03\xe8\xff", CloseCode.INVALID_DATA, "the reason of a close frame is UTF-8"),
    ):
        with pytest.raises(Violation, match=reason) as raised:
            close_said(wrong)
        assert raised.value.close == Close(int(code), reason)
    assert control_frame(Opcode.CLOSE, b"\x03\xe8") == Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False)
