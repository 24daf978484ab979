"""Fixtures for the reference application: it, in a folder of its own, and visitors who use it as browsers do."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import event
from werkzeug.security import generate_password_hash

from app import create_app
from app.extensions import db
from app.models import Post, User

from .visitor import PASSWORD, Visitor


@pytest.fixture
def app_config(tmp_path: Path) -> dict[str, Any]:
    return {
        "QUEUE_ENVIRONMENT": "test",
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'primary.sqlite3'}",
        "SQLALCHEMY_BINDS_QUEUE": f"sqlite:///{tmp_path / 'queue.sqlite3'}",
        "MAIL_OUTBOX": str(tmp_path / "outbox"),
    }


@pytest.fixture
def make_app(app_config: dict[str, Any]) -> Iterator[Callable[..., Flask]]:
    """A factory of applications with databases of this test's own, and no tables in them."""
    made: list[Flask] = []

    def make(**config: Any) -> Flask:
        made.append(create_app({**app_config, **config}))
        return made[-1]

    yield make
    for app in made:
        with app.app_context():
            for engine in db.engines.values():
                engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app()
    with app.app_context():
        db.create_all()
    return app


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


@pytest.fixture
def make_user(app: Flask) -> Callable[..., int]:
    """Add an account with PASSWORD, and get its id."""

    def make(username: str, **values: Any) -> int:
        with app.app_context():
            cheap = generate_password_hash(PASSWORD, "pbkdf2:sha256:1")
            user = User(username=username, email=f"{username}@mail.example", password_hash=cheap, **values)
            db.session.add(user)
            db.session.commit()
            return user.id

    return make


@pytest.fixture
def make_post(app: Flask, make_user: Callable[..., int]) -> Callable[..., int]:
    """Add a post, by a new user unless `author_id` says by whom, and get its id."""

    def make(title: str = "A post", **values: Any) -> int:
        author_id = values.pop("author_id", None) or make_user(f"author-{secrets.token_hex(4)}")
        with app.app_context():
            post = Post(title=title, author_id=author_id, **{"body": "Some text.", **values})
            db.session.add(post)
            db.session.commit()
            return post.id

    return make


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Someone who is not logged in."""
    return Visitor(app)


@pytest.fixture
def ada(app: Flask, make_user: Callable[..., int]) -> Visitor:
    """A member, logged in as ada."""
    make_user("ada")
    visitor = Visitor(app)
    visitor.log_in("ada")
    return visitor


@pytest.fixture
def statements(app: Flask) -> Callable[[], AbstractContextManager[list[str]]]:
    """Collect the statements that the primary database is sent meanwhile."""

    @contextmanager
    def collect() -> Iterator[list[str]]:
        sent: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            sent.append(statement)

        with app.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", note)
        yield sent
        event.remove(engine, "before_cursor_execute", note)

    return collect
