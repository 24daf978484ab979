"""Declaring jobs: which function may have a name, and what its rules may be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial, wraps
from typing import Any

import pytest

from flask_queue import FlaskQueue
from flask_queue.errors import ConfigurationError, EnqueueError


def bare(function: Callable[[], None]) -> Callable[[], None]:
    def wrapper() -> None:
        function()

    return wrapper


def kind(function: Callable[[], None]) -> Callable[[], None]:
    @wraps(function)
    def wrapper() -> None:
        function()

    return wrapper


def charge() -> None: ...


def refund() -> None: ...


class Mailer:
    def __call__(self) -> None: ...


PAIRS = {
    "lambdas": (lambda: None, lambda: 1),
    "partials": (partial(print, "charge"), partial(print, "refund")),
    "instances": (Mailer(), Mailer()),
    "under a decorator": (bare(charge), bare(refund)),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_another_function_does_not_take_a_name_that_neither_was_given(pair: tuple[Any, Any]) -> None:
    queue = FlaskQueue()
    first = queue.job(pair[0])
    with pytest.raises(ConfigurationError, match=r"Two jobs are called .*another `name=`"):
        queue.job(pair[1])
    assert queue.job(pair[0]).name == first.name
    queue.job(pair[1], name="another")


def declare(queue: FlaskQueue, recipient: object) -> None:
    """As an application's factory does, which is called for each test."""

    @queue.job
    def by_itself() -> None:
        assert recipient
        later()

    @queue.job
    @bare
    def under_a_decorator() -> None: ...

    queue.job(name="lambda")(lambda: recipient)
    queue.job(name="partial")(partial(print, recipient))

    def later() -> None: ...


def test_what_is_made_again_takes_its_own_place() -> None:
    queue = FlaskQueue()
    for _ in range(2):
        declare(queue, object())


def test_a_decorator_that_keeps_names_keeps_jobs_apart() -> None:
    queue = FlaskQueue()
    assert queue.job(kind(charge)).name != queue.job(kind(refund)).name


def yielding() -> Iterator[int]:
    yield 1


async def yielding_later() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [yielding, yielding_later])
def test_a_function_whose_call_would_run_nothing_is_no_job(function: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"yielding.* has a `yield`: a job that calls it would run nothing"):
        FlaskQueue().job(function)


@pytest.mark.parametrize("seconds", [True, 0, -1, float("inf"), float("nan"), "5"])
def test_a_timeout_is_a_length_of_time(seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="timeout="):
        FlaskQueue().job(charge, timeout=seconds)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"name": ""}, "job=''"),
        ({"name": "  "}, "job='  '"),
        ({"after_commit": "yes"}, "after_commit='yes': True or False"),
        ({"after_commit": 1}, "after_commit=1: True or False"),
        ({"transactional": "no"}, "transactional='no': True or False"),
        ({"after_commit": True, "transactional": True}, "either after_commit=True or transactional=True"),
    ],
    ids=str,
)
def test_an_option_that_says_nothing_clear_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        FlaskQueue().job(**options)(charge)
    job = FlaskQueue().job(charge)
    if "name" not in options:
        with pytest.raises(EnqueueError, match=told):
            job.using(**options)


def test_what_says_nothing_or_no_is_accepted() -> None:
    job = FlaskQueue().job(after_commit=None, transactional=False)(charge)
    assert job.using(after_commit=False, transactional=None).options.after_commit is False
