"""TERM and INT stop a process in good order, QUIT at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


@contextmanager
def trapped(
    stop: Callable[[], None], quit: Callable[[], None], child_exited: Callable[[], None] | None = None
) -> Iterator[None]:
    """Call these when signals arrive, for the length of the block. Main thread only."""

    def handler(call: Callable[[], None]) -> Callable[[int, FrameType | None], None]:
        return lambda number, frame: call()

    wanted = {signal.SIGTERM: handler(stop), signal.SIGINT: handler(stop), signal.SIGQUIT: handler(quit)}
    if child_exited is not None:
        wanted[signal.SIGCHLD] = handler(child_exited)
    before = {number: signal.signal(number, wanted[number]) for number in wanted}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


@contextmanager
def held_back() -> Iterator[None]:
    """Keep stop signals waiting for the length of the block: around a fork they would hit the wrong handler."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
