"""Run the queue's migrations on the database that `QUEUE_BIND_KEY` names, and look at the queue's tables only.

They may share a database with the application's tables and migrations: these here keep their own note of what has been
applied, in the table `queue_alembic_version`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.config import fileConfig
from typing import Any

from alembic import context
from alembic.util import CommandError
from flask import current_app
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from flask_queue import models

log = logging.getLogger("alembic.env")
#: How long an upgrade waits for another one to end where that has to be said (MariaDB, MySQL), in seconds.
PATIENCE = 3600


def queue_engine() -> Engine:
    """The engine of the queue's bind."""
    queue = current_app.extensions.get("queue")
    if queue is None:
        raise CommandError("This application has no queue. Call `queue.init_app(app, db)` in its factory.")
    engine: Engine = current_app.extensions["sqlalchemy"].engines[queue.settings.bind_key]
    return engine


def is_ours(name: str | None, kind: str, parents: Any) -> bool:
    """Leave alone every table that is not the queue's."""
    return kind != "table" or name in models.metadata.tables


def drop_empty_revision(_: Any, __: Any, directives: list[Any]) -> None:
    """Write no revision file when autogenerate finds nothing to do."""
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives.clear()
        log.info("The queue's tables are as they should be.")


def configure(engine: Engine, **how: Any) -> None:
    context.configure(
        target_metadata=models.metadata,
        version_table=models.VERSION_TABLE,
        include_name=is_ours,
        process_revision_directives=drop_empty_revision,
        # SQLite alters a table by copying it.
        render_as_batch=engine.dialect.name == "sqlite",
        # All or nothing, wherever the database can: MariaDB and MySQL cannot.
        transactional_ddl=engine.dialect.name in ("sqlite", "postgresql"),
        **how,
    )


def print_statements(engine: Engine) -> None:
    """For `--sql`: needs no database."""
    configure(engine, url=engine.url, literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()


def run_statements(engine: Engine) -> None:
    with engine.connect() as connection:
        configure(engine, connection=connection)
        with turn(connection), context.begin_transaction():
            context.run_migrations()


@contextmanager
def turn(connection: Connection) -> Iterator[None]:
    """Wait until no other upgrade is running: several machines may be deployed at once, each with its `flask db upgrade`."""
    execute = connection.exec_driver_sql
    match connection.dialect.name:
        case "postgresql":
            execute(f"SELECT pg_advisory_xact_lock(hashtext('{models.VERSION_TABLE}'))")
            yield
        case "sqlite":
            if connection.connection.in_transaction:
                execute("ROLLBACK")  # SQLAlchemy was told to begin transactions itself, which locks nothing yet
            execute("PRAGMA foreign_keys = OFF")  # a table that is altered by copying it would take what refers to it along
            execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                execute("PRAGMA foreign_keys = ON")
        case _:
            connection.detach()  # so that it is closed at the end, and the lock is gone with it
            execute(f"SELECT GET_LOCK(MD5(CONCAT(DATABASE(), '.{models.VERSION_TABLE}')), {PATIENCE})")
            yield


def hint(error: DBAPIError) -> str:
    """What to do about an error that people meet."""
    if "already exists" in str(error.orig):
        return " If db.create_all() made the tables, say so once: flask db -d migrations_queue stamp head"
    return ""


def run(engine: Engine) -> None:
    try:
        print_statements(engine) if context.is_offline_mode() else run_statements(engine)
    except DBAPIError as error:
        said = " ".join(str(error.orig).split()).rstrip(".")
        raise CommandError(f"The queue's database {engine.url} says: {said}.{hint(error)}") from error


if context.config.config_file_name:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)
run(queue_engine())
