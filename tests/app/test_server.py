"""`python wsgi.py` as a process: where it listens, how it refuses, and how it stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import urlopen

import pytest
from flask import Flask

from app.environment import ROOT, ConfigurationError
from app.server import WebServer, bind

from ..harness.waiting import eventually
from .served import Served, environment_in


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return environment_in(tmp_path)


@pytest.fixture
def serve(environment: dict[str, str], app: Flask) -> Iterator[Callable[..., Served]]:
    """Start the server on the databases of `app`, which have tables, on any free port."""
    with ExitStack() as started:

        def start(*arguments: str, **variables: str) -> Served:
            return started.enter_context(Served(environment | {"PORT": "0"} | variables, *arguments))

        yield start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(serve: Callable[..., Served], number: int) -> None:
    served = serve()
    with urlopen(served.address()) as response:
        assert response.status == 200
    served.process.send_signal(number)
    code, _, err = served.end()
    assert code == 0
    assert "Traceback" not in err


def test_host_and_port_come_from_the_command_line_before_the_environment(serve: Callable[..., Served]) -> None:
    assert serve("--host", "127.0.0.2", "--port", "0", HOST="127.0.0.3", PORT="1").address().startswith("http://127.0.0.2:")
    assert serve(HOST="127.0.0.3").address().startswith("http://127.0.0.3:")


def test_an_empty_host_is_none(serve: Callable[..., Served]) -> None:
    assert serve(HOST="").address().startswith("http://127.0.0.1:")


def test_a_port_in_use_is_one_sentence_and_nothing_is_started(serve: Callable[..., Served]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, out, err = serve("--port", port).end()
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: Cannot listen on 127.0.0.1 port {port}: Address already in use. Stop what is using it, or")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("option", "value"), [("--host", "no.such.host.invalid"), ("--host", "192.0.2.1")])
def test_an_address_that_cannot_be_had_is_one_sentence(serve: Callable[..., Served], option: str, value: str) -> None:
    code, _, err = serve(option, value).end()
    assert code == 1
    assert err.startswith("Error: Cannot listen on ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("port", ["http", "70000", "-1", ""])
def test_what_is_no_port_is_a_mistake_in_the_command(serve: Callable[..., Served], port: str) -> None:
    code, _, err = serve(PORT=port).end()
    assert code == 2
    assert "use a number from 0 to 65535" in err


def test_without_tables_it_says_what_to_do(environment: dict[str, str]) -> None:
    with Served(environment) as served:
        code, out, err = served.end()
    assert (code, out) == (1, "")
    assert err == "Error: The primary database has no tables yet. Make them with: flask db upgrade\n"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("QUEUE_ENVIRONMENT", "staging"),
        ("QUEUE_ENVIRONMENT", "production"),
        ("QUEUE_IN_WEB", "maybe"),
        ("QUEUE_SHUTDOWN_TIMEOUT", "soon"),
    ],
)
def test_a_bad_setting_is_one_sentence(serve: Callable[..., Served], variable: str, value: str) -> None:
    code, out, err = serve(**{variable: value}).end()
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert "Traceback" not in err


def test_the_queue_beside_it_needs_its_tables_and_says_so(serve: Callable[..., Served], tmp_path: Path) -> None:
    code, out, err = serve(QUEUE_IN_WEB="1", SQLALCHEMY_BINDS_QUEUE=f"sqlite:///{tmp_path / 'empty.sqlite3'}").end()
    assert (code, out) == (1, "")
    assert err.startswith("Error: The queue's tables are missing. Run `flask db upgrade`")


def test_a_configuration_of_the_queue_that_cannot_be_used_starts_nothing(serve: Callable[..., Served], tmp_path: Path) -> None:
    (tmp_path / "queue.yml").write_text("workers: [{threads: many}]")
    code, out, err = serve(QUEUE_IN_WEB="1", QUEUE_CONFIG_FILE=str(tmp_path / "queue.yml")).end()
    assert (code, out) == (1, "")
    assert "threads" in err
    assert "Traceback" not in err


def test_a_queue_that_outlives_the_server_for_a_moment_does_not_keep_its_port(serve: Callable[..., Served]) -> None:
    served = serve(QUEUE_IN_WEB="1")
    port = int(served.address().rpartition(":")[2])
    web = served.process.pid
    (supervisor,) = children(web)
    eventually(lambda: children(supervisor), what="its workers: it is not to be stopped in the middle of its first step")
    os.kill(supervisor, signal.SIGSTOP)  # it cannot even notice
    try:
        served.process.kill()
        served.process.wait()
        bind("127.0.0.1", port).close()
    finally:
        os.kill(supervisor, signal.SIGCONT)
    eventually(lambda: not Path(f"/proc/{supervisor}").exists(), what="the end of the supervisor")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Slow:
    """A server in this process, with a page that takes as long as the test wants."""

    def __init__(self, app: Flask) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        app.add_url_rule("/slow", "slow", self.page)
        self.listener = bind("127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}/slow"
        self.server = WebServer(app, self.listener)
        self.answers: list[int] = []

    def page(self) -> str:
        self.begun.set()
        self.may_end.wait(10)
        return "x" * 500_000

    def visit(self) -> None:
        with urlopen(self.address) as response:
            self.answers.append(len(response.read()))


def test_whoever_is_being_answered_when_it_stops_gets_the_whole_answer(app: Flask) -> None:
    slow = Slow(app)
    visitor = threading.Thread(target=slow.visit)

    def stop_in_the_middle() -> None:
        visitor.start()
        slow.begun.wait(10)
        slow.server.stop()
        time.sleep(0.2)
        slow.may_end.set()

    stopper = threading.Thread(target=stop_in_the_middle)
    stopper.start()
    slow.server.run()
    stopper.join()
    visitor.join(10)
    assert slow.answers == [500_000]


def test_nobody_is_waited_for_without_end(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.DRAIN_TIMEOUT", 0.3)
    slow = Slow(app)

    def stop_in_the_middle() -> None:
        slow.begun.wait(10)
        slow.server.stop()
        time.sleep(1)
        slow.may_end.set()

    threads = [threading.Thread(target=stop_in_the_middle), threading.Thread(target=_ignore, args=(slow.visit,))]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    slow.server.run()
    assert time.monotonic() - began < 5
    for thread in threads:
        thread.join()
    assert slow.answers == []


def _ignore(visit: Callable[[], None]) -> None:
    with pytest.raises(OSError, match=r"closed|reset|refused"):
        visit()


def test_binding_a_taken_address_is_a_configuration_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError, match="in use"):
        bind("127.0.0.1", taken.getsockname()[1])


def test_the_app_for_other_servers_is_in_wsgi(environment: dict[str, str]) -> None:
    code = "import wsgi; print(type(wsgi.app).__name__)"
    result = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "Flask\n"
