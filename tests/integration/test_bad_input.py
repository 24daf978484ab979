"""What a user may get wrong before anything runs: one clear sentence, an exit status that is not 0, nothing half-started."""

from __future__ import annotations

import pytest

from tests.harness.site import Site


def refused(site: Site, *arguments: str) -> str:
    """Run a command that must be refused, and return what it said."""
    result = site.flask(*arguments)
    assert result.returncode not in (0, None), result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    return result.stderr


@pytest.mark.behaviour("M7", "N1", "J13")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("queue.yml", "workers: [{thread: 3}]", ["queue.yml", "thread", "threads"]),
        ("queue.yml", "workers: [{threads: 0}]", ["queue.yml", "threads"]),
        ("queue.yml", "wokers: [{threads: 3}]", ["queue.yml", "wokers", "workers"]),
        ("queue.yml", "workers: [{threads: 3", ["queue.yml"]),
        ("recurring.yml", "nightly: {class: noop, schedule: every 1.minute}", ["recurring.yml", "nightly", "chedule"]),
        ("recurring.yml", "nightly: {class: missing, schedule: every day}", ["recurring.yml", "nightly", "missing"]),
        ("recurring.yml", "nightly: {schedule: every day}", ["recurring.yml", "nightly"]),
    ],
)
def test_a_mistake_in_a_file_is_named_before_anything_starts(site: Site, file: str, content: str, said: list[str]) -> None:
    site.recur({})
    site.write(file, content)
    for command in (("queue", "check"), ("queue", "start")):
        error = refused(site, *command)
        assert all(word in error for word in said), error
    assert site.tables.processes() == []


@pytest.mark.behaviour("N1")
@pytest.mark.databases("sqlite")
def test_check_is_content_with_what_is_right_and_needs_no_database(site: Site) -> None:
    site.recur({"nightly": {"class": "noop", "args": ["nightly"], "schedule": "every day at 1am EST"}})
    site.configure(SQLALCHEMY_BINDS={"queue": "postgresql+psycopg://nobody@127.0.0.1:1/nowhere"})
    result = site.flask("queue", "check")
    assert result.returncode == 0, result.stderr
    assert "valid" in result.stdout
    assert result.stderr == ""


@pytest.mark.behaviour("N4")
@pytest.mark.parametrize("command", ["start", "work", "status"])
def test_missing_tables_are_one_sentence_that_says_what_to_run(site: Site, empty_database_url: str, command: str) -> None:
    site.configure(SQLALCHEMY_BINDS={"queue": empty_database_url})
    error = refused(site, "queue", command)
    assert "flask db upgrade" in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.behaviour("Q6")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("command", ["start", "status"])
def test_an_unknown_bind_is_one_sentence(site: Site, command: str) -> None:
    site.configure(QUEUE_BIND_KEY="missing")
    error = refused(site, "queue", command)
    assert "missing" in error
    assert "SQLALCHEMY_BINDS" in error


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("command", ["start", "status", "work"])
def test_a_database_that_does_not_exist_is_one_clear_error(site: Site, command: str) -> None:
    base, _, _ = site.database_url.rpartition("/")
    site.configure(SQLALCHEMY_BINDS={"queue": f"{base}/no_such_database"})
    error = refused(site, "queue", command)
    assert "no_such_database" in error


@pytest.mark.behaviour("J11")
@pytest.mark.databases("sqlite")
def test_a_second_supervisor_with_the_same_pidfile_is_refused(site: Site) -> None:
    pidfile = site.directory / "queue.pid"
    site.configure(QUEUE_PIDFILE=str(pidfile))
    supervisor = site.supervisor()
    error = refused(site, "queue", "start")
    assert "already running" in error
    assert str(pidfile) in error
    assert pidfile.read_text().strip() == str(supervisor.pid)
    assert supervisor.terminate() == 0
    assert not pidfile.exists()


@pytest.mark.behaviour("J11")
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("content", ["", "not a number", "999999999", "1"])
def test_a_stale_pidfile_is_replaced(site: Site, content: str) -> None:
    """Pid 1 lives, but is another program."""
    pidfile = site.directory / "queue.pid"
    pidfile.write_text(content)
    site.configure(QUEUE_PIDFILE=str(pidfile))
    supervisor = site.supervisor()
    assert pidfile.read_text().strip() == str(supervisor.pid)
    assert supervisor.terminate() == 0
    assert not pidfile.exists()
