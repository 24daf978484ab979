"""Recurring tasks, as the scheduler, the commands and the dashboard deal with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from ..config import MOST_CATCH_UP_DAYS
from ..config.values import NAME_LENGTH, checked, long_text, task_key
from ..database import AnyRow
from ..errors import (
    ArgumentError,
    ConfigurationError,
    InvalidTransition,
    QueueError,
    RecurringTaskExists,
    RecurringTaskNotFound,
    UnknownJobError,
)
from ..jobs import arguments
from ..jobs.definition import priority_number, queue_name
from ..jobs.functions import complaint_of_call
from ..jobs.schedules import Schedule
from ..operations import recurring as operations
from ..operations.enqueue import NewJob, database_time, enqueue
from .handle import JobHandle

if TYPE_CHECKING:
    from ..config import RecurringTask
    from .client import Client


class RecurringTaskHandle:
    """A recurring task as it stood when it was read."""

    def __init__(self, client: Client, row: AnyRow, last_run_at: datetime | None, moment: datetime) -> None:
        self._client = client
        self._moment = moment
        self.key: str = row.key
        self.job_name: str = row.job_name
        self.arguments: str = row.arguments
        self.schedule: str = row.schedule
        self.time_zone: str = row.time_zone
        self.queue: str | None = row.queue_name
        self.priority: int | None = row.priority
        self.description: str | None = row.description
        self.catch_up = timedelta(seconds=row.catch_up)
        self.static: bool = row.static
        self.paused: bool = row.paused_at is not None
        #: The instant that it last ran for.
        self.last_run_at = last_run_at

    def __repr__(self) -> str:
        return f"<RecurringTaskHandle {self.key}>"

    @property
    def next_run_at(self) -> datetime | None:
        """When it is due next; None while it is paused.

        :raises InvalidScheduleError: when its schedule, which another version has stored, cannot be read or is over.
        """
        return None if self.paused else Schedule.parse(self.schedule, self.time_zone).next_after(self._moment)

    def last_job(self) -> JobHandle | None:
        """The job of its latest run; None when there was none, or it has been cleared."""
        with self._client.database.connect() as connection:
            run = operations.last_run(connection, self.key)
        if run is None or run.job_id is None:
            return None
        handle = JobHandle.of_id(self._client, run.job_id)
        return handle if handle.exists() else None

    def pause(self) -> None:
        """Let it enqueue nothing until it is resumed.

        :raises RecurringTaskNotFound: when it is gone.
        """
        self._set_paused(True)

    def resume(self) -> None:
        """Let it enqueue again, from its next instant on.

        :raises RecurringTaskNotFound: when it is gone.
        """
        self._set_paused(False)

    def _set_paused(self, paused: bool) -> None:
        if not self._client.database.transact(lambda connection: operations.set_paused(connection, self.key, paused)):
            raise RecurringTaskNotFound(f"There is no recurring task {self.key!r} any more.")
        self.paused = paused

    def run_now(self) -> JobHandle:
        """Enqueue one job of it at once, beside its planned runs.

        :raises RecurringTaskNotFound: when it is gone.
        :raises UnknownJobError: when its job is not registered any more.
        :raises InvalidTransition: when a concurrency rule discards the job.
        :raises EnqueueError: when the database refuses; nothing is written.
        """
        row = self._client.enqueuing(self._row)
        if row is None:
            raise RecurringTaskNotFound(f"There is no recurring task {self.key!r} any more.")
        job = job_of(self._client, row)

        def work(connection: Connection) -> int | None:
            job_id = enqueue(connection, job)
            if job_id is not None:
                operations.record_extra_run(connection, self.key, job_id)
            return job_id

        job_id = self._client.enqueuing(lambda: self._client.transact(work))
        if job_id is None:
            raise InvalidTransition(f"The concurrency rule of {self.job_name} discarded the job: another one holds its slot.")
        return JobHandle.of_id(self._client, job_id)

    def _row(self) -> AnyRow | None:
        with self._client.database.connect() as connection:
            return operations.task(connection, self.key)


class RecurringTasks:
    """All recurring tasks, by key."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def all(self) -> list[RecurringTaskHandle]:
        """Every task, in two statements however many they are."""
        with self._client.database.connect() as connection:
            rows = operations.tasks(connection)
            last_runs = operations.last_runs(connection)
            moment = database_time(connection)
        return [RecurringTaskHandle(self._client, row, last_runs.get(row.key), moment) for row in rows]

    def __iter__(self) -> Iterator[RecurringTaskHandle]:
        return iter(self.all())

    def get(self, key: str) -> RecurringTaskHandle | None:
        """The task with this key, or None."""
        with self._client.database.connect() as connection:
            row = operations.task(connection, key)
            if row is None:
                return None
            run = operations.last_run(connection, key)
            return RecurringTaskHandle(self._client, row, run.run_at if run else None, database_time(connection))

    def __getitem__(self, key: str) -> RecurringTaskHandle:
        """The task with this key.

        :raises RecurringTaskNotFound: when there is none.
        """
        task = self.get(key)
        if task is None:
            raise RecurringTaskNotFound(f"There is no recurring task {key!r}.")
        return task

    def schedule(self, key: str, **options: Any) -> RecurringTaskHandle:
        """Add a dynamic task. See `FlaskQueue.schedule_recurring_task`."""
        values = _dynamic_values(self._client, key, **options)
        if not self._client.database.transact(lambda connection: operations.add(connection, values)):
            raise RecurringTaskExists(f"There is already a recurring task {key!r}. Unschedule it first, or choose another key.")
        return self[key]

    def unschedule(self, key: str) -> None:
        """Remove a dynamic task.

        :raises RecurringTaskNotFound: when there is none, or it comes from the configuration.
        """
        if not self._client.database.transact(lambda connection: operations.remove(connection, key)):
            raise RecurringTaskNotFound(
                f"There is no recurring task {key!r} that was scheduled at run time. "
                "Tasks of the configuration are removed there."
            )


