"""What a station's log hears of those who were turned away in its name: one entry a minute, with how often it was.

Strangers who guess passwords must not be able to fill our disk, nor wake the actor of a station as often as they like.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import msgspec
import trio

from protocols.ocpp.limits import Limits
from statecharts.bounds import OCPP_ALARMS
from statecharts.station_credentials import TurnedAway, Wrong


class _Alarm(msgspec.Struct):
    quiet_until: float
    untold: int = 0


class Alarms:
    """Passes on to `tell` what is sounded, at most once in `alarm_pause_s` for each station."""

    def __init__(self, limits: Limits, tell: Callable[[str, TurnedAway], None]) -> None:
        self._limits, self._tell = limits, tell
        self._alarms: OrderedDict[str, _Alarm] = OrderedDict()

    def sound(self, identity: str, reason: Wrong, address: str) -> None:
        """Somebody at this address was turned away who claimed to be this station."""
        now = trio.current_time()
        alarm = self._alarms.pop(identity, None) or _Alarm(now)
        self._alarms[identity] = alarm
        alarm.untold += 1
        if now >= alarm.quiet_until:
            self._tell(identity, TurnedAway(reason=reason, address=address, times=alarm.untold))
            alarm.quiet_until, alarm.untold = now + self._limits.alarm_pause_s, 0
        if len(self._alarms) > OCPP_ALARMS.limit:
            self._alarms.popitem(last=False)
        self._limits.watermarks.saw(OCPP_ALARMS, len(self._alarms))
