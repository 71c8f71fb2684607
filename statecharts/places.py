"""Where local services are and whether they can be used: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from statecharts.station_reports import ConnectorStatus
from statecharts.vocabulary import Location, ServiceStatus

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the WGS 84 ellipsoid (IUGG)."""

IN_USE = frozenset(ConnectorStatus) - {
    ConnectorStatus.AVAILABLE,
    ConnectorStatus.FAULTED,
    ConnectorStatus.UNAVAILABLE,
}


def distance_m(a: Location, b: Location) -> int:
    """The way between two places along the surface in whole metres (haversine; within 0.5 % of the ellipsoid)."""
    lat_a, lat_b = math.radians(a.latitude), math.radians(b.latitude)
    half_lat, half_lon = (lat_b - lat_a) / 2, math.radians(b.longitude - a.longitude) / 2
    h = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return round(2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, h))))


def service_status(states: Mapping[int, str], free: Iterable[int], *, in_service: bool) -> ServiceStatus:
    """A charging station as MOBI.Europe shows it (DESIGN: what a Destination checks and shows).

    `states` are the OCPP states of all its connectors, `free` those where a charge may start. Any free one makes it
    AVAILABLE; else any in use, reserved or finishing IN_USE; else OUT_OF_SERVICE; a station that is away is UNKNOWN.
    """
    if not in_service:
        return ServiceStatus.UNKNOWN
    if any(True for _ in free):
        return ServiceStatus.AVAILABLE
    known = [state for state in states.values() if state in set(ConnectorStatus)]
    if any(state in IN_USE for state in known) or ConnectorStatus.AVAILABLE in known:
        return ServiceStatus.IN_USE
    return ServiceStatus.OUT_OF_SERVICE if known else ServiceStatus.UNKNOWN
