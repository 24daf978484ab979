"""Help for tests of applications: run jobs at once, run what is due, and ask what was enqueued.

All need an application context, such as the one a test's fixture pushes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select

from .client import Client, JobHandle
from .current import current_queue
from .jobs.arguments import decode
from .jobs.definition import JobDefinition
from .jobs.functions import complete
from .models.job import State, jobs
from .operations.enqueue import NewJob


@contextmanager
def inline() -> Iterator[None]:
    """Inside the block `enqueue` runs the job at once, in the caller's thread and context, and lets its errors out.

    Arguments travel as they would through the database; nothing is written, and `wait`, `at`, retries and concurrency rules are
    left out of account. Where an event loop runs in that thread, coroutines run in another one.

    :raises NotInitialized: when the application has no queue.
    """
    client = current_queue().client
    before = client.interceptor
    client.interceptor = _run_at_once
    try:
        yield
    finally:
        client.interceptor = before


def _run_at_once(client: Client, handle: JobHandle, job: NewJob) -> None:
    args, kwargs = decode(job.arguments, references=client.references)
    assert handle.definition is not None
    complete(handle.definition.function(*args, **kwargs))
    handle.enqueued = True


def drain(*, limit: int | None = None, queues: tuple[str, ...] = ("*",)) -> int:
    """Run what is due until nothing is left. Scheduled jobs that are not due stay, and jobs that fail raise nothing.

    :param limit: no more jobs than so many.
    :param queues: of these queues, in this order; as for a worker.
    :return: how many jobs were run.
    :raises NotInitialized: when the application has no queue.
    :raises sqlalchemy.exc.SQLAlchemyError: when the database refuses, or stays away after a job for a minute.
    """
    return current_queue().work(limit=limit, queues=queues)


def assert_enqueued(job: JobDefinition[Any, Any], /, *args: Any, **kwargs: Any) -> JobHandle:
    """Fail unless a job with these arguments waits in the queue: ready, scheduled or blocked.

    :return: its handle; the latest where there are several.
    :raises AssertionError: when there is none.
    :raises NotInitialized: when the application has no queue.
    """
    client = current_queue().client
    wanted = client.new_job(job.build(*args, **kwargs)).arguments
    waiting = [state.value for state in (State.READY, State.SCHEDULED, State.BLOCKED)]
    rows = select(jobs).where(jobs.c.name == job.name, jobs.c.state.in_(waiting)).order_by(jobs.c.id.desc())
    with client.database.connect() as connection:
        found = [JobHandle.of_row(client, row) for row in connection.execute(rows)]
    for handle in found:
        if handle.arguments == wanted:
            return handle
    others = ", ".join(handle.arguments for handle in found) or "none"
    raise AssertionError(f"No {job.name} with arguments {wanted} is waiting. Waiting ones of this job: {others}.")
