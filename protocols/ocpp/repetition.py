"""What one end of a connection keeps of the other's CALLs, to know them again and to answer each once."""

from __future__ import annotations

import msgspec

from protocols.ocpp.frames import Call


class Seen(msgspec.Struct, gc=False):
    """A CALL of the other side: what it said, and the CALLRESULT it got. An error leaves a retry its chance.

    An answer is not `wanted` where it was a SEND.
    """

    digest: bytes
    wanted: bool = True
    under_way: bool = True
    answer: bytes | None = None


class Work(msgspec.Struct, eq=False):
    """The CALL that is being handled since `began_at`; it `came_at` this time, and may have waited for its turn."""

    call: Call
    seen: Seen
    came_at: float
    began_at: float
