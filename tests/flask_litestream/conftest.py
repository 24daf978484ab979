"""Fixtures: applications in short folders (a socket's path is limited), with a real Litestream that always ends."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_queue import FlaskQueue

from .stage import Stage, close_engines, made
from .visitors import add_login, role


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, because a socket is made in it."""
    path = Path(tempfile.mkdtemp(prefix="ls-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def root(request: pytest.FixtureRequest) -> Path:
    """The folder of the repository."""
    return request.config.rootpath


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing from the tester's environment speaks to Litestream."""
    for name in ("LITESTREAM_ACCESS_KEY_ID", "LITESTREAM_SECRET_ACCESS_KEY", "LITESTREAM_BIN", "AWS_CA_BUNDLE", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def no_open_connections() -> Iterator[None]:
    """No test leaves connections of its applications behind."""
    yield
    for app, db in list(made.items()):
        close_engines(app, db)


@pytest.fixture
def make_stage(folder: Path) -> Callable[..., Stage]:
    """A factory of applications in this test's folder."""

    def make(**settings: Any) -> Stage:
        return Stage(folder, settings)

    return make


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """An application whose two databases exist; Litestream does not run."""
    made = make_stage()
    made.create()
    return made


@pytest.fixture
def live(stage: Stage) -> Iterator[Stage]:
    """The same with Litestream running, and everything so far replicated."""
    with stage.running():
        stage.wait_until_synced()
        yield stage


def with_queue(stage: Stage) -> Iterator[Stage]:
    """Run Litestream beside an application with a queue, whose tables are in the databases."""
    with stage.app.app_context():
        stage.db.create_all()
    stage.create("primary")
    with stage.running():
        stage.wait_until_synced()
        yield stage


@pytest.fixture
def queued(folder: Path) -> Iterator[Stage]:
    """A running application with a queue, and its context."""
    for stage in with_queue(Stage(folder, queue=FlaskQueue())):
        with stage.app.app_context():
            yield stage


@pytest.fixture
def open_to_roles(folder: Path) -> Iterator[Stage]:
    """A running application with a queue, logins and a rule of its own about who may see the page."""
    stage = Stage(folder, {"LITESTREAM_AUTHORIZE": role}, queue=FlaskQueue())
    add_login(stage.app)
    yield from with_queue(stage)