def job_of(client: Client, row: AnyRow) -> NewJob:
    """The job that a task's row enqueues at every tick.

    :raises UnknownJobError: when it is not registered.
    """
    definition = client.definitions.get(row.job_name)
    if definition is None:
        raise UnknownJobError(f"Recurring task {row.key!r}: no job {row.job_name!r} is registered. {UnknownJobError.__doc__}")
    args, kwargs = arguments.decode(row.arguments, references=client.references)
    job = definition.using(queue=row.queue_name, priority=row.priority)
    return client.new_job(job.build(*args, **kwargs))


def static_values(client: Client, task: RecurringTask, job_name: str) -> dict[str, Any]:
    """A task of the configuration as a row."""
    return _values(
        client,
        key=task.key,
        job_name=job_name,
        schedule=task.schedule,
        args=task.args,
        kwargs=task.kwargs,
        queue=task.queue,
        priority=task.priority,
        description=task.description,
        time_zone=task.time_zone,
        catch_up=task.catch_up,
        static=True,
    )


def _dynamic_values(client: Client, key: str, *, job: Any, schedule: str, **options: Any) -> dict[str, Any]:
    checked("key", key, task_key)
    name = getattr(job, "name", job)
    if not isinstance(name, str) or name not in client.definitions:
        raise UnknownJobError(f"job={job!r}: no such job is registered.")
    for option, given in (("schedule", schedule), ("time_zone", options.get("time_zone"))):
        if not isinstance(given, str | None):
            raise ConfigurationError(f"{option}={given!r}: text.")
    Schedule.parse(schedule, options.get("time_zone") or client.settings.time_zone)
    args, kwargs = _positional(options.get("args")), _by_name(options.get("kwargs"))
    if complaint := complaint_of_call(client.definitions[name].function, args, kwargs):
        raise ArgumentError(complaint)
    return _values(client, key=key, job_name=name, schedule=schedule, static=False, **options)


def _values(
    client: Client,
    *,
    key: str,
    job_name: str,
    schedule: str,
    static: bool,
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    queue: str | None = None,
    priority: int | None = None,
    description: str | None = None,
    time_zone: str | None = None,
    catch_up: timedelta | float = 0,
) -> dict[str, Any]:
    if len(schedule) > NAME_LENGTH:
        raise QueueError(f"{key}: a schedule has at most {NAME_LENGTH} characters.")
    return {
        "key": key,
        "job_name": job_name,
        "arguments": arguments.encode(_positional(args), _by_name(kwargs), references=client.references),
        "schedule": schedule,
        "time_zone": time_zone or client.settings.time_zone,
        "queue_name": queue if queue is None else queue_name(queue),
        "priority": priority if priority is None else priority_number(priority),
        "description": description if description is None else checked("description", description, long_text),
        "catch_up": _catch_up_seconds(catch_up),
        "static": static,
    }


def _positional(args: object) -> tuple[Any, ...]:
    """One argument or several: a text is one, and so is a mapping, however many letters or keys they have."""
    if args is None:
        return ()
    return tuple(args) if isinstance(args, list | tuple) else (args,)


def _by_name(kwargs: object) -> dict[str, Any]:
    if kwargs is None:
        return {}
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        raise ConfigurationError(f"kwargs={kwargs!r}: a mapping of names to arguments, or None.")
    return dict(kwargs)


def _catch_up_seconds(catch_up: object) -> int:
    seconds = catch_up.total_seconds() if isinstance(catch_up, timedelta) else catch_up
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= MOST_CATCH_UP_DAYS * 86400:
        return int(seconds)
    raise ConfigurationError(f"catch_up={catch_up!r}: a timedelta or seconds, 0 or more, up to {MOST_CATCH_UP_DAYS} days.")
