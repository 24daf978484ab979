"""Through a pooler that lends sessions for a transaction each: nothing is taken for granted in one, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from flask_queue import Concurrency, FlaskQueue, Retry, current_job
from flask_queue.config import DispatcherOptions
from flask_queue.processes.dispatcher import Dispatcher
from tests.flask_queue.pooler import PROGRAM, Pooler
from tests.harness.databases import connect
from tests.harness.missing import missing

from .running import running, wait_for, worker

#: psycopg prepares a statement when it is run for the sixth time.
OFTEN = 12


@pytest.fixture
def pooler(database_url: str, tmp_path: Path) -> Iterator[Pooler]:
    if PROGRAM is None:
        missing("there is no pgbouncer: install it to test with a pooler")
    with Pooler(database_url, tmp_path) as made:
        yield made


@pytest.mark.behaviour("R3")
@pytest.mark.databases("postgresql")
def test_jobs_of_all_kinds_run_through_a_pooler(make_app: Callable[..., Flask], queue: FlaskQueue, pooler: Pooler) -> None:
    @queue.job
    def plain() -> None: ...

    @queue.job
    async def coroutine() -> None: ...

    @queue.job(concurrency=Concurrency())
    def limited() -> None: ...

    @queue.job(retry=Retry(attempts=2, wait=0))
    def flaky() -> None:
        assert current_job.attempt == 2

    kinds = (plain, coroutine, limited, flaky)
    with make_app(SQLALCHEMY_BINDS={"queue": pooler.url}).app_context():
        dispatcher = Dispatcher(queue.runtime().private(), DispatcherOptions(polling_interval=0.1))
        with worker(queue, threads=2, coroutines=5), running(dispatcher):
            for _ in range(OFTEN):
                for kind in kinds:
                    kind.enqueue()
                    kind.using(wait=0.01).enqueue()
                queue.enqueue_all(kind.build() for kind in kinds)
            wait_for(queue, finished=3 * OFTEN * len(kinds))
        with connect(pooler.url) as connection:  # the one session that there is
            assert connection.exec_driver_sql("SHOW enable_sort").scalar_one() == "on"
            for left_behind in ("pg_prepared_statements", "pg_listening_channels()"):
                assert connection.exec_driver_sql(f"SELECT * FROM {left_behind}").all() == []
