"""The tables of the queue, as SQLAlchemy Core tables on a metadata of their own.

They are apart from any application, so that statements on them are built once for the whole process. `register` copies them
into the metadata of an application's bind, where `db.create_all()` and Alembic's autogenerate see them.
"""

from __future__ import annotations

from sqlalchemy import MetaData

from .attempt import attempts
from .base import metadata
from .concurrency_key import concurrency_keys
from .job import State, jobs
from .pause import pauses
from .process import Kind, processes
from .recurring_run import recurring_runs
from .recurring_task import recurring_tasks


def register(target: MetaData) -> None:
    """Copy the queue's tables into `target`, unless they are there already."""
    for table in metadata.sorted_tables:
        if table.name not in target.tables:
            table.to_metadata(target)


__all__ = [
    "Kind",
    "State",
    "attempts",
    "concurrency_keys",
    "jobs",
    "metadata",
    "pauses",
    "processes",
    "recurring_runs",
    "recurring_tasks",
    "register",
]
