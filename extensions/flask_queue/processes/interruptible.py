"""Sleep that a signal, or another thread, can cut short."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Sequence


class Interruptible:
    """A nap on a pipe: whoever writes into it ends the nap. Safe to call from signal handlers and from any thread.

    Its pipe is opened by the first nap at the latest, so that one may be made before a fork for the process that comes of it.
    """

    def __init__(self) -> None:
        self._reader = self._writer = -1
        self._was_called = False
        self._watched: list[int] = []
        #: Whether one of the descriptors could be read when the last nap ended.
        self.has_heard = False

    def wake(self) -> None:
        """End the nap, or the next one."""
        self._was_called = True  # before the look at the pipe: who opens it looks at this afterwards
        if self._writer >= 0:
            with contextlib.suppress(BlockingIOError, OSError):  # full of wake-up calls, or closed
                os.write(self._writer, b".")

    def open(self) -> None:
        """Open the pipe, in the process that is to nap.

        :raises OSError: when too many files are open.
        """
        if self._reader >= 0:
            return
        reader, writer = os.pipe()
        for end in (reader, writer):
            os.set_blocking(end, False)
        self._poll = select.poll()
        self._poll.register(reader, select.POLLIN)
        self._reader, self._writer = reader, writer
        if self._was_called:
            self.wake()

    def nap(self, seconds: float, descriptors: Sequence[int] = ()) -> bool:
        """Sleep up to `seconds`, until `wake`, or until one of `descriptors` can be read.

        :return: whether the nap was cut short.
        """
        self.open()
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
        for end in (self._reader, self._writer):
            with contextlib.suppress(OSError):  # not opened yet, or closed by a job that closes everything
                os.close(end)
