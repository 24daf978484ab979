"""What is deleted after a time, and what never is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from flask_queue import FlaskQueue
from flask_queue.database import lock_keys
from flask_queue.errors import ConfigurationError
from flask_queue.models import concurrency_keys
from flask_queue.operations.clear import clear_finished, clear_keys
from tests.harness.databases import connect
from tests.harness.tables import Tables

from .by_hand import WorkerByHand, ago, change
from .declared import limited, plain
from .interleaving import at_once
from .plans import analyze, fill, plan, statements_of

DAY = 86_400


@pytest.mark.behaviour("O1")
def test_finished_jobs_and_only_those_are_cleared(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job, narrow = plain(queue), limited(queue)
    finished = [job.using(priority=-9).enqueue() for _ in range(5)]
    worker = WorkerByHand(queue)
    worker.finish(*worker.claim(5))
    failed = job.using(priority=-9).enqueue()
    worker.fail(worker.claim_one())
    claimed = job.using(priority=-9).enqueue()
    worker.claim_one()
    others = [failed, claimed, job.using(wait=DAY).enqueue(), job.enqueue(), narrow.enqueue("a"), narrow.enqueue("a")]
    for handle in [*finished, *others]:
        long_ago = ago(30 * DAY)
        change(queue, handle.id, created_at=long_ago, finished_at=long_ago, claimed_at=long_ago)
    assert queue.clear_finished() == 5
    assert {row.id for row in tables.jobs()} == {handle.id for handle in others}
    assert len(tables.attempts(failed.id)) == 1


@pytest.mark.behaviour("O1")
@pytest.mark.parametrize("size", [0, -1, 1.5, True, 2**31])
def test_impossible_batches_are_refused(app: Flask, queue: FlaskQueue, size: Any) -> None:
    plain(queue).enqueue()
    queue.work()
    with pytest.raises(ConfigurationError, match=f"batch_size={size}: a whole number from 1"):
        queue.clear_finished(0, batch_size=size)
    assert queue.jobs.finished.count() == 1


@pytest.mark.behaviour("O2")
def test_nothing_younger_than_it_should_be_is_cleared(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    handles = [job.enqueue() for _ in range(4)]
    queue.work()
    for handle, age in zip(handles, (0, 57, 60.1, 63), strict=True):
        change(queue, handle.id, finished_at=ago(age))
    assert queue.clear_finished() == 0, "a day, unless something else is said"
    assert queue.clear_finished(60) == 2
    assert [handle.status for handle in handles] == ["finished", "finished", None, None]
    assert queue.clear_finished(0) == 2


@pytest.mark.behaviour("O2")
def test_an_age_may_be_a_timedelta(app: Flask, queue: FlaskQueue) -> None:
    handles = [plain(queue).enqueue() for _ in range(2)]
    queue.work()
    change(queue, handles[0].id, finished_at=ago(DAY + 60))
    assert queue.clear_finished(timedelta(days=1)) == 1
    assert [handle.status for handle in handles] == [None, "finished"]


@pytest.mark.behaviour("O2")
@pytest.mark.parametrize("age", [-5, 1e12, float("nan"), float("inf"), True, "x", timedelta(-1), timedelta.max], ids=str)
def test_impossible_ages_are_refused(app: Flask, queue: FlaskQueue, age: Any) -> None:
    plain(queue).enqueue()
    queue.work()
    with pytest.raises(ConfigurationError, match=r"^older_than=.*: a number of seconds, 0 or more"):
        queue.clear_finished(age)
    assert queue.jobs.finished.count() == 1


@pytest.mark.behaviour("O2")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("pause", [-1, float("nan"), True, "x"], ids=str)
def test_impossible_pauses_are_refused_before_anything_is_deleted(app: Flask, queue: FlaskQueue, pause: Any) -> None:
    for _ in range(2):
        plain(queue).enqueue()
    queue.work()
    with pytest.raises(ConfigurationError, match=r"^pause=.*: a number of seconds, 0 or more"):
        queue.clear_finished(0, batch_size=1, pause=pause)
    assert queue.jobs.finished.count() == 2


@pytest.mark.behaviour("O2")
def test_jobs_of_one_name_can_be_cleared(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    for name in ("one", "two"):
        job = plain(queue, name)
        for _ in range(10):
            job.enqueue()
    queue.work()
    assert queue.clear_finished(0, name="one") == 10
    assert {row.name for row in tables.jobs()} == {"two"}
    assert queue.clear_finished(0, name="unknown") == 0


@pytest.mark.behaviour("O1")
def test_the_attempts_of_a_cleared_job_go_with_it(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    handle = plain(queue).enqueue()
    worker = WorkerByHand(queue)
    worker.retry(worker.claim_one())
    worker.finish(worker.claim_one())
    assert len(tables.attempts(handle.id)) == 1
    assert queue.clear_finished(0) == 1
    assert not tables.attempts(handle.id)


@pytest.mark.behaviour("O4")
def test_clearing_goes_by_batches_and_by_the_index(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    fill(queue, ready=500, finished=6000)
    with queue.database.begin() as connection:
        connection.exec_driver_sql("UPDATE queue_jobs SET finished_at = created_at WHERE state = 'finished'")
    with statements_of(queue.database) as statements:
        assert queue.clear_finished(0, batch_size=500) == 6000
    assert tables.states() == {"ready": 500}
    looks = [(text, parameters) for text, parameters in statements if text.startswith("SELECT") and "finished_at" in text]
    assert len(looks) == 13, "twelve batches, and one that found nothing"
    fill(queue, finished=6000)
    with queue.database.begin() as connection:
        connection.exec_driver_sql("UPDATE queue_jobs SET finished_at = created_at WHERE state = 'finished'")
    analyze(queue)
    steps = "\n".join(plan(queue.database, *looks[0]))
    assert "ix_queue_jobs_finished" in steps, steps
    assert "filesort" not in steps
    assert "temp b-tree" not in steps


@pytest.mark.behaviour("O5")
def test_two_that_clear_at_once_clear_each_job_once(app: Flask, queue: FlaskQueue, tables: Tables) -> None:
    job = plain(queue)
    queue.enqueue_all([job.build(n) for n in range(400)])
    with queue.database.begin() as connection:
        connection.exec_driver_sql("UPDATE queue_jobs SET state = 'finished', finished_at = created_at")

    def clear() -> int:
        return queue.clear_finished(0, batch_size=20)

    cleared = sum(at_once(app, clear, clear))
    cleared += queue.clear_finished(0)  # who finds a batch in other hands takes it for the last one
    assert cleared == 400
    assert not tables.jobs()


@pytest.mark.behaviour("O4")
def test_what_another_one_holds_is_not_waited_for(app: Flask, queue: FlaskQueue) -> None:
    job = plain(queue)
    for _ in range(4):
        job.enqueue()
    queue.work()
    with queue.database.begin() as connection:
        assert clear_finished(connection, older_than=0, name=None, batch_size=2) == 2
        if connection.dialect.name != "sqlite":
            assert queue.clear_finished(0) == 2


@pytest.mark.behaviour("O1")
@pytest.mark.databases("mariadb")
def test_locks_of_keys_that_nobody_has_used_lately_are_cleared(app: Flask, queue: FlaskQueue, database_url: str) -> None:
    job = limited(queue)
    job.enqueue("used")
    job.enqueue("done")
    old = concurrency_keys.c.key == "limited/done"
    with queue.database.begin() as connection:
        connection.execute(concurrency_keys.update().where(old).values(used_at=ago(100)))
        assert clear_keys(connection, older_than=50, batch_size=100) == 1
    with connect(database_url) as connection:
        assert connection.execute(select(concurrency_keys.c.key)).scalars().all() == ["limited/used"]


@pytest.mark.behaviour("O1")
@pytest.mark.databases("mariadb")
def test_a_lock_that_somebody_holds_is_not_waited_for(app: Flask, queue: FlaskQueue, database_url: str) -> None:
    """Whoever wants one of the others would have to wait, too."""
    job = limited(queue)
    for key in "abcdef":
        job.enqueue(key)
    with queue.database.begin() as connection:
        connection.execute(concurrency_keys.update().values(used_at=ago(100)))
    with queue.database.begin() as holder:
        lock_keys(holder, concurrency_keys, {"limited/c"})
        with connect(database_url) as connection:
            connection.execute(text("SET innodb_lock_wait_timeout = 1"))
            assert clear_keys(connection, older_than=50, batch_size=100) == 5
    with connect(database_url) as connection:
        assert connection.execute(select(concurrency_keys.c.key)).scalars().all() == ["limited/c"]


@pytest.mark.databases("mariadb")
def test_locks_of_keys_are_cleared_in_batches(app: Flask, queue: FlaskQueue, database_url: str) -> None:
    for key in "abcdef":
        limited(queue).enqueue(key)
    with queue.database.begin() as connection:
        connection.execute(concurrency_keys.update().values(used_at=ago(2 * DAY)))
    queue.clear_finished(DAY, batch_size=2)
    with connect(database_url) as connection:
        assert connection.execute(select(concurrency_keys.c.key)).scalars().all() == []


@pytest.mark.databases("mariadb")
def test_a_key_without_its_lock_is_as_good_as_before(app: Flask, queue: FlaskQueue) -> None:
    job = limited(queue)
    first = job.enqueue("key")
    with queue.database.begin() as connection:
        connection.execute(concurrency_keys.delete())
    assert job.enqueue("key").status == "blocked"
    assert first.status == "ready"
