"""How the primary database is opened when it is SQLite. Other databases need none of this.

The queue's engine is not touched here: `flask_queue` opens it the same way itself.
"""

from typing import Any

from flask import Flask
from sqlalchemy import event

from app.extensions import db

PRAGMAS = (
    "PRAGMA journal_mode = WAL",  # readers and the one writer do not wait for each other
    "PRAGMA synchronous = NORMAL",  # with WAL: a power cut may cost the last commits, never the file
    "PRAGMA busy_timeout = 5000",  # wait that many milliseconds for another writer
    "PRAGMA foreign_keys = ON",
)


def init_app(app: Flask) -> None:
    """Have every new connection to the primary database set its pragmas."""
    if app.config.get("QUEUE_BIND_KEY", "queue") is None:
        return  # one database for both: flask_queue has already seen to it
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _open)


def _open(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()
