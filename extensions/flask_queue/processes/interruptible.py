"""Sleep that a signal, or another thread, can cut short."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Sequence


class Interruptible:
    """A nap on a pipe: whoever writes into it ends the nap. Safe to call from signal handlers and from any thread."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        self._poll = select.poll()
        self._watched: list[int] = []
        self._poll.register(self._reader, select.POLLIN)
        #: Whether one of the descriptors could be read when the last nap ended.
        self.has_heard = False

    def wake(self) -> None:
        """End the nap, or the next one."""
        with contextlib.suppress(BlockingIOError, OSError):  # full of wake-up calls, or closed
            os.write(self._writer, b".")

    def nap(self, seconds: float, descriptors: Sequence[int] = ()) -> bool:
        """Sleep up to `seconds`, until `wake`, or until one of `descriptors` can be read.

        :return: whether the nap was cut short.
        """
        self._watch(descriptors)
        ready = [descriptor for descriptor, _ in self._poll.poll(max(0.0, seconds) * 1000)]
        woken = self._reader in ready
        self.has_heard = len(ready) > woken
        if woken:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._reader, 1024):
                    pass
        return bool(ready)

    def _watch(self, descriptors: Sequence[int]) -> None:
        if list(descriptors) == self._watched:
            return
        for descriptor in self._watched:
            with contextlib.suppress(KeyError):
                self._poll.unregister(descriptor)
        for descriptor in descriptors:
            self._poll.register(descriptor, select.POLLIN)
        self._watched = list(descriptors)

    def __del__(self) -> None:
        # Not earlier: a late thread would write its wake-up call into whatever has got the pipe's number since.
        with contextlib.suppress(AttributeError, OSError):
            os.close(self._reader)
            os.close(self._writer)
