"""Fixtures: applications in short folders (a socket's path is limited), with a real Litestream that always ends."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_queue import FlaskQueue

from .stage import Stage


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


@pytest.fixture
def queued(folder: Path) -> Iterator[Stage]:
    """A running application with a queue, whose tables are in the databases."""
    made = Stage(folder, queue=FlaskQueue())
    with made.app.app_context():
        made.db.create_all()
        made.create("primary")
        with made.running():
            made.wait_until_synced()
            yield made
        made.db.session.remove()
        for engine in made.db.engines.values():
            engine.dispose()
