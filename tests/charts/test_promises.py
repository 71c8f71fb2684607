"""Promises: settled once, heard by all who follow, turned into others, rescued where they fail."""

from __future__ import annotations

import pytest

from statecharts.promises import Promise


def test_followers_hear_of_it_in_order_before_and_after() -> None:
    promise, heard = Promise[int](), list[tuple[str, int]]()
    promise.follow(lambda settled: heard.append(("first", settled.result())))
    promise.follow(lambda settled: heard.append(("second", settled.result())))
    assert repr(promise) == "<Promise open>"
    promise.set(7)
    promise.follow(lambda settled: heard.append(("late", settled.result())))
    assert heard == [("first", 7), ("second", 7), ("late", 7)]
    assert repr(promise) == "<Promise settled>"


def test_the_first_word_counts() -> None:
    promise = Promise[int]()
    promise.set(1)
    promise.set(2)
    promise.fail(ValueError())
    assert promise.result() == 1


def test_a_failure_is_raised_to_whoever_looks() -> None:
    promise = Promise[int]()
    promise.fail(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        promise.result()


def test_what_is_made_of_an_answer_is_a_promise_too() -> None:
    promise = Promise[int]()
    text, broken = promise.then(str), promise.then(lambda number: number / 0)
    promise.set(7)
    assert text.result() == "7"
    with pytest.raises(ZeroDivisionError):
        broken.result()


def test_a_failure_goes_on_unless_somebody_knows_better() -> None:
    promise, instead = Promise[int](), Promise[str]()
    plain = promise.then(str)
    rescued = promise.then(str, lambda error: instead)

    def refuse(error: Exception) -> Promise[str]:
        raise LookupError from error

    worse = promise.then(str, refuse)
    promise.fail(ValueError())
    assert not rescued.settled
    instead.set("something else")
    assert rescued.result() == "something else"
    for failed, error in ((plain, ValueError), (worse, LookupError)):
        with pytest.raises(error):
            failed.result()
