"""Registered processes: who is alive, and who watches whom."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Column, Index, Integer, String, Table, UniqueConstraint

from ..columns import Identifier, JSONText, Name, UTCDateTime
from .base import metadata
from .options import table_options


class Kind(StrEnum):
    """What a process does."""

    SUPERVISOR = "Supervisor"
    WORKER = "Worker"
    DISPATCHER = "Dispatcher"
    SCHEDULER = "Scheduler"


processes = Table(
    "queue_processes",
    metadata,
    Column("id", Identifier, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    # Unique and random: a pid is not unique across containers.
    Column("name", Name, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("hostname", Name, nullable=False),
    Column("supervisor_id", Identifier),
    Column("started_at", UTCDateTime, nullable=False),
    Column("last_heartbeat_at", UTCDateTime, nullable=False),
    Column("metadata", JSONText, nullable=False),
    UniqueConstraint("name", name="uq_queue_processes_name"),
    # Ids are never used again: a claim names its owner by this id.
    info=table_options(sqlite={"autoincrement": True}),
)

Index("ix_queue_processes_last_heartbeat_at", processes.c.last_heartbeat_at)
Index("ix_queue_processes_supervisor_id", processes.c.supervisor_id)
