"""Every bound of the OCPP floor in one place, each with its unit in its name."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one listener (or of one station's end) and of its connections.

    `waiting_calls_max` are commands waiting for their turn, `incoming_calls_max` requests of the other side waiting to
    be handled; a handler gets `handler_timeout_s`, the other side `call_timeout_s` to answer a call once it is written.
    A station that takes none of our bytes for `send_timeout_s` loses its connection.
    A connection silent for `ping_interval_s` is pinged, and dropped `pong_timeout_s` later if it stays silent.
    An address with `address_failures_max` refusals for one station within `address_window_s` is refused unseen for that
    station for the rest of it; `addresses_max` such counts are remembered.
    """

    frame_bytes_max: int = 65_536
    head_bytes_max: int = 16_384
    connections_max: int = 10_000
    waiting_calls_max: int = 16
    incoming_calls_max: int = 16
    remembered_answers_max: int = 8
    addresses_max: int = 1_024
    address_failures_max: int = 20
    address_window_s: float = 60.0
    handshake_timeout_s: float = 10.0
    call_timeout_s: float = 30.0
    send_timeout_s: float = 30.0
    handler_timeout_s: float = 30.0
    ping_interval_s: float = 60.0
    pong_timeout_s: float = 30.0
    close_timeout_s: float = 2.0
    drain_timeout_s: float = 3.0
