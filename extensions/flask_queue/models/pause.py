"""Paused queues: a row here keeps every worker away from the queue."""

from __future__ import annotations

from sqlalchemy import Column, Table

from ..columns import Name, UTCDateTime
from .base import metadata
from .options import table_options

pauses = Table(
    "queue_pauses",
    metadata,
    Column("queue_name", Name, primary_key=True),
    Column("paused_at", UTCDateTime, nullable=False),
    info=table_options(),
)
