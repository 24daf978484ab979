"""What config/queue.yml says of each worker, dispatcher and scheduler."""

from __future__ import annotations

from dataclasses import dataclass

from .values import boolean, duration, names, option, whole_number


@dataclass(frozen=True)
class WorkerOptions:
    """An entry of `workers:`."""

    #: Names in order of preference; "mail*" means all that begin so, "*" means all.
    queues: tuple[str, ...] = option(("*",), names)
    threads: int = option(3, whole_number(1, 10_000))
    processes: int = option(1, whole_number(1, 1_000))
    polling_interval: float = option(0.1, duration())
    #: How many `async def` jobs run at once on the worker's event loop.
    coroutines: int = option(100, whole_number(1, 100_000))
    #: How many jobs a worker claims beyond those it can run.
    prefetch: int = option(0, whole_number(0, 100_000))


@dataclass(frozen=True)
class DispatcherOptions:
    """An entry of `dispatchers:`."""

    polling_interval: float = option(1.0, duration())
    batch_size: int = option(500, whole_number(1, 100_000))
    concurrency_maintenance: bool = option(True, boolean)
    concurrency_maintenance_interval: float = option(300.0, duration())


@dataclass(frozen=True)
class SchedulerOptions:
    """The entry `scheduler:`."""

    dynamic_tasks_enabled: bool = option(False, boolean)
    polling_interval: float = option(5.0, duration())
