"""Recurring tasks: what the schedulers enqueue, and when."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, String, Table, Text, UniqueConstraint

from ..columns import Identifier, LongText, Name, UTCDateTime
from .base import metadata
from .options import table_options

recurring_tasks = Table(
    "queue_recurring_tasks",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("key", Name, nullable=False),
    Column("job_name", Name, nullable=False),
    Column("arguments", LongText, nullable=False),
    Column("schedule", String(255), nullable=False),
    # The zone of a schedule that names none.
    Column("time_zone", String(64), nullable=False),
    Column("queue_name", Name),
    Column("priority", Integer),
    Column("description", Text),
    # Seconds of missed ticks that are made up for after an outage; 0 skips them.
    Column("catch_up", Integer, nullable=False, default=0, server_default="0"),
    # From the configuration file, or made at run time.
    Column("static", Boolean, nullable=False),
    Column("paused_at", UTCDateTime),
    # A task never fires for an instant before it was added, or before its schedule was last changed.
    Column("effective_at", UTCDateTime, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    UniqueConstraint("key", name="uq_queue_recurring_tasks_key"),
    info=table_options(),
)
