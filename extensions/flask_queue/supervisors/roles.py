"""The processes that a configuration asks for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..config import Configuration
from ..models.process import Kind
from ..processes.dispatcher import Dispatcher
from ..processes.registered import Process
from ..processes.runtime import Runtime
from ..processes.scheduler import Scheduler
from ..processes.worker import Worker

#: A process that dies younger than this, in seconds, is replaced after a pause that doubles each time.
_YOUNG = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


@dataclass(eq=False)
class Role:
    """A place that a supervisor keeps filled with a process."""

    kind: Kind
    build: Callable[[Runtime], Process]
    started_at: float = 0.0
    pause: float = 0.0

    def begin(self) -> None:
        """Note that a process starts in this role."""
        self.started_at = time.monotonic()

    def ended(self) -> float:
        """Note that its process died.

        :return: in how many seconds the next one is to start.
        """
        if time.monotonic() - self.started_at > _YOUNG:
            self.pause = 0.0
            return 0.0
        pause, self.pause = self.pause, min(max(_FIRST_PAUSE, 2 * self.pause), _LONGEST_PAUSE)
        return pause


def roles_of(configuration: Configuration, *, one_process_each: bool) -> list[Role]:
    """One role for each process, dispatchers first.

    :param one_process_each: ignore `processes:` of workers.
    """
    dispatchers = [Role(Kind.DISPATCHER, partial(Dispatcher, options=options)) for options in configuration.dispatchers]
    keys = [task.key for task in configuration.recurring_tasks if task.enabled]
    schedulers = [
        Role(Kind.SCHEDULER, partial(Scheduler, options=options, static_keys=keys)) for options in configuration.schedulers
    ]
    workers = [
        Role(Kind.WORKER, partial(Worker, options=options))
        for options in configuration.workers
        for _ in range(1 if one_process_each else options.processes)
    ]
    return [*dispatchers, *schedulers, *workers]
