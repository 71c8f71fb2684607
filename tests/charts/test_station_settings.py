"""A variable of OCPP 2.x has one key of text; the parts of a report are joined in whatever order they come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statecharts.station_reports import NotifyReport
from statecharts.station_settings import Gathered, Setting, key_of, named_by, settings_of

NAMES = st.text(st.characters(exclude_characters=".@", exclude_categories=["Cs"]), min_size=1, max_size=50)
COMPONENTS = st.fixed_dictionaries(
    {"name": NAMES}, optional={"instance": NAMES, "evse": st.fixed_dictionaries({"id": st.integers(0, 10**9 - 1)})}
)
VARIABLES = st.fixed_dictionaries({"name": NAMES}, optional={"instance": NAMES})


def variable(number: int, **attribute: Any) -> dict[str, Any]:
    named = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": f"Variable{number}"}}
    return {**named, "variableAttribute": [{"value": str(number), **attribute}]}


def part(seq_no: int, *numbers: int, more: bool = True) -> NotifyReport:
    return NotifyReport(request_id=1, seq_no=seq_no, more=more, content=tuple(variable(number) for number in numbers))


@given(COMPONENTS, VARIABLES)
def test_a_key_names_the_variable_that_it_was_made_of(component: dict[str, Any], of: dict[str, Any]) -> None:
    assert named_by(key_of(component, of)) == (component, of)


@pytest.mark.parametrize("key", ["", "A", "A.", ".B", "A.B.C.D", "A@x.B", "A@1@2.B", "A@-1.B"])
def test_what_names_no_variable_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="Component"):
        named_by(key)


@pytest.mark.parametrize(
    ("attributes", "value", "readonly"),
    [
        ([{"value": "7"}], "7", False),
        ([{"value": "7", "mutability": "ReadOnly"}], "7", True),
        ([{"value": "7", "constant": True}], "7", True),
        ([{"mutability": "WriteOnly"}], None, False),
        ([{"type": "MaxSet", "value": "9"}, {"type": "Actual", "value": "7"}], "7", False),
        ([{"type": "Target", "value": "9"}], None, False),
        ([], None, False),
    ],
)
def test_a_setting_is_the_value_that_its_variable_has_now(
    attributes: list[dict[str, Any]], value: str | None, readonly: bool
) -> None:
    (setting,) = settings_of([{**variable(7), "variableAttribute": attributes}])
    assert setting == Setting(key="SampledDataCtrlr.Variable7", value=value, readonly=readonly)


def test_a_setting_is_shown_as_ocpp_16_has_it() -> None:
    assert Setting(key="A.B", value="1").shown() == {"key": "A.B", "readonly": False, "value": "1"}
    assert Setting(key="A.B", readonly=True).shown() == {"key": "A.B", "readonly": True}


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=3))
def test_parts_are_joined_in_whatever_order_and_how_often_they_come(order: list[int], again: list[int]) -> None:
    parts = [part(0, 1, 2), part(1), part(2, 3), part(3, 4, more=False)]
    gathered = Gathered(10)
    for told in order[:-1]:
        assert gathered.add(parts[told])
        assert not gathered.complete
    for told in [*again, order[-1], *again]:
        assert gathered.add(parts[told])
    assert gathered.complete
    assert [setting.value for setting in gathered.settings] == ["1", "2", "3", "4"]


def test_more_than_may_be_kept_is_not_taken_and_an_empty_part_counts_too() -> None:
    gathered = Gathered(3)
    assert gathered.add(part(0, 1)) and gathered.add(part(1)) and gathered.count == 2
    assert not gathered.add(part(2, 2, 3))
    assert gathered.add(part(0, 5)), "it comes again"
    assert gathered.add(part(2, 4))
    assert not gathered.add(part(3))
    assert [setting.value for setting in gathered.settings] == ["5", "4"]
