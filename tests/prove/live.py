"""Real processes on loopback, killed at any moment and besieged by hostile clients; and damaged files."""

from __future__ import annotations

from tests.live.proof import figures
from tests.prove.effort import Effort
from tests.prove.page import Section


def section(effort: Effort) -> Section:
    """All that `tests.live.proof` measures; what a figure of it may be is in its gate."""
    found, problems = figures(jobs=effort.jobs, minutes=effort.minutes)
    title = "Live: processes killed and besieged, files damaged"
    return Section(title=title, figures=found, problems=tuple(problems))
