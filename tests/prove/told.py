"""What a program of the house says as data: it runs as a process of its own, its progress passes through."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.measures import CHECKOUT


def told_by(module: str, *arguments: object) -> dict[str, Any]:
    """The content of the file that `python -m module ... --json FILE` writes. Raises RuntimeError if it wrote none."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "told.json"
        command = [sys.executable, "-m", module, *map(str, arguments), "--json", str(file)]
        status = subprocess.run(command, cwd=CHECKOUT).returncode
        if not file.exists():
            raise RuntimeError(f"{module} ended with status {status} and told nothing")
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return found
