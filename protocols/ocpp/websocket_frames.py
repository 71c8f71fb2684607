"""WebSocket frames of a server (RFC 6455, section 5), without I/O: bytes of a client to frames, and texts to bytes.

The opening handshake and the rare control frames are left to `websockets`; this is what every message goes through.
"""

from __future__ import annotations

from websockets.exceptions import ProtocolError
from websockets.frames import Close, CloseCode, Frame, Opcode

try:
    from websockets.speedups import apply_mask
except ImportError:  # where there is no compiled wheel
    from websockets.utils import apply_mask

CONTROL_BYTES = 125
"""RFC 6455, 5.5: a control frame is short, and whole."""

_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_MASK_BYTES = 4
_KNOWN = frozenset(int(opcode) for opcode in Opcode)
_CONTROL = frozenset({int(Opcode.CLOSE), int(Opcode.PING), int(Opcode.PONG)})


Found = tuple[Opcode, bytes]


class Violation(Exception):
    """The client broke the protocol or our limit: the connection is to be closed with this code and reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.close = Close(int(code), reason)


class FrameReader:
    """Reads what one client sends, until a frame breaks the rules: `violation` is how to close then."""

    def __init__(self, message_bytes_max: int) -> None:
        self.violation: Close | None = None
        self._max = message_bytes_max
        self._rest = bytearray()
        self._message: bytearray | None = None

    @property
    def is_within(self) -> bool:
        """Whether something has begun that is not whole yet: a frame, or a message of several."""
        return bool(self._rest) or self._message is not None

    def read(self, data: bytes) -> list[Found]:
        """The whole messages (all as TEXT, whatever they came as) and control frames that end in `data`, in order."""
        found: list[Found] = []
        source: bytes | bytearray = data
        if self._rest:
            self._rest += data
            source = self._rest
        start, end_of_all = 0, len(source)
        try:
            while start < end_of_all and (end := self._frame(source, start, found)) is not None:
                start = end
        except Violation as violation:
            self.violation = violation.close
        if source is self._rest:
            del self._rest[:start]
        elif start < len(data):
            self._rest += data[start:]
        return found

    def _frame(self, source: bytes | bytearray, start: int, found: list[Found]) -> int | None:
        """Where the frame at `start` ends, which is added to `found`; None if it has not all come yet."""
        available = len(source) - start
        if available < 2:
            return None
        first, second = source[start], source[start + 1]
        size, head = second & _LENGTH, 2
        if size >= 126:
            head = 4 if size == 126 else 10
            if available < head:
                return None
            size = int.from_bytes(source[start + 2 : start + head], "big")
        self._check(first, second, size)
        body = start + head + _MASK_BYTES
        end = body + size
        if len(source) < end:
            return None
        content = apply_mask(bytes(source[body:end]), bytes(source[body - _MASK_BYTES : body]))
        self._collect(first, content, found)
        return end

    def _check(self, first: int, second: int, size: int) -> None:
        """Raises `Violation` for a frame that must not be, before its content is waited for."""
        opcode = first & _OPCODE
        if first & _RESERVED or opcode not in _KNOWN:
            raise Violation(CloseCode.PROTOCOL_ERROR, f"no such frame: {first:#04x}")
        if not second & _MASKED:
            raise Violation(CloseCode.PROTOCOL_ERROR, "a client masks its frames")
        if opcode in _CONTROL:
            if size > CONTROL_BYTES or not first & _FIN:
                raise Violation(CloseCode.PROTOCOL_ERROR, "a control frame is short and whole")
        elif (opcode == Opcode.CONT) is (self._message is None):
            raise Violation(CloseCode.PROTOCOL_ERROR, "a message begins once, and goes on only after that")
        elif size + len(self._message or b"") > self._max:
            raise Violation(CloseCode.MESSAGE_TOO_BIG, f"a message has {self._max} bytes at most")

    def _collect(self, first: int, content: bytes, found: list[Found]) -> None:
        opcode, last = first & _OPCODE, first & _FIN
        if opcode in _CONTROL:
            found.append((Opcode(opcode), content))
        elif last and self._message is None:
            found.append((Opcode.TEXT, content))
        else:
            self._message = (self._message or bytearray()) + content
            if last:
                found.append((Opcode.TEXT, bytes(self._message)))
                self._message = None


def text_frame(data: bytes) -> bytes:
    """One text message as a server sends it, whole and unmasked."""
    size = len(data)
    if size < 126:
        return b"\x81%c%b" % (size, data)
    if size < 65_536:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), data)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), data)


def control_frame(opcode: Opcode, data: bytes) -> bytes:
    return Frame(opcode, data).serialize(mask=False)


def close_said(data: bytes) -> Close:
    """What a close frame says. Raises `Violation` for one that may not be sent."""
    try:
        return Close.parse(data)
    except ProtocolError as error:
        raise Violation(CloseCode.PROTOCOL_ERROR, str(error)) from error
    except UnicodeDecodeError as error:
        raise Violation(CloseCode.INVALID_DATA, "the reason of a close frame is UTF-8") from error
