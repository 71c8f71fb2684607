"""Every planted bug still fits the code, and what is said of how it was found is true."""

from __future__ import annotations

import ast
import math
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.mutants import planting, trial
from tests.mutants.planting import PATCHES, ROOT, DoesNotApply, apply, files_of, house_with
from tests.mutants.table import MUTANTS
from tests.mutants.trial import Trial, scorecard, try_all, try_one
from tests.mutants.workloads import Mutant, Verdict, Workload

NAMES = [mutant.name for mutant in MUTANTS]
UNFIT = """--- a/actors/limits_of_time.py
+++ b/actors/limits_of_time.py
@@ -1 +1 @@
-never = 1
+never = 2
"""
FRAMES = "tests/unit/ocpp/test_ocpp_websocket_frames.py::test_what_we_send_is_read_by_a_client"
LENGTHS = Workload("lengths of frames", (FRAMES,), tries=100)
TOO_LONG = """--- a/protocols/ocpp/websocket_frames.py
+++ b/protocols/ocpp/websocket_frames.py
@@ -120,3 +120,3 @@
     size = len(data)
-    if size < 126:
+    if size < 200:
         return b"\\x81%c%b" % (size, data)
"""


def test_every_planted_bug_has_its_patch_and_every_patch_its_bug() -> None:
    assert sorted(NAMES) == sorted(path.stem for path in PATCHES.glob("*.patch"))
    assert len(set(NAMES)) == len(NAMES) >= 40


def test_a_bug_that_only_a_suite_can_find_says_why() -> None:
    only_suites = {mutant.name for mutant in MUTANTS if not any(each.is_random for each in mutant.workloads)}
    assert only_suites == {mutant.name for mutant in MUTANTS if mutant.why_a_suite}


def test_every_workload_has_its_tests() -> None:
    named = {test.partition("::")[0] for mutant in MUTANTS for each in mutant.workloads for test in each.tests}
    assert {test for test in named if not (ROOT / test).exists()} == set()


def test_the_bugs_of_the_field_are_all_there() -> None:
    assert {name[:3] for name in NAMES if name[:1] == "m" and name[1:3].isdigit()} == {f"m{n:02}" for n in range(1, 15)}


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that patches change, as they are."""
    folder = tmp_path_factory.mktemp("house")
    for file in {file for name in NAMES for file in files_of(name)}:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes((ROOT / file).read_bytes())
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_every_patch_applies_to_the_product_and_leaves_python_that_differs(name: str, product: Path) -> None:
    files = files_of(name)
    assert files and all(file.partition("/")[0] in ("actors", "protocols", "statecharts") for file in files)
    before = {file: (product / file).read_text() for file in files}
    try:
        apply(name, product)
        for file in files:
            assert ast.dump(ast.parse((product / file).read_text())) != ast.dump(ast.parse(before[file]))
    finally:
        for file, text in before.items():
            (product / file).write_text(text)


def test_a_patch_that_no_longer_fits_fails_and_names_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planting, "PATCHES", tmp_path)
    (tmp_path / "outdated.patch").write_text(UNFIT)
    with pytest.raises(DoesNotApply, match=r"outdated\.patch does not fit"), house_with("outdated"):
        pass
    tried = try_one(Trial(Mutant("outdated", "", "", (LENGTHS,))), 1)
    assert (tried.is_found, "outdated.patch" in tried.trouble) == (False, True)


@pytest.mark.parametrize("until", (math.inf, -math.inf))
def test_every_bug_has_its_first_seed_before_any_has_its_second_and_however_late_it_is(
    monkeypatch: pytest.MonkeyPatch, until: float
) -> None:
    said = {("sure", 1): 3, ("sure", 2): 4, ("late", 1): None, ("late", 2): 5, ("late", 3): 6, ("sure", 3): 7}
    asked: list[tuple[str, int]] = []

    class Search(Workload):
        def run(self, folder: Path, seed: int) -> Verdict:
            asked.append((self.name, seed))
            tries = said[self.name, seed]
            return Verdict("it is wrong" if tries else None, tries or 0)

    monkeypatch.setattr(trial, "house_with", lambda _: nullcontext(Path()))
    bugs = [Mutant(name, "", "", (Search(name, ()),)) for name in ("sure", "late")]
    sure, late = try_all(bugs, (1, 2, 3), until=until, told=lambda _: None)
    if until < 0:
        assert asked == [("sure", 1), ("late", 1)]
        return
    assert asked == [("sure", 1), ("late", 1), ("late", 2), ("sure", 2), ("late", 3), ("sure", 3)]
    assert (sure.tries, sure.median, late.tries, late.median) == ([3, 4, 7], 4, [None, 5, 6], 6)


def test_a_bug_is_found_with_its_tries_and_a_house_without_one_is_left_in_peace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planting, "PATCHES", tmp_path)
    (tmp_path / "too-long.patch").write_text(TOO_LONG)
    tried = try_one(Trial(Mutant("too-long", "", "", (LENGTHS,))), 1)
    assert tried.is_found and 1 <= tried.median <= LENGTHS.tries
    assert FRAMES in tried.objection
    card = scorecard([tried])
    assert (card["planted"], card["found"], card["median_tries"]) == (1, 1, tried.median)
    with house_with(None) as folder:
        verdict = LENGTHS.run(folder, 1)
    assert (verdict.objection, verdict.tries) == (None, LENGTHS.tries)
