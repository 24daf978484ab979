"""Progress bars for what takes long, where a person is looking. Apart from what is done, which knows nothing of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .output import is_terminal

if TYPE_CHECKING:
    from ..extension import FlaskQueue

T = TypeVar("T")

#: Fewer jobs than that are done before a bar could be read.
WORTH_A_BAR = 1000
#: Seconds between two looks at how many are left.
LOOK_INTERVAL = 0.5


def watched(label: str, remaining: Callable[[], int], act: Callable[[], T]) -> T:
    """Call `act`, while a bar shows how the number of `remaining` jobs falls."""
    total = remaining() if is_terminal() else 0
    if total < WORTH_A_BAR:
        return act()
    with click.progressbar(length=total, label=label) as bar, _looking(lambda: bar.update(total - remaining() - bar.pos)):
        result = act()
    return result


@contextmanager
def _looking(look: Callable[[], object]) -> Iterator[None]:
    """Look again and again in a thread of its own, and once more at the end."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_INTERVAL):
            look()

    thread = threading.Thread(target=copy_context().run, args=(watch,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    look()


@contextmanager
def performed_jobs_counted(queue: FlaskQueue, expected: Callable[[], int]) -> Iterator[None]:
    """Show on a bar how many of the `expected` jobs this process has run."""
    total = expected() if is_terminal() else 0
    if total < 2:
        yield
        return
    with click.progressbar(length=total, label="Running jobs") as bar:

        def listener(event: str, payload: dict[str, Any]) -> None:
            if event == "finish":
                bar.update(len(payload["endings"]))

        queue.events.subscribe(listener)
        try:
            yield
        finally:
            queue.events.unsubscribe(listener)
