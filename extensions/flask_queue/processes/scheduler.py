"""Enqueues recurring tasks at the instants of their schedules. Any number of schedulers enqueue each tick once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any

from ..client.recurring import job_of
from ..config import MOST_CATCH_UP_DAYS, SchedulerOptions
from ..database import AnyRow, is_outage
from ..errors import QueueError
from ..jobs.schedules import Schedule
from ..models.process import Kind
from ..operations import recurring, registration
from ..operations.clear import clear_runs
from ..operations.enqueue import database_time
from .crew import Crew
from .registered import Process
from .runtime import Runtime

#: Runs are kept so long, in seconds: no scheduler is ever so late that it could fire an older one again.
KEEP_RUNS = (MOST_CATCH_UP_DAYS + 30) * 86400.0
#: No more than so many missed instants of one task are made up for at once.
MOST_CATCH_UPS = 1000
#: So many ticks are enqueued side by side, and no tick holds up later ones for longer than this, in seconds.
CREW_SIZE = 4
PATIENCE = 0.5
_CLEARING_INTERVAL = timedelta(hours=1)
_CLEARING_BATCH = 500


class Scheduler(Process):
    """Recurring task → new job.

    Instants come from a schedule's grid and are compared with the database's clock, so that hosts whose clocks differ agree.
    """

    kind = Kind.SCHEDULER

    def __init__(self, runtime: Runtime, options: SchedulerOptions, static_keys: Sequence[str] = ()) -> None:
        super().__init__(runtime)
        self.polling_interval = options.polling_interval
        self.dynamic_tasks_enabled = options.dynamic_tasks_enabled
        self._static_keys = frozenset(static_keys)
        self._tasks: dict[str, AnyRow] = {}
        #: For each task what it was when its next instant was computed, and that instant.
        self._next: dict[str, tuple[tuple[Any, ...], datetime]] = {}
        #: Ticks, by their tasks' keys, that the database was not there for.
        self._unwritten: deque[tuple[str, datetime]] = deque()
        self._read_at: datetime | None = None
        #: Since when it would have noticed a task that it meets now.
        self._watching_since: datetime | None = None
        self._cleared_at: datetime | None = None
        self._crew = Crew(CREW_SIZE, name=f"{self.name}-tick")

    @property
    def metadata(self) -> dict[str, Any]:
        return {
            "polling_interval": self.polling_interval,
            "dynamic_tasks_enabled": self.dynamic_tasks_enabled,
            "recurring_schedule": {key: self._described(row) for key, row in sorted(self._tasks.items())},
        }

    def _described(self, row: AnyRow) -> dict[str, Any]:
        shown = self.runtime.client.describe_arguments(row.arguments, row.job_name)
        return {"schedule": row.schedule, "class": row.job_name, "arguments": shown}

    @property
    def task_keys(self) -> list[str]:
        """The keys of the tasks that it looks after."""
        return sorted(self._tasks)

    def register(self) -> None:
        self._read_tasks(self._now())
        super().register()

    def poll(self) -> float:
        moment = self._now()
        if self._is_reading_due(moment):
            self._reread_tasks(moment)
        self._go_back()
        ticks = [(row, instant) for key, row in self._tasks.items() for instant in self._due(key, row, moment)]
        if ticks:
            self._crew.run([partial(self._enqueue, row, instant) for row, instant in ticks], patience=PATIENCE)
        self._clear_runs(moment)
        return self._time_to_next(self._now())

    def drain(self) -> None:
        self._crew.run((), patience=0 if self.quitting else self.runtime.settings.shutdown_timeout)

    def _now(self) -> datetime:
        with self.runtime.database.connect() as connection:
            return database_time(connection)

    # --- which tasks there are --------------------------------------------------------------------

    def _is_reading_due(self, moment: datetime) -> bool:
        if self._read_at is None or moment < self._read_at:  # a clock that was set back must not stop us
            return True
        return moment - self._read_at >= timedelta(seconds=self.polling_interval)

    def _read_tasks(self, moment: datetime) -> None:
        with self.runtime.database.connect() as connection:
            rows = recurring.tasks(connection)
        self._tasks = {row.key: row for row in rows if self._is_mine(row)}
        self._next = {key: found for key, found in self._next.items() if key in self._tasks}
        self._watching_since, self._read_at = self._read_at or moment, moment

    def _is_mine(self, row: AnyRow) -> bool:
        return row.key in self._static_keys if row.static else self.dynamic_tasks_enabled

    def _reread_tasks(self, moment: datetime) -> None:
        before = self.metadata
        self._read_tasks(moment)
        process_id = self.id
        if self.metadata != before and process_id is not None:
            self.runtime.database.transact(lambda connection: registration.describe(connection, process_id, self.metadata))

    # --- ticks ------------------------------------------------------------------------------------

    def _go_back(self) -> None:
        """Go on from the ticks that could not be written: they are late now, and as much wanted as any that was missed."""
        while self._unwritten:
            key, instant = self._unwritten.popleft()
            if key in self._next:
                identity, next_instant = self._next[key]
                self._next[key] = identity, min(instant, next_instant)

    def _due(self, key: str, row: AnyRow, moment: datetime) -> list[datetime]:
        """For which instants a task is to be enqueued now; notes when it is due next."""
        identity = (row.id, row.schedule, row.time_zone, row.effective_at, row.paused_at)
        known = self._next.get(key)
        try:
            schedule = Schedule.parse(row.schedule, row.time_zone)
            if known is None or known[0] != identity:
                known = (identity, schedule.next_after(_start(row, moment, self._watching_since or moment)))
            due = _instants(schedule, known[1], moment)
            self._next[key] = (identity, schedule.next_after(due[-1])) if due else known
        except (QueueError, ArithmeticError) as error:  # what an older or newer version wrote
            self.runtime.handle_thread_error(error)
            self._next.pop(key, None)
            return []
        return _wanted(due, row, moment) if row.paused_at is None else []

    def _enqueue(self, row: AnyRow, instant: datetime) -> None:
        client = self.runtime.client
        with self.runtime.events.instrument("enqueue_recurring_task", task=row.key, at=instant) as fact:
            try:
                with self.runtime.job_context():  # arguments and key functions may need the application
                    job = job_of(client, row)

                first, fact["job_id"] = client.transact(
                    lambda connection: recurring.enqueue_tick(connection, row.key, instant, job), is_news=itemgetter(1)
                )
                fact["skipped"] = not first
            except Exception as error:  # reported with its task; the next tick, and the other tasks, go on
                if is_outage(error):
                    self._unwritten.append((row.key, instant))
                fact["enqueue_error"] = error
                self.runtime.handle_thread_error(error)

    def _time_to_next(self, moment: datetime) -> float:
        instants = [instant for _, instant in self._next.values()]
        wait = (min(instants) - moment).total_seconds() if instants else self.polling_interval
        return min(max(wait, 0.0), self.polling_interval)

    def _clear_runs(self, moment: datetime) -> None:
        if self._cleared_at is not None and moment - self._cleared_at < _CLEARING_INTERVAL:
            return
        self._cleared_at = moment
        while not self.stopping and self._clear_batch() == _CLEARING_BATCH:  # a task of every second has 3600 of them
            pass

    def _clear_batch(self) -> int:
        return self.runtime.database.transact(
            lambda connection: clear_runs(connection, older_than=KEEP_RUNS, batch_size=_CLEARING_BATCH)
        )


def _start(row: AnyRow, moment: datetime, watching_since: datetime) -> datetime:
    """Behind which instant a task that has just been read begins: never before it was added."""
    effective_at: datetime = row.effective_at
    return max(effective_at, min(watching_since, moment - timedelta(seconds=row.catch_up)))


def _instants(schedule: Schedule, first: datetime, moment: datetime) -> list[datetime]:
    """The latest instants of a schedule from `first`, which is one, to `moment`; no more than can be made up for."""
    if first > moment:  # at nearly every look: nothing is to be computed for it
        return []
    reach = timedelta(minutes=15)  # after a long sleep only the end matters, so it is looked for from there
    while moment - reach > first:
        found = list(schedule.occurrences(moment - reach, moment))
        if len(found) >= MOST_CATCH_UPS:
            return found[-MOST_CATCH_UPS:]
        reach *= 2
    return [first, *schedule.occurrences(first, moment)][-MOST_CATCH_UPS:]


def _wanted(due: Sequence[datetime], row: AnyRow, moment: datetime) -> list[datetime]:
    """Which of the due instants to enqueue: those within the task's window, or else the latest alone."""
    if not row.catch_up:
        return list(due[-1:])
    since = moment - timedelta(seconds=row.catch_up)
    return [instant for instant in due if instant >= since][-MOST_CATCH_UPS:] or list(due[-1:])
