"""FlaskLitestream: what an application imports. Wiring only; the verbs are in `backups`.

Apart because it is the place where Flask, Flask-SQLAlchemy and this extension meet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs
from weakref import WeakKeyDictionary

import click
from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL

from .backups import Backups
from .cli import litestream_cli
from .config import load_settings
from .dashboard import blueprint
from .errors import AlreadyInitialized, ConfigurationError, NotInitialized
from .jobs import Queue, QueueLink, attach
from .outcomes import Verification
from .replicator import Replicator


class InvalidSettings(ConfigurationError, click.ClickException):
    """Some LITESTREAM_ settings cannot be used. On the command line this is one message, not a traceback."""

    def __init__(self, error: ConfigurationError) -> None:
        super().__init__(error.problems)


class FlaskLitestream:
    """Litestream for a Flask application on SQLite: replication, verification, restores.

    ::

        litestream = FlaskLitestream()

        def create_app() -> Flask:
            ...
            db.init_app(app)
            queue.init_app(app, db)
            litestream.init_app(app, db, queue)
            return app
    """

    def __init__(self) -> None:
        self._backups: WeakKeyDictionary[Flask, Backups] = WeakKeyDictionary()
        self._links: WeakKeyDictionary[Flask, QueueLink] = WeakKeyDictionary()

    def init_app(self, app: Flask, db: SQLAlchemy, queue: Queue | None = None) -> None:
        """Read the settings, and register the commands, the page and, with a queue, the jobs.

        :param db: the application's Flask-SQLAlchemy, already initialised for it: its SQLite files are backed up.
        :param queue: the application's FlaskQueue, if it has one: it verifies the backups every day and restores.
        :raises ConfigurationError: naming every setting that is wrong.
        :raises AlreadyInitialized: if the app has Litestream already.
        """
        if "litestream" in app.extensions:
            raise AlreadyInitialized
        try:
            settings = load_settings(app.config, sqlite_files(app, db), Path(app.instance_path))
        except ConfigurationError as error:
            raise InvalidSettings(error) from None
        self._backups[app] = Backups(settings)
        app.extensions["litestream"] = self
        app.cli.add_command(litestream_cli)
        if settings.page.url_prefix is not None:
            app.register_blueprint(blueprint, url_prefix=settings.page.url_prefix)
        if queue is not None:
            self._links[app] = attach(queue, settings.verify_queue, settings.page.url_prefix)

    def of(self, app: Flask) -> Backups:
        """Return an application's backups. :raises NotInitialized: if it has none."""
        try:
            return self._backups[app]
        except KeyError:
            raise NotInitialized from None

    @property
    def backups(self) -> Backups:
        """The current application's backups."""
        return self.of(current_app._get_current_object())  # type: ignore[attr-defined]

    @property
    def link(self) -> QueueLink | None:
        """The current application's queue, as far as this extension uses it."""
        return self._links.get(current_app._get_current_object())  # type: ignore[attr-defined]

    def verify(self, name: str) -> Verification:
        """Prove the backup of one database of the current application: write a row, sync, restore, look for it.

        :param name: "primary", or the key of a bind.
        """
        return self.backups.verify(name)

    @contextmanager
    def running(self, app: Flask) -> Iterator[Replicator | None]:
        """Replicate during the block, beside whatever the block serves.

        Does nothing, and gives None, unless LITESTREAM_ENABLED is true. Where Litestream already runs for this
        application, it stands by and takes over when that one ends. Put it around everything that writes, so that
        Litestream starts first and stops last::

            with litestream.running(app):
                waitress.serve(app)

        :raises LitestreamError: if Litestream does not start.
        """
        if not self.of(app).settings.enabled:
            yield None
            return
        replicator = self.of(app).replicator()
        try:
            replicator.start()
            yield replicator
        finally:
            replicator.stop()


def sqlite_files(app: Flask, db: SQLAlchemy) -> dict[str, Path]:
    """Return the SQLite files of an application by database name: "primary", and the key of each bind."""
    with app.app_context():
        engines = sorted(db.engines.items(), key=lambda item: item[0] is not None)  # the primary one first
        urls = {key or "primary": engine.url for key, engine in engines}
    files = {name: _file_of(url) for name, url in urls.items()}
    return {name: path for name, path in files.items() if path is not None}


def _file_of(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    path, _, query = url.database.removeprefix("file:").partition("?")
    in_memory = path in ("", ":memory:") or "memory" in parse_qs(query).get("mode", []) or url.query.get("mode") == "memory"
    return None if in_memory else Path(os.path.abspath(path))
