"""`python -m tests.conformance`: schemathesis over the whole OpenAPI document, always with the same questions."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import patch

import structlog
import trio

from protocols.rest.auth import FailureLimiter
from tests.conformance.served_house import served_house

CONFIG = Path(__file__).with_name("schemathesis.toml")
WITHIN_S = 300.0
"""Far more than it takes; what hangs must not hang for ever."""

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


async def main() -> int:
    """The exit status of schemathesis: 0 when every answer was one that the document allows."""
    # A wrong token is to be a 401 however often it is tried here.
    with patch.object(FailureLimiter, "wait_s", return_value=0.0):
        async with served_house() as url:
            command = [str(SCHEMATHESIS), "--config-file", str(CONFIG), "run", f"{url}/api/openapi.json", *sys.argv[1:]]
            with trio.fail_after(WITHIN_S):
                done = await trio.run_process(command, check=False, stdout=None, stderr=None)
            return done.returncode


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))
    sys.exit(trio.run(main))
