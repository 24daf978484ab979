"""What an application imports and calls."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData, create_engine

from flask_litestream import FlaskLitestream, include_name
from flask_litestream.errors import AlreadyInitialized, NotInitialized
from flask_litestream.extension import InvalidSettings, sqlite_files

from .stage import Stage, make_app


def test_the_extension_is_where_flask_keeps_extensions(stage: Stage) -> None:
    assert stage.app.extensions["litestream"] is stage.litestream
    with stage.app.app_context():
        assert stage.litestream.backups is stage.backups


def test_a_second_init_app_is_refused(stage: Stage) -> None:
    with pytest.raises(AlreadyInitialized):
        stage.litestream.init_app(stage.app, stage.db)


def test_an_app_that_was_not_given_is_told_how(folder: Path) -> None:
    with pytest.raises(NotInitialized, match=r"Call litestream\.init_app\(app, db\)"):
        FlaskLitestream().of(Flask("other"))


def test_one_extension_serves_many_apps_and_keeps_none_alive(folder: Path) -> None:
    litestream = FlaskLitestream()
    kept = make_app(folder, SQLAlchemy(), litestream, None)
    gone = weakref.ref(make_app(folder, SQLAlchemy(), litestream, None, LITESTREAM_ENABLED=False))
    gc.collect()
    assert gone() is None
    assert litestream.of(kept).settings.enabled


def test_wrong_settings_are_refused_at_init_app(make_stage: Callable[..., Stage]) -> None:
    with pytest.raises(InvalidSettings) as caught:
        make_stage(LITESTREAM_ON_EXIT="explode", LITESTREAM_REPLICA="nowhere")
    assert len(caught.value.problems) == 2
    assert caught.value.format_message() == str(caught.value)


@pytest.mark.filterwarnings("ignore:Selection of the SingletonThreadPool")
@pytest.mark.parametrize(
    ("uri", "binds", "expected"),
    [
        ("sqlite:///a.db", {}, {"primary": "a.db"}),
        ("sqlite:////abs/a.db", {"queue": "sqlite:///q.db"}, {"primary": "/abs/a.db", "queue": "q.db"}),
        ("sqlite://", {"queue": "sqlite:///q.db"}, {"queue": "q.db"}),
        ("sqlite:///:memory:", {}, {}),
        ("sqlite:///file:a.db?uri=true", {}, {"primary": "a.db"}),
        ("sqlite:///file:a.db?mode=memory&uri=true", {}, {}),
        ("postgresql+psycopg://root@127.0.0.1/x", {"queue": "sqlite:///q.db"}, {"queue": "q.db"}),
    ],
)
def test_all_sqlite_files_are_found_and_nothing_else(
    folder: Path, uri: str, binds: dict[str, str], expected: dict[str, str]
) -> None:
    app, db = Flask("files", instance_path=str(folder)), SQLAlchemy()
    app.config.update(SQLALCHEMY_DATABASE_URI=uri, SQLALCHEMY_BINDS=binds)
    db.init_app(app)
    assert sqlite_files(app, db) == {name: folder / path for name, path in expected.items()}


def test_litestreams_own_tables_are_kept_out_of_migrations(live: Stage) -> None:
    live.verify()
    engine = create_engine(f"sqlite:///{live.path('primary')}")
    with engine.connect() as connection:

        def removed(**options: object) -> list[str]:
            context = MigrationContext.configure(connection, opts=options)
            return sorted(change[1].name for change in compare_metadata(context, MetaData()) if change[0] == "remove_table")

        assert removed() == ["_litestream_lock", "_litestream_seq", "_litestream_verification", "entries"]
        assert removed(include_name=include_name) == ["entries"]
    engine.dispose()
