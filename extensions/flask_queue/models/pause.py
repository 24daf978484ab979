"""Paused queues: a row here keeps every worker away from the queue."""

from __future__ import annotations

from sqlalchemy import Column, Table

from ..columns import MYSQL_OPTIONS, UTCDateTime, name_type
from .base import metadata

pauses = Table(
    "queue_pauses",
    metadata,
    Column("queue_name", name_type(), primary_key=True),
    Column("paused_at", UTCDateTime, nullable=False),
    **MYSQL_OPTIONS,
)
