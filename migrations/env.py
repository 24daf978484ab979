"""How Alembic reaches the primary database: the application's tables, and nothing else that may live beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from logging.config import fileConfig
from typing import Any, Literal

from alembic import context
from flask import current_app
from sqlalchemy import Connection

from app.database import Moment
from app.extensions import db

# Tables in the same database that others look after: Litestream's, and the queue's where it has none of its own.
FOREIGN_PREFIXES = ("_litestream_", "queue_", "alembic_version")
# How long an upgrade waits for another one to end where that has to be said (MariaDB, MySQL), in seconds.
PATIENCE = 3600

fileConfig(context.config.config_file_name or "", disable_existing_loggers=False)


def include_name(name: str | None, type_: str, _parents: Any) -> bool:
    return not (type_ == "table" and name and name.startswith(FOREIGN_PREFIXES))


def include_object(_object: Any, name: str | None, type_: str, _reflected: bool, _compare_to: Any) -> bool:
    return include_name(name, type_, None)


def skip_empty_revision(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Let `flask db migrate` write no file when nothing has changed."""
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives.clear()


def render_item(type_: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """Write our own type as what it is in the database: a revision must not change when the application does."""
    if type_ == "type" and isinstance(item, Moment):
        autogen_context.imports.add("from sqlalchemy.dialects import mysql")
        return 'sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")'
    return False


def options() -> dict[str, Any]:
    return {
        "target_metadata": db.metadata,
        "include_name": include_name,
        "include_object": include_object,
        "render_item": render_item,
        "process_revision_directives": skip_empty_revision,
        # All or nothing, wherever the database can: MariaDB and MySQL cannot.
        "transactional_ddl": db.engine.dialect.name in ("sqlite", "postgresql"),
        **current_app.extensions["migrate"].configure_args,
    }


def run_offline() -> None:
    """Print the script instead of running it."""
    url = db.engine.url.render_as_string(hide_password=False)
    context.configure(url=url, literal_binds=True, **options())
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    with db.engine.connect() as connection:
        context.configure(connection=connection, **options())
        with turn(connection), context.begin_transaction():
            context.run_migrations()


@contextmanager
def turn(connection: Connection) -> Iterator[None]:
    """Wait until no other upgrade is running: several machines may be deployed at once, each with its `flask db upgrade`."""
    execute = connection.exec_driver_sql
    match connection.dialect.name:
        case "postgresql":
            execute("SELECT pg_advisory_xact_lock(hashtext('alembic_version'))")
            yield
        case "sqlite":
            execute("PRAGMA foreign_keys = OFF")  # a table that is rebuilt would take the rows that refer to it along
            execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                execute("PRAGMA foreign_keys = ON")
        case _:
            connection.detach()  # so that it is closed at the end, and the lock is gone with it
            execute(f"SELECT GET_LOCK(MD5(CONCAT(DATABASE(), '.alembic_version')), {PATIENCE})")
            yield


if context.is_offline_mode():
    run_offline()
else:
    run_online()
