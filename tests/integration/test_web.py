"""`python wsgi.py` with QUEUE_IN_WEB=1: pages and queue start together, stop together, and never leave each other behind."""

from __future__ import annotations

import shutil
import signal
import socket
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.harness.commands import ROOT, Command
from tests.harness.databases import connect
from tests.harness.site import Site

pytestmark = pytest.mark.behaviour("J14")

WSGI = str(ROOT / "wsgi.py")


@pytest.fixture(scope="module")
def primary_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A primary database of the application with its tables, to be copied."""
    from app import create_app
    from app.extensions import db

    path = tmp_path_factory.mktemp("primary") / "primary.sqlite3"
    app = create_app({"QUEUE_ENVIRONMENT": "test", "SQLALCHEMY_DATABASE_URI": f"sqlite:///{path}"})
    with app.app_context():
        db.create_all(bind_key=None)
        db.engine.dispose()
    with connect(f"sqlite:///{path}") as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def news(site: Site, primary_database: Path) -> Site:
    """The reference application, with a primary database of its own and the queue on the test's database."""
    path = site.directory / "news.sqlite3"
    shutil.copyfile(primary_database, path)
    site.variables.update(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{path}",
        SQLALCHEMY_BINDS_QUEUE=site.database_url,
        MAIL_OUTBOX=str(site.directory / "outbox"),
        QUEUE_IN_WEB="1",
        QUEUE_CONFIG_FILE=str(site.directory / "queue.yml"),
        QUEUE_RECURRING_FILE="none",
        QUEUE_HEARTBEAT_INTERVAL="0.5",
        QUEUE_ALIVE_THRESHOLD="3",
        QUEUE_SHUTDOWN_TIMEOUT="5",
    )
    return site


def serve(news: Site) -> tuple[Command, str]:
    """Start the web server on a free port, and wait for page and queue."""
    server = news.command(sys.executable, WSGI, "--port", "0")
    address = server.wait_for_output(r"http://127\.0\.0\.1:\d+").group()
    news.wait_for_processes(server, 3)
    return server, address


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=10) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def supervisor_pid(news: Site) -> int:
    [row] = news.tables.processes("Supervisor")
    return int(row.pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_both_stop_when_the_server_is_told_to(news: Site, number: signal.Signals) -> None:
    server, address = serve(news)
    assert answers(address)
    if number is signal.SIGINT:
        server.signal_group(number)
    else:
        server.signal(number)

    assert server.wait() == 0, server.output
    server.wait_until_all_gone(timeout=1)
    assert not answers(address)
    assert news.tables.processes() == []
    news.assert_invariants()


def test_the_queue_ends_with_a_killed_server(news: Site) -> None:
    server, address = serve(news)
    server.signal(signal.SIGKILL)
    server.wait()

    server.wait_until_all_gone(timeout=8)
    assert not answers(address)
    assert news.tables.processes() == []
    news.assert_invariants()


def test_the_server_ends_with_a_killed_supervisor(news: Site) -> None:
    server, address = serve(news)
    dead = supervisor_pid(news)
    assert dead != server.pid
    news.kill(dead)

    assert server.wait() not in (0, None), "the end of the queue is an error, so that whoever watches the server restarts it"
    server.wait_until_all_gone(timeout=8)
    assert not answers(address)
    news.assert_invariants(left_behind=[dead])


def test_a_server_that_cannot_have_its_port_starts_no_queue(news: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = news.run(sys.executable, WSGI, "--port", str(port))
    assert result.returncode not in (0, None)
    assert str(port) in result.stderr
    assert "Traceback" not in result.stderr
    assert news.tables.processes() == []


def test_without_the_setting_there_is_no_queue(news: Site) -> None:
    del news.variables["QUEUE_IN_WEB"]
    server = news.command(sys.executable, WSGI, "--port", "0")
    address = server.wait_for_output(r"http://127\.0\.0\.1:\d+").group()
    assert answers(address)
    assert server.children == set()
    assert news.tables.processes() == []
    assert server.terminate() == 0
