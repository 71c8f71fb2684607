"""spyne is older than the Pythons it runs on: that it can be imported, and that our way of doing so is still needed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def imported(module: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *options, "-c", f"import sys, {module}; print(*sys.meta_path, sep=chr(10))"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_spyne_is_imported_without_a_warning_and_leaves_no_import_hook_behind() -> None:
    done = imported("protocols.mobieurope.spyne_import", "-W", "error")
    assert (done.returncode, done.stderr) == (0, "")
    assert "PathFinder" in done.stdout
    assert "Six" not in done.stdout


def test_spyne_by_itself_still_needs_that_help() -> None:
    """Once this fails, spyne has mended its six, and spyne_import.py need no longer do it."""
    done = imported("spyne", "-W", "error::ImportWarning")
    assert done.returncode == 1
    assert "six" in done.stderr.lower()
