"""What one OCPP listener, or one station's end, keeps to: the bounds that are in force there, and its time-outs."""

from __future__ import annotations

import msgspec

from statecharts.bounds import (
    OCPP_COMING_IN,
    OCPP_CONNECTIONS,
    OCPP_CONNECTIONS_PER_ADDRESS,
    OCPP_FAILING_ADDRESSES,
    OCPP_HANDSHAKES,
    OCPP_INCOMING_CALLS,
    OCPP_REMEMBERED_ANSWERS,
    OCPP_WAITING_CALLS,
    Watermarks,
)
from statecharts.limit import Bound
from statecharts.limits import OCPP_FAILURES, OCPP_FRAME, OCPP_HEAD


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one listener (or of one station's end) and of its connections.

    `waiting_calls_max` are commands waiting for their turn, `incoming_calls_max` requests of the other side waiting to
    be handled. A handler gets `handler_timeout_s`, which is looked at twice in that time: a station hears within 30 s.
    The other side gets `call_timeout_s` to answer a call once it is written.
    A station that takes none of our bytes for `send_timeout_s` loses its connection.
    A connection silent for `ping_interval_s` is pinged, and dropped `pong_timeout_s` later if it stays silent; it is
    closed if a message that it has begun is not there after `message_timeout_s`, which the longest takes at 1 kB/s.
    An address with `address_failures_max` refusals for one station within `address_window_s` is refused unseen for that
    station for the rest of it; `addresses_max` such counts are remembered.
    `watermarks` are told how far each was filled.
    """

    frame_bytes_max: int = OCPP_FRAME.limit
    head_bytes_max: int = OCPP_HEAD.limit
    connections_max: int = OCPP_CONNECTIONS.limit
    connections_per_address_max: int = OCPP_CONNECTIONS_PER_ADDRESS.limit
    handshakes_max: int = OCPP_HANDSHAKES.limit
    coming_in_max: int = OCPP_COMING_IN.limit
    waiting_calls_max: int = OCPP_WAITING_CALLS.limit
    incoming_calls_max: int = OCPP_INCOMING_CALLS.limit
    remembered_answers_max: int = OCPP_REMEMBERED_ANSWERS.limit
    addresses_max: int = OCPP_FAILING_ADDRESSES.limit
    address_failures_max: int = OCPP_FAILURES.limit
    address_window_s: float = 60.0
    alarm_pause_s: float = 60.0
    handshake_timeout_s: float = 10.0
    entrance_wait_s: float = 30.0
    call_timeout_s: float = 30.0
    send_timeout_s: float = 30.0
    handler_timeout_s: float = 20.0
    ping_interval_s: float = 60.0
    pong_timeout_s: float = 30.0
    message_timeout_s: float = 60.0
    close_timeout_s: float = 2.0
    drain_timeout_s: float = 3.0
    watermarks: Watermarks = msgspec.field(default_factory=Watermarks)

    def configured(self) -> tuple[tuple[Bound, int], ...]:
        """The bounds that an operator may set, with what they are here."""
        return (
            (OCPP_CONNECTIONS, self.connections_max),
            (OCPP_CONNECTIONS_PER_ADDRESS, self.connections_per_address_max),
            (OCPP_HANDSHAKES, self.handshakes_max),
        )
