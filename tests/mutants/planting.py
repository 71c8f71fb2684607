"""A copy of this checkout with one bug in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent / "patches"
COPIED = ("actors", "protocols", "statecharts", "tests", "examples", "docs", "node.py", "pyproject.toml")


class DoesNotApply(Exception):
    """The code has changed so far that a patch no longer fits: write it anew."""


def patch_of(name: str) -> Path:
    return PATCHES / f"{name}.patch"


@contextmanager
def house_with(name: str | None) -> Iterator[Path]:
    """A folder with this checkout and the bug of that name, an unharmed one for None. Raises `DoesNotApply`."""
    with TemporaryDirectory(prefix="roamnode-mutant-") as folder:
        copy(Path(folder))
        if name is not None:
            apply(name, Path(folder))
        yield Path(folder)


def copy(folder: Path) -> None:
    """With the bytecode that is there, and the times by which Python knows that it still fits."""
    for each in COPIED:
        if (ROOT / each).is_dir():
            shutil.copytree(ROOT / each, folder / each)
        else:
            shutil.copy2(ROOT / each, folder / each)


def apply(name: str, folder: Path) -> None:
    """Changes the code in the folder as the patch of that name says. Raises `DoesNotApply`."""
    # Above the folder no repository is looked for: git would take the paths for its own, and change nothing.
    alone = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    said = subprocess.run(
        ["git", "apply", str(patch_of(name))], cwd=folder, env=alone, capture_output=True, text=True, check=False
    )
    if said.returncode:
        raise DoesNotApply(f"{patch_of(name).name} does not fit the code any more: {said.stderr.strip()}")


def files_of(name: str) -> list[str]:
    """The files that a patch changes."""
    marked = [line for line in patch_of(name).read_text().splitlines() if line.startswith("+++ b/")]
    return [line.removeprefix("+++ b/") for line in marked]
