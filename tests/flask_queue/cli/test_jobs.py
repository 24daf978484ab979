"""`flask queue list` and `show`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from flask_queue import FlaskQueue

from .conftest import Run


def test_nothing_to_list_is_said(run: Run, jobs: SimpleNamespace) -> None:
    assert run("list").stdout == "No jobs.\n"


def test_jobs_are_listed_in_aligned_columns(run: Run, jobs: SimpleNamespace) -> None:
    first, second = jobs.add.enqueue(1, 2), jobs.welcome.enqueue(7)
    headings, *lines = run("list").stdout.splitlines()
    assert headings.split() == ["ID", "STATE", "QUEUE", "PRIORITY", "JOB", "DUE", "ARGUMENTS"]
    assert [line.split()[:5] for line in lines] == [
        [str(first.id), "ready", "default", "0", "add"],
        [str(second.id), "ready", "mail", "10", "welcome"],
    ]
    assert len({line.index("UTC") for line in lines}) == 1


def test_jobs_are_chosen_by_state_queue_and_name(run: Run, jobs: SimpleNamespace, failed: list[int]) -> None:
    jobs.add.enqueue(1)
    mail = jobs.welcome.enqueue(1)
    later = jobs.welcome.using(wait=600).enqueue(2)

    def ids(*options: str) -> list[int]:
        return [job["id"] for job in json.loads(run("list", "--json", *options).stdout)]

    assert ids("--state", "failed") == failed
    assert ids("--queue", "mail") == [mail.id, later.id]
    assert ids("--state", "scheduled", "--name", "welcome") == [later.id]
    assert ids("--state", "failed", "--limit", "2") == failed[:2]


@pytest.mark.behaviour("N6")
@pytest.mark.parametrize("limit", ["0", "99999999999999999999"])
def test_an_impossible_number_of_jobs_is_refused(run: Run, jobs: SimpleNamespace, limit: str) -> None:
    result = run("list", "--limit", limit)
    assert result.exit_code == 2
    assert f"{limit} is not in the range 1<=x<=2147483647" in result.stderr


@pytest.mark.parametrize(("option", "value"), [("--queue", "mial"), ("--name", "welcom")])
def test_an_unknown_name_is_refused_with_the_likely_one(run: Run, jobs: SimpleNamespace, option: str, value: str) -> None:
    result = run("list", option, value)
    assert result.exit_code == 1
    assert f"{value!r}. Did you mean " in result.stderr


def test_a_queue_that_only_old_jobs_know_is_known(run: Run, jobs: SimpleNamespace, queue: FlaskQueue) -> None:
    handle = jobs.add.using(queue="old").enqueue(1)
    queue.work()
    assert f"{handle.id}  finished  old" in run("list", "--queue", "old").stdout


def test_show_tells_state_queue_priority_and_arguments(run: Run, jobs: SimpleNamespace) -> None:
    at = datetime(2030, 1, 31, 9, 0, tzinfo=UTC)
    handle = jobs.add.using(queue="low", priority=5, at=at).enqueue(1, b=2)
    lines = dict(line.split(maxsplit=1) for line in run("show", str(handle.id)).stdout.splitlines())
    assert lines["id"] == str(handle.id)
    assert (lines["state"], lines["queue"], lines["priority"], lines["name"]) == ("scheduled", "low", "5", "add")
    assert "2030-01-31 09:00:00 UTC" in lines["scheduled"]
    assert "1" in lines["arguments"]
    assert "b" in lines["arguments"]


def test_show_tells_how_a_job_failed(run: Run, failed: list[int]) -> None:
    shown = run("show", str(failed[1])).stdout
    assert "ValueError" in shown
    assert "failure 1" in shown
    assert "Traceback (most recent call last)" in shown
    assert "test_jobs.py" not in shown
    assert "in broken" in shown


def test_show_gives_machines_every_failed_attempt(run: Run, queue: FlaskQueue, failed: list[int]) -> None:
    shown = json.loads(run("show", str(failed[0]), "--json").stdout)
    assert (shown["id"], shown["state"], shown["attempts"]) == (failed[0], "failed", 1)
    [error] = shown["errors"]
    assert (error["error_class"], error["message"]) == ("ValueError", "failure 0")
    assert abs(datetime.fromisoformat(error["failed_at"]) - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.databases("sqlite")
def test_filtered_arguments_are_not_shown(run: Run, jobs: SimpleNamespace) -> None:
    handle = jobs.welcome.enqueue(7, password="sesame")
    for shown in (run("list"), run("list", "--json"), run("show", str(handle.id)), run("show", str(handle.id), "--json")):
        assert "sesame" not in shown.stdout
        assert "7" in shown.stdout


@pytest.mark.parametrize("job_id", ["999", "99999999999999999999999"])
def test_an_unknown_id_is_one_sentence(run: Run, jobs: SimpleNamespace, job_id: str) -> None:
    result = run("show", job_id)
    assert result.exit_code == 1
    assert result.stderr == f"Error: There is no job {job_id}. It may have been discarded, or cleared after it finished.\n"


@pytest.mark.databases("sqlite")
def test_an_id_that_is_no_number_is_refused(run: Run) -> None:
    assert run("show", "abc").exit_code == 2
