"""The settings of a simulated station as its central system reads and changes them: keys of 1.6, variables of 2.x."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from actors.simulated_answers import Fields
from actors.simulated_connector import Site
from actors.simulated_control import ACCEPTED, Handlers
from actors.simulated_line import Reply
from actors.simulated_outbox import Saying
from statecharts.simulated_equipment import Key
from statecharts.station_commands import ChangeConfiguration, GetBaseReport, GetConfiguration
from statecharts.station_reports import NotifyReport
from statecharts.station_settings import READ_ONLY, named_by

ENTRIES_PER_PART = 10
Rekey = Callable[[bytes], None]
_INVENTORIES = ("ConfigurationInventory", "FullInventory")


class Settings:
    """The part of a station that knows its settings; `configure` changes one by its name in OCPP 1.6, `rekey` the key.

    The key is for writing only, and stands in no report (security whitepaper, AuthorizationKey; OCPP 2.0.1, A01).
    """

    def __init__(self, site: Site, configure: Callable[[str, str], str], rekey: Rekey | None) -> None:
        self._site, self._configure, self._rekey = site, configure, rekey
        self.commands: Handlers = {
            ChangeConfiguration: self._change,
            GetConfiguration: self._get,
            GetBaseReport: self._report,
        }

    def _change(self, command: ChangeConfiguration) -> Reply:
        answers = self._site.answers
        if self._rekey is not None and command.key.casefold() == answers.login_key.casefold():
            return Reply(self._take_key(command.value, self._rekey), answers.set(command.key))
        setting = answers.setting(command.key)
        status = "NotSupported" if setting is None else self._configure(setting, command.value)
        word = answers.unknown_setting if status == "NotSupported" else status
        return Reply(word, answers.set(command.key))

    def _take_key(self, value: str, rekey: Rekey) -> str:
        password = self._site.answers.password(value)
        if password is None:
            return "Rejected"
        rekey(password)
        return "Accepted"

    def _get(self, command: GetConfiguration) -> Reply:
        """As OCPP 1.6 shapes it; the keys are those of the version."""
        found = {name: self._find(name) for name in command.keys}
        known = [entry for entry in found.values() if entry] if command.keys else [*self._all()]
        unknown = [name for name, entry in found.items() if entry is None]
        return Reply("", {"configurationKey": [_entry(*entry) for entry in known], "unknownKey": unknown})

    def _find(self, key: str) -> tuple[str, Key] | None:
        """The version's own spelling of a key, and what it says."""
        setting = self._site.answers.setting(key)
        found = None if setting is None else self._site.configuration.find(setting)
        name = found and self._site.answers.key_of(found[0])
        return (name, found[1]) if found and name else None

    def _all(self) -> Iterator[tuple[str, Key]]:
        """Every setting that this version has a name for."""
        for setting, key in self._site.configuration.keys.items():
            name = self._site.answers.key_of(setting)
            if name is not None:
                yield name, key

    # -- reports of OCPP 2.x -------------------------------------------------------------------------------------------

    def _report(self, command: GetBaseReport) -> Reply:
        """OCPP 2.0.1 part 2, B07: accepted, and then told in parts."""
        assert command.request_id is not None, "OCPP 2.x demands it"
        if command.base not in _INVENTORIES:
            return Reply("NotSupported")
        entries = [_variable(name, key) for name, key in self._all()]
        parts = [entries[first : first + ENTRIES_PER_PART] for first in range(0, len(entries), ENTRIES_PER_PART)]
        for seq_no, part in enumerate(parts):
            report = NotifyReport(
                request_id=command.request_id,
                seq_no=seq_no,
                more=seq_no < len(parts) - 1,
                generated_at=self._site.now(),
                content=tuple(part),
            )
            self._site.line.say(Saying(report))
        return ACCEPTED


def _entry(name: str, key: Key) -> Fields:
    return {"key": name, "readonly": key.readonly, "value": key.value}


def _variable(name: str, key: Key) -> Fields:
    """One entry of a report: a variable with its value."""
    component, variable = named_by(name)
    return {
        "component": component,
        "variable": variable,
        "variableAttribute": [{"value": key.value, "mutability": READ_ONLY if key.readonly else "ReadWrite"}],
        "variableCharacteristics": {"dataType": _data_type(key.value), "supportsMonitoring": False},
    }


def _data_type(value: str) -> str:
    if value in ("true", "false"):
        return "boolean"
    return "integer" if value.isdigit() else "string"
