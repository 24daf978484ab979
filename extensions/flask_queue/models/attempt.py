"""Failed attempts: one row for each run of a job that raised, was interrupted or died with its process."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table

from ..columns import Identifier, LongText, Name, UTCDateTime
from .base import metadata
from .options import table_options

attempts = Table(
    "queue_attempts",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("job_id", Identifier, ForeignKey("queue_jobs.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("process_id", Identifier),
    # Where it ran, in words: the process's row does not outlive it by much.
    Column("process_name", String(255)),
    Column("started_at", UTCDateTime),
    Column("failed_at", UTCDateTime, nullable=False),
    Column("error_class", Name, nullable=False),
    Column("message", LongText, nullable=False),
    Column("traceback", LongText, nullable=False),
    info=table_options(sqlite={"autoincrement": True}),
)

Index("ix_queue_attempts_job_id", attempts.c.job_id, attempts.c.id)
Index("ix_queue_attempts_failed_at", attempts.c.failed_at)
