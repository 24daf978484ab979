"""From an application's settings to what belongs to its queue, and from the current application to that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask, current_app, got_request_exception
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData
from sqlalchemy.orm import Mapper, Session

from . import models
from .client import Client
from .client.health import Note
from .client.references import MappedReferences
from .config import Settings
from .database import Database, set_pragmas
from .errors import ConfigurationError, NoApplication, NotInitialized
from .processes.runtime import Runtime
from .registry import Registry


@dataclass(eq=False)
class AppState:
    """What belongs to one application."""

    client: Client
    db: SQLAlchemy
    health_checks: dict[str, Callable[[], Iterable[str]]] = field(default_factory=dict)
    notes: dict[str, Note] = field(default_factory=dict)


def make_state(registry: Registry, app: Flask, db: SQLAlchemy) -> AppState:
    """Read the settings, find the database, and enter the queue's tables into the metadata of its bind.

    :raises ConfigurationError: naming every setting that is wrong.
    """
    if "sqlalchemy" not in app.extensions:
        raise ConfigurationError("Call db.init_app(app) before queue.init_app(app, db).")
    settings = Settings.from_mapping(app.config, root=Path(app.root_path), testing=app.testing, debug=app.debug)
    _check_bind(app, settings)
    with app.app_context():
        engine = db.engines[settings.bind_key]
    set_pragmas(engine)
    models.register(_metadata(db, settings.bind_key), engine.dialect.name)
    return AppState(_client(registry, Database(engine), settings, db), db)


def current_state(states: Mapping[Flask, AppState]) -> AppState:
    """What belongs to the current application.

    :raises NoApplication: outside of an application's context.
    :raises NotInitialized: when the application has no queue.
    """
    try:
        return states[current_app._get_current_object()]  # type: ignore[attr-defined]
    except RuntimeError:
        raise NoApplication from None
    except KeyError:
        raise NotInitialized from None


def make_runtime(registry: Registry, state: AppState) -> Runtime:
    """What the processes of the current application's queue are handed."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

    def report(error: BaseException) -> None:
        if isinstance(error, Exception):
            got_request_exception.send(app, exception=error)

    engines = [*state.db.engines.values(), state.client.database.engine]
    return Runtime(state.client, registry.hooks, app.app_context, report, engines)


def _client(registry: Registry, database: Database, settings: Settings, db: SQLAlchemy) -> Client:
    def session() -> Session:
        return db.session()

    def mappers() -> Iterable[Mapper[Any]]:
        mapped: Any = db.Model.registry  # type: ignore[attr-defined]
        return mapped.mappers  # type: ignore[no-any-return]

    return Client(
        database=database,
        settings=settings,
        definitions=registry.definitions,
        events=registry.events,
        session=session,
        references=MappedReferences(session, mappers),
        single_database=settings.bind_key is None,
    )


def _check_bind(app: Flask, settings: Settings) -> None:
    binds = app.config.get("SQLALCHEMY_BINDS") or {}
    if settings.bind_key is None or settings.bind_key in binds:
        return
    known = ", ".join(sorted(map(repr, binds))) or "none"
    raise ConfigurationError(
        f"QUEUE_BIND_KEY = {settings.bind_key!r} names no database: SQLALCHEMY_BINDS has {known}. Add "
        f'SQLALCHEMY_BINDS["{settings.bind_key}"] = "sqlite:///queue.sqlite3", or set QUEUE_BIND_KEY = None to keep the queue '
        "in the primary database."
    )


def _metadata(db: SQLAlchemy, bind_key: str | None) -> MetaData:
    return db.metadatas.setdefault(bind_key, MetaData(info={"bind_key": bind_key}))


def pool_size(database: Database) -> int | None:
    """How many connections the application's own pool gives; None where it has no limit."""
    pool: Any = database.bind_engine.pool
    size, overflow = getattr(pool, "size", None), getattr(pool, "_max_overflow", 0)
    return size() + overflow if callable(size) and overflow >= 0 else None  # below 0 is no limit, as `pool_size=0` is
