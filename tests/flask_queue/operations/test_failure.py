"""What is kept of an error: enough to understand it, in a form that every database takes, whatever the error is like."""

from __future__ import annotations

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.errors import JobTimeoutError
from flask_queue.operations.failure import MESSAGE_LENGTH, TRACEBACK_LENGTH, Failure, storable

from .by_hand import WorkerByHand
from .declared import plain


class Unspeakable(Exception):
    """Its own message cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no message")

    __repr__ = __str__


class UnspeakableExit(Exception):
    """It takes the program along when it is asked for its message."""

    def __str__(self) -> str:
        raise SystemExit


def raised(error: BaseException) -> BaseException:
    """The error with a traceback."""
    try:
        raise error
    except BaseException as caught:
        return caught


def too_deep() -> BaseException:
    """What endless recursion ends with, a thousand frames down."""

    def fall(n: int) -> int:
        return fall(n + 1) + 1

    try:
        fall(0)
    except RecursionError as error:
        return error
    raise AssertionError


def chained() -> BaseException:
    try:
        try:
            {}["missing"]
        except KeyError as cause:
            raise ValueError("outer") from cause
    except ValueError as error:
        return error


@pytest.mark.behaviour("D2")
def test_an_error_is_kept_with_its_class_message_and_traceback() -> None:
    failure = Failure.of(chained())
    assert (failure.error_class, failure.message) == ("ValueError", "outer")
    assert __file__ in failure.traceback
    assert "KeyError: 'missing'" in failure.traceback
    assert failure.traceback.rstrip().endswith("ValueError: outer")


def test_classes_are_named_so_that_they_can_be_told_apart() -> None:
    assert Failure.of(ValueError()).error_class == "ValueError"
    assert Failure.of(JobTimeoutError()).error_class == "JobTimeoutError"
    assert Failure.of(Unspeakable()).error_class == f"{__name__}.Unspeakable"


ODD = {
    "NUL": raised(ValueError("a\x00b")),
    "a lone surrogate": raised(ValueError("a\ud800b")),
    "emoji": raised(ValueError("\U0001f600" * 20_000)),
    "ten megabytes": raised(ValueError("x" * 10_000_000)),
    "no message": raised(Unspeakable()),
    "an exit in its message": raised(UnspeakableExit()),
    "bytes": raised(ValueError(b"\xff\x00")),
    "a long name": raised(type("Long" * 200, (Exception,), {})()),
    "recursion": too_deep(),
    "a group": raised(ExceptionGroup("several", [ValueError("a\x00"), Unspeakable()])),
    "percent": raised(ValueError("100% %s %(name)s {} \\ ' \"")),
}


@pytest.mark.behaviour("D5", "D6")
@pytest.mark.parametrize("error", ODD.values(), ids=ODD.keys())
def test_any_error_is_described(error: BaseException) -> None:
    failure = Failure.of(error)
    assert 0 < len(failure.error_class) <= 255
    assert len(failure.message) <= MESSAGE_LENGTH + 30
    assert len(failure.traceback) <= TRACEBACK_LENGTH + 30
    for text in (failure.error_class, failure.message, failure.traceback):
        assert "\x00" not in text
        text.encode("utf-8")


@pytest.mark.behaviour("D5", "D6")
def test_any_error_is_stored(app: Flask, queue: FlaskQueue) -> None:
    job = plain(queue)
    worker = WorkerByHand(queue)
    for what, error in ODD.items():
        handle = job.enqueue()
        worker.fail(worker.claim_one(), error=error)
        assert handle.status == "failed", what
        assert handle.error is not None
        failure = Failure.of(error)
        kept = (handle.error.error_class, handle.error.message, handle.error.traceback)
        assert kept == (failure.error_class, failure.message, failure.traceback), what


@pytest.mark.behaviour("D5")
def test_the_end_of_a_long_text_is_kept_as_well_as_its_beginning() -> None:
    text = storable("begin" + "x" * 5000 + "end", 1000)
    assert len(text) <= 1000
    assert text.startswith("begin")
    assert text.endswith("end")
    assert "left out" in text
    assert storable("short", 1000) == "short"


@pytest.mark.behaviour("D5")
def test_a_deep_traceback_keeps_the_frames_nearest_to_the_error() -> None:
    failure = Failure.of(too_deep())
    assert failure.error_class == "RecursionError"
    assert "in fall" in failure.traceback
    assert failure.traceback.count("\n") < 1000
