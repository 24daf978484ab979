"""One installation of the test application: its configuration, its ledger, its database and the processes it runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from flask import Flask

from . import commands, invariants
from .application import create_app
from .commands import Command
from .extensions import db, queue
from .ledger import Ledger
from .tables import Tables
from .waiting import eventually

#: Lengths that keep tests short: a dead process is noticed within three seconds.
QUICK = {"QUEUE_HEARTBEAT_INTERVAL": 0.5, "QUEUE_ALIVE_THRESHOLD": 3, "QUEUE_SHUTDOWN_TIMEOUT": 5}
ONE_WORKER: Sequence[Mapping[str, Any]] = ({"queues": "*", "threads": 3, "polling_interval": 0.05},)
ONE_DISPATCHER: Sequence[Mapping[str, Any]] = ({"polling_interval": 0.1, "concurrency_maintenance_interval": 1},)


class Site:
    """What a test needs to run real processes against one queue database."""

    def __init__(self, directory: Path, database_url: str) -> None:
        self.directory = directory
        self.database_url = database_url
        self.ledger = Ledger(directory / "ledger.jsonl")
        self.tables = Tables(database_url)
        self.commands: list[Command] = []
        #: Environment variables of the processes, beside those of this one.
        self.variables: dict[str, str] = {}
        self.config: dict[str, Any] = {
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{directory / 'primary.sqlite3'}",
            "SQLALCHEMY_BINDS": {"queue": database_url},
            "LEDGER": str(self.ledger.path),
            "QUEUE_ENVIRONMENT": "test",
            "QUEUE_CONFIG_FILE": str(directory / "queue.yml"),
            "QUEUE_RECURRING_FILE": None,
            **QUICK,
        }
        self.configure()

    def configure(
        self,
        *,
        workers: Sequence[Mapping[str, Any]] = ONE_WORKER,
        dispatchers: Sequence[Mapping[str, Any]] = ONE_DISPATCHER,
        scheduler: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> None:
        """Write queue.yml, and set keys of the application's configuration: `configure(QUEUE_MODE="thread")`."""
        sections: dict[str, Any] = {
            "workers": [dict(one) for one in workers],
            "dispatchers": [dict(one) for one in dispatchers],
        }
        if scheduler is not None:
            sections["scheduler"] = dict(scheduler)
        self.write("queue.yml", {name: section for name, section in sections.items() if section})
        self.config.update(config)

    def recur(self, tasks: Mapping[str, Mapping[str, Any]]) -> None:
        """Write recurring.yml, and use it."""
        self.write("recurring.yml", tasks)
        self.config["QUEUE_RECURRING_FILE"] = str(self.directory / "recurring.yml")

    def write(self, name: str, content: Any) -> Path:
        path = self.directory / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "HARNESS_CONFIG": json.dumps(self.config), **self.variables}

    @contextmanager
    def application(self) -> Iterator[Flask]:
        """The test application in this process, to enqueue and look at jobs."""
        app = create_app(self.config)
        with app.app_context():
            yield app
            close_connections()

    # --- processes --------------------------------------------------------------------------------

    def command(self, *arguments: str) -> Command:
        """Start any command with the application's environment. It is killed at the end of the test if it still runs."""
        output = self.directory / f"command-{len(self.commands)}.log"
        command = Command(arguments, environment=self.environment, output=output)
        self.commands.append(command)
        return command

    def flask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `flask …` to its end."""
        return self.run(*commands.FLASK, *arguments)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run any command to its end."""
        return commands.run(arguments, environment=self.environment)

    def start_queue(self, *options: str) -> Command:
        """Start `flask queue start …`, without waiting for anything."""
        return self.command(*commands.FLASK, "queue", "start", *options)

    def supervisor(self, *options: str, processes: int = 3) -> Command:
        """Start `flask queue start …` and wait until so many processes have registered: supervisor, dispatcher, worker."""
        before = {row.id for row in self.tables.processes()}
        command = self.start_queue(*options)
        self.wait_for_processes(command, processes, besides=before)
        return command

    def wait_for_processes(self, command: Command, count: int, *, besides: Collection[int] = ()) -> None:
        """Until a command, which must not end, has registered so many processes besides the rows with these ids."""

        def registered() -> bool:
            assert command.process.poll() is None, f"ended with {command.process.returncode}:\n{command.output}"
            return len({row.id for row in self.tables.processes()} - set(besides)) >= count

        eventually(registered, timeout=30, what=lambda: f"{count} registered processes:\n{command.output}")

    def worker_pids(self) -> list[int]:
        return [row.pid for row in self.tables.processes("Worker")]

    def kill(self, pid: int) -> None:
        """kill -9, as an operator or the kernel would."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def stop_everything(self) -> None:
        for command in self.commands:
            command.kill_everything()

    # --- waiting and judging ----------------------------------------------------------------------

    def wait_until(self, condition: Callable[[], object], *, timeout: float = 15, what: str = "") -> None:
        eventually(lambda: bool(condition()), timeout=timeout, what=lambda: f"{what}\n{self.report()}")

    def wait_for_states(self, *, timeout: float = 15, **states: int) -> None:
        """Until the jobs are exactly so: `wait_for_states(finished=2, failed=1)`."""
        self.wait_until(lambda: self.tables.states() == states, timeout=timeout, what=f"the states to be {states}")

    def wait_until_settled(self, *, timeout: float = 30, waiting_queues: Collection[str] = ()) -> None:
        """Until no job is ready, claimed or blocked, but those that wait in the given (paused) queues."""

        def settled() -> bool:
            moving = [row for row in self.tables.jobs() if row.state in ("ready", "claimed", "blocked")]
            return all(row.state == "ready" and row.queue_name in waiting_queues for row in moving)

        self.wait_until(settled, timeout=timeout, what="every job to settle")

    def assert_invariants(
        self,
        *,
        may_repeat: Collection[str] = (),
        left_behind: Collection[int] = (),
        waiting_queues: Collection[str] = (),
    ) -> None:
        """I1 to I5, with the queue at rest: `may_repeat` are ledger keys, `left_behind` pids of dead processes."""
        living = {pid for command in self.commands for pid in command.pids}
        invariants.each_job_is_in_one_state(self.tables, waiting_queues=waiting_queues)
        invariants.each_body_started_once(self.tables, self.ledger, may_repeat=may_repeat)
        invariants.slots_are_respected(self.tables, self.ledger)
        invariants.claims_have_owners(self.tables)
        invariants.registry_is_true(self.tables, living, left_behind=left_behind)

    def report(self) -> str:
        """Everything a failed test wants to know."""
        processes = [f"{row.kind} {row.name} pid={row.pid}" for row in self.tables.processes()]
        logs = [f"--- {command.arguments[-2:]} (pid {command.pid})\n{command.output}" for command in self.commands]
        return "\n".join([f"states: {dict(self.tables.states())}", *processes, *logs])


def close_connections() -> None:
    """Close those of the current application: the next test may get the same database."""
    db.session.remove()
    queue.database.dispose()
    for engine in db.engines.values():
        engine.dispose()
