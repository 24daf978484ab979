"""What commands do when a person looks: bars for what takes long, and a question before jobs are deleted for good."""

from __future__ import annotations

import os
import pty
import subprocess
from typing import Any

import pytest
import sqlalchemy as sa

from flask_queue.models import jobs

from ...harness import commands
from ...harness.databases import connect
from ...harness.site import Site

pytestmark = pytest.mark.databases("sqlite")


def on_a_terminal(site: Site, *arguments: str, typed: str = "") -> str:
    """Run `flask queue …` with a terminal for its output and input, and return what the terminal showed."""
    ours, theirs = pty.openpty()
    command = [*commands.FLASK, "queue", *arguments]
    environment = {**site.environment, "COLUMNS": "100", "TERM": "xterm"}
    process = subprocess.Popen(
        command, cwd=commands.ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the last process that had the terminal open is gone
        pass
    finally:
        os.close(ours)
        process.wait(60)
    return shown.decode()


def write_jobs(site: Site, state: str, count: int) -> None:
    moment = sa.func.strftime("%Y-%m-%d %H:%M:%f000", "now")
    row: dict[str, Any] = {"queue_name": "default", "name": "noop", "arguments": '["x"]', "priority": 0, "state": state}
    statement = jobs.insert().values(**row, scheduled_at=moment, created_at=moment, finished_at=moment)
    with connect(site.database_url) as connection:
        connection.execute(sa.text("BEGIN"))
        for _ in range(count):
            connection.execute(statement)
        connection.execute(sa.text("COMMIT"))


@pytest.mark.parametrize(
    ("state", "arguments", "label", "told"),
    [
        ("failed", ("retry", "--all"), "Retrying", "Retried 1500 jobs."),
        ("failed", ("discard", "--all", "--yes"), "Discarding", "Discarded 1500 jobs."),
        ("finished", ("clear-finished", "--older-than", "0"), "Clearing", "Cleared 1500 finished jobs."),
    ],
)
def test_a_bar_shows_how_far_it_is(site: Site, state: str, arguments: tuple[str, ...], label: str, told: str) -> None:
    write_jobs(site, state, 1500)
    shown = on_a_terminal(site, *arguments)
    assert label in shown
    assert "100%" in shown
    assert told in shown


def test_running_jobs_is_shown_on_a_bar(site: Site) -> None:
    write_jobs(site, "ready", 5)
    shown = on_a_terminal(site, "work")
    assert "Running jobs" in shown
    assert "100%" in shown
    assert "Ran 5 jobs." in shown


def test_few_jobs_need_no_bar(site: Site) -> None:
    write_jobs(site, "failed", 5)
    shown = on_a_terminal(site, "retry", "--all")
    assert "%" not in shown
    assert "Retried 5 jobs." in shown


@pytest.mark.parametrize(("answer", "left"), [("n\n", 3), ("y\n", 0)])
def test_deleting_many_jobs_is_asked_about(site: Site, answer: str, left: int) -> None:
    write_jobs(site, "failed", 3)
    shown = on_a_terminal(site, "discard", "--all", typed=answer)
    assert "Delete 3 failed jobs for good?" in shown
    assert site.tables.states().get("failed", 0) == left


def test_a_line_is_cut_to_the_terminal(site: Site) -> None:
    write_jobs(site, "failed", 1)
    with connect(site.database_url) as connection:
        connection.execute(jobs.update().values(arguments=f'["{"x" * 500}"]'))
    shown = on_a_terminal(site, "list")
    assert max(len(line.rstrip("\r")) for line in shown.splitlines()) == 100
    assert "x" * 500 in site.flask("queue", "list").stdout
