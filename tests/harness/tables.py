"""The queue's tables as an outsider reads them: on a connection of its own, past the code under test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, func, select, text

from flask_queue.models import attempts, jobs, processes, recurring_runs

from .databases import connect


class Tables:
    """What stands in a queue's database right now."""

    def __init__(self, url: str) -> None:
        self.url = url

    def states(self) -> Counter[str]:
        """How many jobs are in each state."""
        rows = self._all(select(jobs.c.state, func.count()).group_by(jobs.c.state))
        return Counter({row[0]: row[1] for row in rows})

    def jobs(self, **where: Any) -> Sequence[Row[Any]]:
        """The rows of the jobs with these values, oldest first."""
        return self._all(select(jobs).where(*(jobs.c[name] == value for name, value in where.items())).order_by(jobs.c.id))

    def job(self, job_id: int | None) -> Row[Any]:
        assert job_id is not None, "the job was not enqueued"
        [row] = self.jobs(id=job_id)
        return row

    def attempts(self, job_id: int | None) -> Sequence[Row[Any]]:
        """The failed attempts of a job, oldest first."""
        return self._all(select(attempts).where(attempts.c.job_id == job_id).order_by(attempts.c.id))

    def processes(self, kind: str | None = None) -> Sequence[Row[Any]]:
        rows = self._all(select(processes).order_by(processes.c.id))
        return [row for row in rows if kind in (None, row.kind)]

    def forget_process(self, process_id: int) -> None:
        """Delete the row of a process behind its back."""
        with connect(self.url) as connection:
            connection.execute(processes.delete().where(processes.c.id == process_id))

    def runs(self, task_key: str) -> Sequence[Row[Any]]:
        """The ticks of a recurring task, oldest first."""
        task = recurring_runs.c.task_key == task_key
        return self._all(select(recurring_runs).where(task).order_by(recurring_runs.c.run_at))

    def overdue(self) -> int:
        """Scheduled jobs whose time came more than three seconds ago, by the database's clock."""
        ago = {
            "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now', '-3 seconds')",
            "postgresql": "now() - interval '3 seconds'",
        }
        with connect(self.url) as connection:
            moment = text(ago.get(connection.dialect.name, "utc_timestamp(6) - interval 3 second"))
            due = (jobs.c.state == "scheduled") & (jobs.c.scheduled_at < moment)
            return connection.scalar(select(func.count()).select_from(jobs).where(due)) or 0

    def holders(self) -> Sequence[Row[Any]]:
        """Each concurrency key with its limit and the number of jobs that hold a slot of it."""
        clocks = {"sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now')", "postgresql": "now()"}
        with connect(self.url) as connection:
            now = text(clocks.get(connection.dialect.name, "utc_timestamp(6)"))
            holding = jobs.c.state.in_(("ready", "claimed")) & ((jobs.c.expires_at > now) | jobs.c.expires_at.is_(None))
            statement = (
                select(
                    jobs.c.concurrency_key,
                    func.min(jobs.c.concurrency_limit).label("limit"),
                    func.count().label("size"),
                )
                .where(jobs.c.concurrency_key.is_not(None), holding)
                .group_by(jobs.c.concurrency_key)
            )
            return connection.execute(statement).all()

    def _all(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        with connect(self.url) as connection:
            return connection.execute(statement).all()
