"""`current_job`: the job that is running here. False, and empty, outside of one."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple

from .errors import QueueError


class RunningJob(NamedTuple):
    """What a running job may know of itself."""

    id: int
    name: str
    queue: str
    attempt: int
    is_stopping: Callable[[], bool]


running_job: ContextVar[RunningJob | None] = ContextVar("flask_queue_running_job", default=None)


class CurrentJob:
    """Stands for the job that runs in this thread or task.

    `.id` is the id that `enqueue` returned; `.attempt` counts from 1; `.stopping` turns true when the worker has been told to
    stop, so that a long job can leave off at a good place.

    :raises QueueError: when one of these is asked for outside of a job.
    """

    def __bool__(self) -> bool:
        return running_job.get() is not None

    def __repr__(self) -> str:
        job = running_job.get()
        return f"<current_job {job.name} {job.id}>" if job else "<current_job: none>"

    @property
    def id(self) -> int:
        """The job's row id."""
        return self._job.id

    @property
    def name(self) -> str:
        """The job's registered name."""
        return self._job.name

    @property
    def queue(self) -> str:
        """The queue that it came from."""
        return self._job.queue

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1; a retry by hand starts anew."""
        return self._job.attempt

    @property
    def stopping(self) -> bool:
        """Whether the worker was told to stop."""
        return self._job.is_stopping()

    @property
    def _job(self) -> RunningJob:
        job = running_job.get()
        if job is None:
            raise QueueError("current_job was used outside of a job. Test it first: `if current_job: …`.")
        return job


current_job = CurrentJob()
