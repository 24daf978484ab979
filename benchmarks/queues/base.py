"""What a queue has to offer to be measured."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence

from ..processes import Command

#: Where workers find the address of the database and the options of their case.
URL = "BENCHMARK_URL"
OPTIONS = "BENCHMARK_OPTION_"


def tell_workers(url: str, options: Mapping[str, str]) -> None:
    """Put into the environment what a queue's module reads when it is imported, here and in the workers."""
    os.environ[URL] = url
    os.environ.update({OPTIONS + name: value for name, value in options.items()})


def url_of_worker() -> str:
    """The address of the database, in a process that imports a queue's module as its application."""
    return os.environ[URL]


def option_of_worker(name: str) -> str:
    """An option of the case, or an empty string."""
    return os.environ.get(OPTIONS + name, "")


class Queue:
    """A queue on one database. All of it is used by one process, with worker processes beside it."""

    #: The signal on which a worker ends in good order.
    ending = signal.SIGTERM
    #: Whether there is a call that enqueues many jobs at once.
    has_bulk = True
    #: Whether it has default settings to be measured with. The raw database has none.
    has_defaults = True
    #: Whether its workers can do with one process for all.
    can_be_one_process = True

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self.url = url
        self.options = options

    def create(self) -> None:
        """Create what the queue needs in an empty database."""
        raise NotImplementedError

    def enqueue(self, number: int) -> None:
        """Enqueue the job that marks `number`, and return when that is committed."""
        raise NotImplementedError

    def enqueue_many(self, numbers: range) -> None:
        """The same for many, in the way that the queue offers for it."""
        raise NotImplementedError

    def workers(self, *, tuned: bool) -> Sequence[Command]:
        """The commands that run its workers: as they come, or with what its documentation advises for throughput."""
        raise NotImplementedError

    def in_one_process(self) -> Sequence[Command]:
        """The commands that run its workers as they come, but all in one process: as most do anyway."""
        return self.workers(tuned=False)

    def finished(self) -> int:
        """How many jobs are through, by what the database says."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget all jobs. No worker runs meanwhile."""
        raise NotImplementedError

    def durability(self) -> str:
        """What a confirmed write survives, by the queue's own connection."""
        raise NotImplementedError

    def fill(self, numbers: range) -> None:
        """Enqueue many, one by one where there is no other way."""
        if self.has_bulk:
            self.enqueue_many(numbers)
        else:
            for number in numbers:
                self.enqueue(number)
