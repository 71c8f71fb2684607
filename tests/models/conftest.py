"""What all machines share: time to shrink what they find, and helpers whose assertions are explained."""

from __future__ import annotations

import pytest

from tests.models.efforts import LONG

SHRINKING_S = 900
"""A machine that fails looks for a shorter program, which takes it longer than to pass."""

pytest.register_assert_rewrite("tests.models.journalled")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "models" in item.path.parent.name:
            item.add_marker(pytest.mark.timeout(0 if LONG else SHRINKING_S))
