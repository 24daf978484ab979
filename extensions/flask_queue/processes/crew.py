"""A few threads for errands that are short as a rule, so that one that is not holds up none of the others: a thread pool.

That of `concurrent.futures` is none for us: it waits at the process's end for an errand that hangs.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

Errand = Callable[[], None]


class Crew:
    """Runs errands side by side. Its threads start when there is something to do, and end when there is nothing more."""

    def __init__(self, size: int, *, name: str) -> None:
        self._size = size
        self._name = name
        self._line: deque[Errand] = deque()
        self._threads = 0
        self._under_way = 0
        self._changed = threading.Condition()

    def run(self, errands: Iterable[Errand], *, patience: float) -> bool:
        """Begin `errands`, and wait for the end of all that are under way, but no longer than `patience` seconds.

        Where the system has no thread for them, the caller does them itself.

        :return: whether all are through; what is not goes on.
        """
        with self._changed:
            for errand in errands:
                self._line.append(errand)
                self._under_way += 1
                self._add_thread()
            is_alone = bool(self._line) and self._threads == 0
            self._threads += is_alone
        if is_alone:
            self._work()
        with self._changed:
            return self._changed.wait_for(lambda: self._under_way == 0, timeout=patience)

    def _add_thread(self) -> None:
        if self._threads < self._size:
            with suppress(RuntimeError):  # the system has no more threads; those that there are do the work
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
                self._threads += 1  # it begins when we let the lock go

    def _work(self) -> None:
        while (errand := self._next()) is not None:
            try:
                errand()
            finally:
                with self._changed:
                    self._under_way -= 1
                    self._changed.notify_all()

    def _next(self) -> Errand | None:
        with self._changed:
            if self._line:
                return self._line.popleft()
            self._threads -= 1
            return None
