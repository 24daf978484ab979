"""Keys of concurrency limits: a row to lock where the database has no lock of another kind. It counts nothing."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table

from ..columns import Name, UTCDateTime
from .base import metadata
from .options import table_options

concurrency_keys = Table(
    "queue_concurrency_keys",
    metadata,
    Column("key", Name, primary_key=True),
    Column("used_at", UTCDateTime, nullable=False),
    info=table_options(),
)

Index("ix_queue_concurrency_keys_used_at", concurrency_keys.c.used_at)
