"""Recurring tasks: what became of their last ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from ...models import jobs, recurring_runs


def runs_of(connection: Connection, task_key: str, limit: int) -> Sequence[Row[Any]]:
    """The last ticks of a recurring task, with the state of the job of each, while there is one."""
    statement = (
        select(recurring_runs.c.run_at, recurring_runs.c.job_id, jobs.c.state, jobs.c.finished_at)
        .select_from(recurring_runs.outerjoin(jobs, jobs.c.id == recurring_runs.c.job_id))
        .where(recurring_runs.c.task_key == task_key)
        .order_by(recurring_runs.c.run_at.desc())
        .limit(limit)
    )
    return connection.execute(statement).all()
