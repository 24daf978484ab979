"""Ticks of recurring tasks: each pair of a task and an instant once, whoever comes first. A run outlives its job."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, UniqueConstraint

from ..columns import Identifier, Name, UTCDateTime
from .base import metadata
from .options import table_options

recurring_runs = Table(
    "queue_recurring_runs",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("task_key", Name, nullable=False),
    Column("run_at", UTCDateTime, nullable=False),
    Column("job_id", Identifier),
    Column("created_at", UTCDateTime, nullable=False),
    UniqueConstraint("task_key", "run_at", name="uq_queue_recurring_runs_task_key_run_at"),
    info=table_options(),
)

Index("ix_queue_recurring_runs_job_id", recurring_runs.c.job_id)
Index("ix_queue_recurring_runs_run_at", recurring_runs.c.run_at)
