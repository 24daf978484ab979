"""The tables of the queue, as SQLAlchemy Core tables on a metadata of their own.

They are apart from any application, so that statements on them are built once for the whole process. `register` copies them
into the metadata of an application's bind, where `db.create_all()` and Alembic's autogenerate see them, with what the
database in use is told besides.
"""

from __future__ import annotations

from sqlalchemy import Column, MetaData, String, Table

from .attempt import attempts
from .base import metadata
from .concurrency_key import concurrency_keys
from .job import State, jobs
from .options import set_options
from .pause import pauses
from .process import Kind, processes
from .recurring_run import recurring_runs
from .recurring_task import recurring_tasks

#: Where Alembic notes which of the queue's migrations have run.
VERSION_TABLE = "queue_alembic_version"


def register(target: MetaData, dialect: str) -> None:
    """Copy the queue's tables into `target`, unless they are there already.

    :param dialect: the name of the dialect of SQLAlchemy's that will make them.
    """
    for table in metadata.sorted_tables:
        if table.name not in target.tables:
            table.to_metadata(target)
        copy = target.tables[table.name]
        set_options(copy, table.info, dialect)
        infos = {index.name: index.info for index in table.indexes}
        for index in copy.indexes:
            set_options(index, infos.get(index.name, {}), dialect)
    if VERSION_TABLE not in target.tables:
        # In a database that both share, the autogenerate of the application's own migrations would want to drop it.
        Table(VERSION_TABLE, target, Column("version_num", String(32), primary_key=True))


__all__ = [
    "VERSION_TABLE",
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
