"""Recurring tasks: what became of their last ticks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from ...models import jobs, recurring_runs


@dataclass(frozen=True)
class Run:
    """A tick of a recurring task, with the state of its job while there is one."""

    run_at: datetime
    job_id: int | None
    state: str | None
    finished_at: datetime | None


def runs_of(connection: Connection, task_key: str, limit: int) -> list[Run]:
    """The last runs of a recurring task, the latest first."""
    statement = (
        select(recurring_runs.c.run_at, recurring_runs.c.job_id, jobs.c.state, jobs.c.finished_at)
        .select_from(recurring_runs.outerjoin(jobs, jobs.c.id == recurring_runs.c.job_id))
        .where(recurring_runs.c.task_key == task_key)
        .order_by(recurring_runs.c.run_at.desc())
        .limit(limit)
    )
    return [Run(*row) for row in connection.execute(statement)]
