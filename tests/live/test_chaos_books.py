"""The judge of the chaos finds every kind of false books, and nothing in true ones."""

from __future__ import annotations

import pytest

from tests.live.chaos_books import Books, Charge, judged

A, B = Charge("A", 1_000), Charge("B", 0)


def books(made: list[Charge], received: list[Charge], metered: list[Charge] | None = None) -> Books:
    return Books(metered=metered or [A, B], ledgers={"IE-001": made, "NL-MOT": received}, settled=["A"])


def test_true_books_are_found_true() -> None:
    verdict = judged(books([A, B], [B, A]))
    assert (verdict.lost, verdict.doubled, verdict.invented, verdict.unexplained_wh) == (0, 0, 0, 0)
    assert not verdict.findings


@pytest.mark.parametrize(
    ("forged", "lost", "doubled", "invented", "unexplained_wh"),
    [
        (books([A, B], [A]), 1, 0, 0, 0),
        (books([B], [A, B]), 1, 0, 0, 1_000),
        (books([A, B, A], [A, B]), 0, 1, 0, 1_000),
        (books([A, B], [A, B, B]), 0, 1, 0, 0),
        (books([A, B], [A, B, Charge("C", 7)]), 0, 0, 1, 7),
        (books([A._replace(energy_wh=1_001), B], [A, B]), 0, 0, 0, 1),
        (books([A, B], [A._replace(energy_wh=999), Charge("B", 1)]), 0, 0, 0, 2),
        (books([A, B, A], [A, B, A], [A, B, A]), 0, 2, 0, 2_000),
        (books([B], [B], [B]), 0, 0, 0, 0),
    ],
    ids=["lost", "lost at the maker", "doubled", "doubled, empty", "invented", "a Wh more", "shifted", "metered twice",
         "settled, never metered"],
)  # fmt: skip
def test_false_books_are_found_false(
    forged: Books, lost: int, doubled: int, invented: int, unexplained_wh: int
) -> None:
    verdict = judged(forged)
    assert verdict.findings
    assert (verdict.lost, verdict.doubled, verdict.invented) == (lost, doubled, invented)
    assert verdict.unexplained_wh == unexplained_wh
