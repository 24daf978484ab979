"""A stranger's application: the built wheel in a fresh virtual environment, `flask queue install`, and a job that runs."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

APPLICATION = """
from pathlib import Path

from flask import Flask
from flask_migrate import Migrate
from flask_queue import FlaskQueue
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SECRET_KEY"] = "for tests"
app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{Path(__file__).with_name('primary.sqlite3')}"
app.config["SQLALCHEMY_BINDS"] = {"queue": f"sqlite:///{Path(__file__).with_name('queue.sqlite3')}"}
db = SQLAlchemy(app)
queue = FlaskQueue()
queue.init_app(app, db)
Migrate(app, db)


@queue.job(name="greet")
def greet(whom: str) -> None:
    Path(__file__).with_name("greeting.txt").write_text(f"Hello, {whom}!")
"""


class Stranger:
    """A folder with an application, and the virtual environment that it runs in."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site"
        self.environment = folder / "venv"
        self.site.mkdir()
        (self.site / "app.py").write_text(APPLICATION)

    def run(self, *arguments: str | Path) -> str:
        """Run a command of the virtual environment in the application's folder, and return what it prints."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FLASK", "QUEUE"))}
        command = [str(self.environment / "bin" / arguments[0]), *map(str, arguments[1:])]
        done = subprocess.run(command, cwd=self.site, env=variables, capture_output=True, text=True, timeout=170, check=False)
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout


def build_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=170)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.mark.timeout(360)
def test_the_job_of_a_strangers_application_runs_after_install(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path / "dist")
    stranger = Stranger(tmp_path)
    venv.create(stranger.environment, with_pip=True)
    stranger.run("pip", "install", "--quiet", "--disable-pip-version-check", wheel)

    told = stranger.run("flask", "queue", "install")
    assert "create  config/queue.yml" in told
    assert "flask db -d migrations_queue upgrade" in told

    stranger.run("flask", "db", "-d", "migrations_queue", "upgrade")
    stranger.run("flask", "db", "-d", "migrations_queue", "check")
    assert "configuration is valid." in stranger.run("flask", "queue", "check")
    assert "clear_finished_jobs" in stranger.run("flask", "queue", "recurring")
    assert "Enqueued job 1" in stranger.run("flask", "queue", "enqueue", "greet", '"stranger"')
    assert stranger.run("flask", "queue", "work") == "Ran 1 job.\n"
    assert (stranger.site / "greeting.txt").read_text() == "Hello, stranger!"
    assert "finished" in stranger.run("flask", "queue", "show", "1")
