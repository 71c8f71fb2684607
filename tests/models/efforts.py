"""How much the rule machines are given to find something: little in `make test`, much where LONG=1 is set.

Runs are the same each time, so that what fails once can be looked at. `LONG=1` tries others each time instead: it
multiplies the lives by `LIVES` (45 unless set) and makes them longer; Hypothesis prints how to repeat what failed.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

LONG = os.environ.get("LONG") == "1"
LIVES = int(os.environ.get("LIVES", "45"))
STEPS = 100


def effort(lives: int, steps: int) -> settings:
    """For a machine that is run for so many lives of at most so many steps each."""
    return settings(
        max_examples=lives * LIVES if LONG else lives,
        stateful_step_count=max(steps, STEPS) if LONG else steps,
        derandomize=not LONG,
        print_blob=LONG,
        report_multiple_bugs=False,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


def program_of(machine: type[RuleBasedStateMachine], lives: int = 500, steps: int = 40) -> str | None:
    """The shortest program found with which this machine fails, as it is printed; None if it does not fail.

    It runs wherever the names of the machine's own module are there: paste it into a test of that module.
    """
    tries = settings(effort(lives, steps), max_examples=lives, stateful_step_count=steps, derandomize=True)
    try:
        run_state_machine_as_test(machine, settings=tries)
    except Exception as error:
        said = "\n".join(getattr(error, "__notes__", ()))
        begin, end = said.index("state = "), said.index("state.teardown()")
        return said[begin:end] + "state.teardown()\n"
    return None
