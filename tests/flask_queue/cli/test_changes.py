"""`flask queue retry`, `discard` and `clear-finished`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from flask_queue import FlaskQueue

from .conftest import Run


def test_a_failed_job_is_retried(run: Run, queue: FlaskQueue, failed: list[int]) -> None:
    result = run("retry", str(failed[0]))
    assert (result.exit_code, result.stdout) == (0, f"Job {failed[0]} will run again.\n")
    assert queue.jobs.get(failed[0]).status == "ready"
    assert queue.jobs.failed.count() == 2


@pytest.mark.behaviour("N6")
def test_the_other_jobs_are_retried_although_one_cannot_be(
    run: Run, queue: FlaskQueue, jobs: SimpleNamespace, failed: list[int]
) -> None:
    ready = jobs.add.enqueue(1)
    result = run("retry", "999", str(ready.id), str(failed[2]))
    assert result.exit_code == 1
    assert queue.jobs.get(failed[2]).status == "ready"
    assert len(result.stderr.splitlines()) == 2
    assert "There is no job 999." in result.stderr


def test_all_failed_jobs_are_retried(run: Run, queue: FlaskQueue, failed: list[int]) -> None:
    assert run("retry", "--all").stdout == "Retried 3 jobs.\n"
    assert queue.jobs.failed.count() == 0
    assert run("retry", "--all").stdout == "Retried 0 jobs.\n"


def test_failed_jobs_of_a_queue_and_name_are_retried(
    run: Run, queue: FlaskQueue, jobs: SimpleNamespace, failed: list[int]
) -> None:
    other = jobs.broken.using(queue="low").enqueue()
    queue.work()
    assert run("retry", "--all", "--queue", "low", "--name", "broken").stdout == "Retried 1 job.\n"
    assert queue.jobs.get(other.id).status == "ready"
    assert queue.jobs.failed.count() == 3


@pytest.mark.behaviour("N6")
@pytest.mark.parametrize("command", ["retry", "discard"])
@pytest.mark.parametrize("options", [("--queue", "nowhere"), ("--name", "nobody")])
def test_an_unknown_queue_or_name_changes_nothing(
    run: Run, queue: FlaskQueue, failed: list[int], command: str, options: tuple[str, ...]
) -> None:
    result = run(command, "--all", *options)
    assert result.exit_code == 1
    assert "There is no " in result.stderr
    assert queue.jobs.failed.count() == 3


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("command", ["retry", "discard"])
@pytest.mark.parametrize("arguments", [(), ("--all", "1"), ("1", "--queue", "mail")])
def test_ids_and_all_exclude_each_other(run: Run, failed: list[int], command: str, arguments: tuple[str, ...]) -> None:
    assert run(command, *arguments).exit_code == 2


@pytest.mark.databases("sqlite")
@pytest.mark.behaviour("N6")
@pytest.mark.parametrize("state", ["failed", "ready"])
def test_a_state_is_not_for_jobs_that_are_given_by_id(run: Run, queue: FlaskQueue, failed: list[int], state: str) -> None:
    result = run("discard", str(failed[0]), "--state", state)
    assert (result.exit_code, queue.jobs.failed.count()) == (2, 3)
    assert "--state" in result.stderr


def test_jobs_are_discarded_by_id(run: Run, queue: FlaskQueue, jobs: SimpleNamespace) -> None:
    gone, stays = jobs.add.enqueue(1), jobs.add.enqueue(2)
    assert run("discard", str(gone.id)).stdout == f"Job {gone.id} is gone.\n"
    assert queue.jobs.get(gone.id) is None
    assert queue.jobs.get(stays.id) is not None


def test_failed_jobs_are_those_that_are_discarded(
    run: Run, queue: FlaskQueue, jobs: SimpleNamespace, failed: list[int]
) -> None:
    jobs.add.enqueue(1)
    assert run("discard", "--all").stdout == "Discarded 3 jobs.\n"
    assert (queue.jobs.failed.count(), queue.jobs.ready.count()) == (0, 1)


def test_jobs_of_another_state_can_be_discarded(run: Run, queue: FlaskQueue, jobs: SimpleNamespace, failed: list[int]) -> None:
    jobs.add.using(wait=600).enqueue(1)
    jobs.welcome.using(wait=600).enqueue(2)
    assert run("discard", "--all", "--state", "scheduled", "--queue", "mail").stdout == "Discarded 1 job.\n"
    assert (queue.jobs.failed.count(), queue.jobs.scheduled.count()) == (3, 1)


@pytest.mark.databases("sqlite")
def test_running_jobs_cannot_be_chosen(run: Run) -> None:
    assert run("discard", "--all", "--state", "claimed").exit_code == 2


def test_finished_jobs_are_cleared_when_they_are_old_enough(
    run: Run, queue: FlaskQueue, jobs: SimpleNamespace, failed: list[int]
) -> None:
    jobs.add.enqueue(1)
    jobs.welcome.enqueue(2)
    queue.work()
    assert run("clear-finished").stdout == "Cleared 0 finished jobs.\n"
    assert run("clear-finished", "--older-than", "1 minute").stdout == "Cleared 0 finished jobs.\n"
    assert run("clear-finished", "--older-than", "0", "--name", "add").stdout == "Cleared 1 finished job.\n"
    assert (queue.jobs.finished.count(), queue.jobs.failed.count()) == (1, 3)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("value", ["soon", "-1", "nan"])
def test_an_impossible_age_is_refused(run: Run, jobs: SimpleNamespace, value: str) -> None:
    result = run("clear-finished", f"--older-than={value}")
    assert result.exit_code == 2
    assert "a number of seconds" in result.stderr
