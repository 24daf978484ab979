"""Flask-Queue, as an application uses it: the public API, and `flask queue start`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import delete, text

from flask_queue import Concurrency, FlaskQueue
from flask_queue.models import jobs

from ..databases import durability, with_driver
from ..marks import mark
from ..processes import Command
from .base import Queue, url_of_worker

db, queue = SQLAlchemy(), FlaskQueue()
#: What `workers:` of queue.yml says for throughput, by job and database. Found by trying.
TUNED = {
    ("plain", "sqlite"): "prefetch: 97",
    ("plain", "postgresql"): "prefetch: 97, processes: 2",
    ("async", "sqlite"): "coroutines: 100",
    ("async", "postgresql"): "coroutines: 100, processes: 2",
}
KEYS = 1000


@queue.job(name="plain")
def plain(number: int) -> int:
    return mark(number)


@queue.job(name="async")
async def coroutine(number: int) -> int:
    return mark(number)


@queue.job(name="limited", concurrency=Concurrency(key=lambda number: f"key-{number % KEYS}", to=1))
def limited(number: int) -> int:
    return mark(number)


JOBS = {"plain": plain, "async": coroutine, "limited": limited}


def make_app(url: str) -> Flask:
    """An application with nothing but a queue."""
    app = Flask("benchmarks", root_path=str(Path.cwd()))
    app.config.update(
        SECRET_KEY="of no use to anybody",
        SQLALCHEMY_DATABASE_URI="sqlite://",
        SQLALCHEMY_BINDS={"queue": with_driver(url)},
        QUEUE_CONFIG_FILE=None,
        QUEUE_RECURRING_FILE=None,
    )
    db.init_app(app)
    queue.init_app(app, db)
    return app


def create_app() -> Flask:
    """The application of the workers: `flask --app benchmarks.queues.ours`."""
    return make_app(url_of_worker())


class Measured(Queue):
    """Flask-Queue with jobs of one kind: plain, async or limited."""

    def create(self) -> None:
        make_app(self.url).app_context().push()
        db.create_all()
        self.kind = self.options.get("job", "plain")
        self.job: Any = JOBS[self.kind]

    def enqueue(self, number: int) -> None:
        self.job.enqueue(number)

    def enqueue_many(self, numbers: range) -> None:
        queue.enqueue_all(self.job.build(number) for number in numbers)

    def workers(self, *, tuned: bool) -> Sequence[Command]:
        command = [sys.executable, "-m", "flask", "--app", __name__, "queue", "start"]
        if tuned:
            how = TUNED["async" if self.kind == "async" else "plain", queue.database.url.get_backend_name()]
            file = Path.cwd() / "queue.yml"
            file.write_text(f"dispatchers: [{{}}]\nworkers: [{{queues: '*', {how}}}]\n")
            command += ["--config-file", str(file)]
        return [command]

    def in_one_process(self) -> Sequence[Command]:
        [command] = self.workers(tuned=False)
        return [[*command, "--mode", "thread"]]

    def finished(self) -> int:
        return queue.jobs.finished.count()

    def clear(self) -> None:
        with queue.database.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("TRUNCATE queue_jobs CASCADE"))
            else:
                connection.execute(delete(jobs))

    def durability(self) -> str:
        with queue.database.connect() as connection:
            return durability(self.url, lambda statement: connection.execute(text(statement)).scalar_one())
