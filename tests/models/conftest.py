"""Helpers whose assertions are explained like those of tests."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.models.journalled")
