"""How the rules of routes are written for people and for programs."""

from __future__ import annotations

import re

SEGMENT = re.compile(r"<(?:(?P<converter>\w+)(?:\((?P<choices>[^)]*)\))?:)?(?P<name>\w+)>")
"""A part of a rule of Quart's that stands for anything of a kind."""


def path_of(rule: str) -> str:
    """A rule of Quart's as OpenAPI writes paths: `/transactions/<identifier:name>` is `/transactions/{name}`."""
    return SEGMENT.sub(lambda found: f"{{{found['name']}}}", rule)
