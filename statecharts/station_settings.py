"""A station's settings as keys of text: those of OCPP 1.6, and the variables of the components of OCPP 2.x.

A variable's key is `Component[.Instance][@evse].Variable[.Instance]`. A third name is the variable's instance; a
component's instance is followed by an @, with the EVSE's id or without: `ConnectedEV@1.Available`,
`SampledDataCtrlr.TxInterval`, `OCPPCommCtrlr.MessageTimeout.Default`, `LocalEnergyStorage.North@.Capacity`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from statecharts.station_reports import NotifyReport
from statecharts.vocabulary import Value

Names = Mapping[str, Any]
"""A ComponentType or a VariableType of OCPP 2.x, as JSON."""

_NAME = r"[^.@]+"
_KEY = re.compile(
    rf"(?P<component>{_NAME})((\.(?P<instance>{_NAME}))?@(?P<evse>\d{{0,9}}))?"
    rf"\.(?P<variable>{_NAME})(\.(?P<variable_instance>{_NAME}))?"
)
READ_ONLY = "ReadOnly"


def key_of(component: Names, variable: Names) -> str:
    """The key of a variable of a component."""
    instance, evse = component.get("instance"), (component.get("evse") or {}).get("id")
    where = f"@{'' if evse is None else evse}" if instance or evse is not None else ""
    of = ".".join(name for name in (component["name"], instance) if name)
    return f"{of}{where}." + ".".join(name for name in (variable["name"], variable.get("instance")) if name)


def named_by(key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The component and the variable that a key names. Raises ValueError for what is no key."""
    found = _KEY.fullmatch(key)
    if found is None:
        raise ValueError(f"{key!r:.80} is no Component[.Instance][@evse].Variable[.Instance]")
    evse = {"id": int(found["evse"])} if found["evse"] else None
    component = {"name": found["component"], "instance": found["instance"], "evse": evse}
    variable = {"name": found["variable"], "instance": found["variable_instance"]}
    return _given(component), _given(variable)


def _given(names: Names) -> dict[str, Any]:
    return {name: value for name, value in names.items() if value is not None}


class Setting(Value, frozen=True, kw_only=True):
    """One setting; without `value` it is not for reading, or not set."""

    key: str
    value: str | None = None
    readonly: bool = False

    def shown(self) -> dict[str, Any]:
        """As OCPP 1.6 has it: KeyValue of GetConfiguration.conf."""
        return _given({"key": self.key, "readonly": self.readonly, "value": self.value})


def settings_of(content: Iterable[Mapping[str, Any]]) -> tuple[Setting, ...]:
    """The settings in a part of a report: ReportDataType of OCPP 2.x, of each variable the value that it has now."""
    return tuple(_setting(each["component"], each["variable"], each["variableAttribute"]) for each in content)


def _setting(component: Names, variable: Names, attributes: Iterable[Names]) -> Setting:
    actual = next((each for each in attributes if each.get("type", "Actual") == "Actual"), {})
    readonly = actual.get("mutability") == READ_ONLY or bool(actual.get("constant"))
    return Setting(key=key_of(component, variable), value=actual.get("value"), readonly=readonly)


class Gathered:
    """The parts of one report, in whatever order and how often they come."""

    def __init__(self, most: int) -> None:
        self._most, self._last = most, -1
        self._parts: dict[int, tuple[Setting, ...]] = {}

    @property
    def count(self) -> int:
        """How many settings there are by now; a part without any counts as one."""
        return sum(max(1, len(part)) for part in self._parts.values())

    @property
    def complete(self) -> bool:
        """Whether the last part has come, and every one before it."""
        return self._last >= 0 and all(seq_no in self._parts for seq_no in range(self._last + 1))

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All settings, in the order that the station gave them."""
        return tuple(setting for _, part in sorted(self._parts.items()) for setting in part)

    def add(self, part: NotifyReport) -> bool:
        """Takes a part over; False if that would be more settings than may be."""
        settings = settings_of(part.content)
        others = self.count - max(1, len(self._parts[part.seq_no])) if part.seq_no in self._parts else self.count
        if others + max(1, len(settings)) > self._most:
            return False
        self._parts[part.seq_no] = settings
        self._last = self._last if part.more else max(self._last, part.seq_no)
        return True
