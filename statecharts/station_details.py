"""What an operator tells of a station that OCPP does not: what drivers want to know before they come."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from statecharts.vocabulary import Value

ConnectorType = Literal[
    "CHADEMO", "CHAOJI", "DOMESTIC_A", "DOMESTIC_B", "DOMESTIC_C", "DOMESTIC_D", "DOMESTIC_E", "DOMESTIC_F",
    "DOMESTIC_G", "DOMESTIC_H", "DOMESTIC_I", "DOMESTIC_J", "DOMESTIC_K", "DOMESTIC_L", "GBT_AC", "GBT_DC",
    "IEC_60309_2_single_16", "IEC_60309_2_three_16", "IEC_60309_2_three_32", "IEC_60309_2_three_64", "IEC_62196_T1",
    "IEC_62196_T1_COMBO", "IEC_62196_T2", "IEC_62196_T2_COMBO", "IEC_62196_T3A", "IEC_62196_T3C", "NEMA_5_20",
    "NEMA_6_30", "NEMA_6_50", "NEMA_10_30", "NEMA_10_50", "NEMA_14_30", "NEMA_14_50", "PANTOGRAPH_BOTTOM_UP",
    "PANTOGRAPH_TOP_DOWN", "TESLA_R", "TESLA_S",
]  # fmt: skip
"""The names that OCPI 2.2.1 has for them (section 8.4.5)."""


class OpeningPeriod(Value, frozen=True, kw_only=True):
    """Open on this day of each week (ISO 8601: Monday is 1) from `opens` ("08:00") until `closes` ("24:00" at most).

    Both by the clock on the wall of the station; who closes after midnight has two of them.
    """

    weekday: int
    opens: str
    closes: str

    @property
    def is_sound(self) -> bool:
        """Whether it ends after it begins."""
        return self.opens < self.closes


class OpeningException(Value, frozen=True, kw_only=True):
    """Whatever the week says: open, or closed, between these two moments."""

    begins: datetime
    ends: datetime
    is_open: bool
    why: str | None = None

    @property
    def is_sound(self) -> bool:
        return self.begins < self.ends


class OpeningHours(Value, frozen=True, kw_only=True):
    """When a station can be reached: `around_the_clock`, or in these periods; exceptions go before either."""

    around_the_clock: bool = False
    weekly: tuple[OpeningPeriod, ...] = ()
    exceptions: tuple[OpeningException, ...] = ()


class Plug(Value, frozen=True, kw_only=True):
    """One socket or cable of an EVSE; `max_power_w` is what it gives at most."""

    type: ConnectorType
    format: Literal["SOCKET", "CABLE"]
    max_power_w: int | None = None


class EvseDetails(Value, frozen=True, kw_only=True):
    """One EVSE: `connector` is its number, from 1, by which it is known here and to partners."""

    connector: int
    label: str | None = None
    plugs: tuple[Plug, ...] = ()


class StationDetails(Value, frozen=True, kw_only=True):
    """All of it; what nobody has told is None."""

    name: str | None = None
    address: str | None = None
    opening_hours: OpeningHours | None = None
    price_note: str | None = None
    evses: tuple[EvseDetails, ...] = ()
