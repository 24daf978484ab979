"""Several things at the same instant, and one thing held up by another, so that a race is met each time and not by luck."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from flask import Flask

T = TypeVar("T")

#: How long a thing is watched that must not happen, in seconds.
WATCH = 0.25
#: How long a thing may take that must happen, in seconds.
PATIENCE = 30


def at_once(app: Flask, *works: Callable[[], T]) -> list[T]:
    """Begin all of `works` together, each in a thread and an application context of its own; what they return, in order."""
    barrier = threading.Barrier(len(works))

    def one(work: Callable[[], T]) -> T:
        with app.app_context():
            barrier.wait(PATIENCE)
            return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(PATIENCE) for future in [pool.submit(one, work) for work in works]]


def times(count: int, work: Callable[[], T]) -> Sequence[Callable[[], T]]:
    """The same work so many times, for `at_once`."""
    return [work] * count


class Aside:
    """Work in a thread of its own, to see whether it gets through while the test holds something it needs."""

    def __init__(self, app: Flask, work: Callable[[], Any]) -> None:
        self._future: Future[Any] = Future()

        def run() -> None:
            try:
                with app.app_context():
                    self._future.set_result(work())
            except BaseException as error:
                self._future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()

    def is_held_up(self) -> bool:
        """Whether it still waits after a while."""
        try:
            self._future.exception(WATCH)
        except TimeoutError:
            return True
        return False

    def result(self) -> Any:
        """What it returned, once it is through."""
        return self._future.result(PATIENCE)
