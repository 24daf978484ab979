"""The jobs on a queue: every backup is checked, one error names all bad ones; the queue shows and asks for the outcome."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

import flask_litestream
from flask_litestream import FlaskLitestream, VerificationFailed
from flask_litestream.jobs import RESTORE, VERIFICATION, VERIFY_DATABASE
from flask_queue import FlaskQueue
from flask_queue.testing import drain

from .stage import Stage, close_engines, make_app

NAME = "flask_litestream.verification_job"


def enqueue_verification(stage: Stage) -> int:
    assert stage.queue is not None
    job_id = stage.queue.definitions[NAME].enqueue().id
    assert job_id is not None
    return job_id


def status(stage: Stage, job_id: int) -> str | None:
    assert stage.queue is not None
    job = stage.queue.jobs.get(job_id)
    assert job is not None
    return job.status


def test_the_jobs_are_registered_by_their_names(queued: Stage) -> None:
    assert queued.queue is not None
    assert {VERIFICATION, VERIFY_DATABASE, RESTORE} <= set(queued.queue.definitions)
    assert VERIFICATION == NAME
    assert queued.queue.definitions[NAME].function is flask_litestream.verification_job


def test_the_job_proves_every_backup_even_of_the_database_it_runs_from(queued: Stage) -> None:
    job_id = enqueue_verification(queued)
    assert drain() == 1
    assert status(queued, job_id) == "finished"
    assert {name: one.ok for name, one in queued.backups.outcomes.all().items()} == {"primary": True, "queue": True}
    assert queued.left_behind() == []


def test_one_error_names_every_bad_backup_and_why(queued: Stage) -> None:
    shutil.rmtree(queued.replica("primary"))
    shutil.rmtree(queued.replica("queue"))
    job_id = enqueue_verification(queued)
    drain()
    assert queued.queue is not None
    job = queued.queue.jobs.get(job_id)
    assert job is not None
    assert job.status == "failed"
    error = job.error
    assert error is not None
    assert error.error_class == "flask_litestream.errors.VerificationFailed"
    assert error.message == (
        "2 of 2 backups could not be proved. primary (restore_failed): no matching backup files available; "
        "queue (restore_failed): no matching backup files available"
    )


def test_a_bad_backup_does_not_keep_the_good_one_from_being_proved(queued: Stage) -> None:
    shutil.rmtree(queued.replica("primary"))
    with pytest.raises(VerificationFailed, match=r"1 of 2 backups could not be proved\. primary \(restore_failed\)"):
        flask_litestream.verification_job()
    assert queued.backups.outcomes.all()["queue"].ok


def test_it_is_not_tried_again_by_itself(queued: Stage) -> None:
    shutil.rmtree(queued.replica("primary"))
    enqueue_verification(queued)
    assert drain() == 1
    assert queued.queue is not None
    assert queued.queue.jobs.failed.count() == 1
    assert queued.queue.jobs.scheduled.count() == 0


def test_one_verification_at_a_time(queued: Stage) -> None:
    assert queued.queue is not None
    enqueue_verification(queued)
    enqueue_verification(queued)
    queued.queue.definitions[VERIFY_DATABASE].enqueue("queue")
    assert (queued.queue.jobs.ready.count(), queued.queue.jobs.blocked.count()) == (1, 2)
    assert drain() == 3


def test_where_litestream_is_switched_off_the_job_has_nothing_to_do(folder: Path) -> None:
    stage = Stage(folder, {"LITESTREAM_ENABLED": False}, queue=FlaskQueue())
    with stage.app.app_context():
        flask_litestream.verification_job()
    assert stage.backups.outcomes.all() == {}


def test_restore_to_a_new_file_as_a_job(queued: Stage) -> None:
    queued.write("primary")
    queued.wait_until_synced()
    assert queued.queue is not None
    queued.queue.definitions[RESTORE].enqueue("primary")
    assert drain() == 1
    [copy] = queued.backups.restored_files()
    assert queued.rows(copy) == [1, 2]
    assert copy.parent == queued.folder / "litestream" / "restored"


# --- the queue's health and overview ---


def test_the_queue_asks_for_the_backups_health(queued: Stage) -> None:
    assert queued.queue is not None
    before = [problem for problem in queued.queue.health() if "backup" in problem or "Litestream" in problem]
    assert before == []
    shutil.rmtree(queued.replica("primary"))
    queued.verify()
    assert any(problem.startswith("The backup of primary failed its verification") for problem in queued.queue.health())


def test_the_outcome_stands_on_the_queues_overview(queued: Stage) -> None:
    assert queued.queue is not None
    [note] = [note for note in queued.queue.overview_notes() if note.label == "Backups"]
    assert note.url == "/litestream"
    assert list(note.lines()) == [("primary", "not verified yet", False), ("queue", "not verified yet", False)]
    queued.verify()
    shutil.rmtree(queued.replica("queue"))
    queued.verify("queue")
    (name, proved, good), (_, failed, bad) = note.lines()
    assert (name, proved[:7], good) == ("primary", "proved ", True)
    assert (failed[:7], bad) == ("FAILED ", False)
    assert failed.endswith("no matching backup files available")


def test_two_applications_may_share_a_queue_and_have_backups_of_their_own(folder: Path) -> None:
    queue, litestream = FlaskQueue(), FlaskLitestream()
    first = make_app(folder, SQLAlchemy(), litestream, queue)
    second = make_app(folder, SQLAlchemy(), litestream, queue, LITESTREAM_ENABLED=False)
    for app, expected in ((first, "not verified yet"), (second, "switched off")):
        with app.app_context():
            [note] = [note for note in queue.overview_notes() if note.label == "Backups"]
            assert next(iter(note.lines()))[1] == expected


def test_an_application_without_litestream_may_share_the_queue_too(folder: Path) -> None:
    queue = FlaskQueue()
    make_app(folder, SQLAlchemy(), FlaskLitestream(), queue)
    other, db = Flask("other", instance_path=str(folder)), SQLAlchemy()
    other.config.update(SQLALCHEMY_DATABASE_URI="sqlite://", SQLALCHEMY_BINDS={"queue": "sqlite://"})
    db.init_app(other)
    queue.init_app(other, db)
    make_app(folder, SQLAlchemy(), FlaskLitestream(), queue)
    with other.app_context():
        assert [list(note.lines()) for note in queue.overview_notes()] == [[]]
        assert not any("Litestream" in problem for problem in queue.health())
    close_engines(other, db)
