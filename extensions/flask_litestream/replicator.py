"""Keep one Litestream running beside a web server: start it, watch it, start it again, stop it.

Apart because processes, signals and locks are its business alone. One Litestream runs for one application, however many
servers and reloaders try: whoever gets the lock starts it, hands the lock to it, and the others stand by to take over.

A thread of its own starts Litestream and reads what it writes until it ends, so nothing is polled while all is well.
The child is tied to that thread's process by `tether`; the thread lives as long as the child.
"""

from __future__ import annotations

import enum
import json
import logging
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from .commands import Commands, last_error
from .config import Settings
from .control import Control
from .errors import DaemonUnreachable, LitestreamError, StartFailed
from .files import release, try_lock

logger = logging.getLogger("flask_litestream")
daemon_logger = logging.getLogger("flask_litestream.daemon")

STANDBY_INTERVAL = 1.0
LONGEST_DELAY = 60.0
#: Who has run this long was well: the next end is a new one, and the delay begins from the shortest.
WELL_AFTER = 60.0
FIRST_SAFE_SQLITE = (3, 51, 3)


class State(enum.Enum):
    """What a replicator is doing."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STANDBY = "standby"
    WAITING = "waiting"


class Replicator:
    """Runs ``litestream replicate``.

    :param lock_path: the file whose lock is the right to run Litestream.
    :param stop_everything: called where LITESTREAM_ON_EXIT is "stop" and Litestream has ended by itself. By default
        this process gets SIGTERM, as from the system.
    :param first_delay: seconds until the first restart; each further one waits twice as long.
    """

    def __init__(
        self,
        settings: Settings,
        commands: Commands,
        lock_path: Path,
        *,
        stop_everything: Callable[[], None] | None = None,
        first_delay: float = 1.0,
    ) -> None:
        self.settings = settings
        self.commands = commands
        self.control = Control(commands.configuration.socket)
        self.lock_path = lock_path
        self.state = State.STOPPED
        self._stop_everything = stop_everything or _terminate_this_process
        self._first_delay = first_delay
        self._guard = threading.Lock()  # between starting a child and deciding to stop
        self._stopping = threading.Event()
        self._settled = threading.Event()
        self._failure: LitestreamError | None = None
        self._child: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._owner_pid: int | None = None

    @property
    def pid(self) -> int | None:
        """The process that holds Litestream, or None where another server's replicator does or none runs."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def start(self) -> None:
        """Start Litestream and wait until it answers; or stand by, where it already runs for this application.

        :raises LitestreamError: if it does not start. Then nothing is left running.
        """
        _ = self.commands.executable  # a missing program is the starter's mistake, not one to try again
        warn_of_old_sqlite(sqlite3.sqlite_version_info)
        self.state = State.STARTING
        self._owner_pid = os.getpid()
        self._thread = threading.Thread(target=self.monitor, name="litestream", daemon=True)
        self._thread.start()
        self._settled.wait()
        if self._failure is not None:
            self.stop()
            raise self._failure

    def stop(self) -> None:
        """Stop Litestream: SIGTERM, and SIGKILL when LITESTREAM_STOP_TIMEOUT is over. Without one, stop standing by."""
        if self._owner_pid != os.getpid():
            return  # never started, or a forked child that leaves its copy of the server's code
        with self._guard:
            self._stopping.set()
            child = self._child
        if child is not None:
            self._end(child)
        if self._thread is not None:
            self._thread.join()
        self.state = State.STOPPED

    def monitor(self) -> None:
        """Run Litestream until told to stop: the life of the thread."""
        delay = self._first_delay
        while not self._stopping.is_set():
            begun = time.monotonic()
            try:
                ran = self._run_once()
            except OSError as error:  # no lock can be had, no file written, or no process started
                self._note_end(f"could not be started: {error}")
                ran = True
            if not ran:
                self._nap(State.STANDBY, STANDBY_INTERVAL)
                continue
            if self._stopping.is_set() or self._failure is not None:
                break
            if self.settings.on_exit == "stop":
                self._stop_everything()
                break
            delay = self._first_delay if time.monotonic() - begun > WELL_AFTER else delay
            logger.error("Litestream is started again in %g s.", delay)
            self._nap(State.WAITING, delay)
            delay = min(delay * 2, LONGEST_DELAY)
        self._settled.set()

    def _run_once(self) -> bool:
        """Run one Litestream from its start to its end. False: another runs, and there is nothing to do."""
        child = self._spawn()
        if child is None:
            return False
        ready = self._wait_until_ready(child)
        if ready:
            self.state = State.RUNNING
            logger.info("Litestream replicates (pid %s).", child.pid)
            self._settled.set()
        hung = not ready and child.poll() is None
        if hung:
            self._end(child)
        complaints = self._follow(child)
        if not self._stopping.is_set():
            self._note_end(_ending(child, complaints, self.settings.timeouts.start if hung else None))
        return True

    def _spawn(self) -> subprocess.Popen[str] | None:
        """Start a child that owns the lock, if the lock is free and nobody else's Litestream answers."""
        with self._guard:
            if self._stopping.is_set():
                return None
            lock = try_lock(self.lock_path)
            if lock is None:
                return None
            try:
                if self._somebody_answers():
                    return None
                self._child = self._popen(lock)
            finally:
                release(lock)  # from here on the lock is the child's alone, and ends with it
            return self._child

    def _popen(self, lock: int) -> subprocess.Popen[str]:
        self.commands.configuration.write()  # each time: somebody may have tidied up since
        tether = [sys.executable, "-I", "-S", str(Path(__file__).with_name("tether.py"))]
        return subprocess.Popen(
            [*tether, str(os.getpid()), str(self.settings.timeouts.stop), *self.commands.line("replicate")],
            env=self.commands.configuration.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=[lock],
            start_new_session=True,  # Ctrl-C is for the server, which stops Litestream last
            umask=0o077,  # a file replica is a readable copy of the database
        )

    def _somebody_answers(self) -> bool:
        try:
            self.control.info(timeout=1.0)
        except DaemonUnreachable:
            return False
        return True

    def _wait_until_ready(self, child: subprocess.Popen[str]) -> bool:
        """Wait until Litestream answers; without a socket, until it has been alive for a moment."""
        begun = time.monotonic()
        while child.poll() is None and not self._stopping.is_set():
            waited = time.monotonic() - begun
            if self._somebody_answers() or (self.control.path is None and waited > 0.5):
                return True
            if waited > self.settings.timeouts.start:
                return False
            time.sleep(0.02)
        return False

    def _follow(self, child: subprocess.Popen[str]) -> deque[str]:
        """Log what Litestream writes until it ends, and return the last things it complained about."""
        assert child.stdout is not None
        complaints: deque[str] = deque(maxlen=20)
        with child.stdout:
            for line in child.stdout:
                level, text = parse_line(line)
                daemon_logger.log(level, "%s", text)
                if level >= logging.WARNING:
                    complaints.append(text)
        child.wait()
        return complaints

    def _note_end(self, ending: str) -> None:
        logger.error("Litestream %s.", ending)
        if not self._settled.is_set():  # the very first start: the starter is told instead of trying for ever
            self._failure = StartFailed(f"Litestream {ending}.")

    def _end(self, child: subprocess.Popen[str]) -> None:
        """SIGTERM; the tether kills Litestream when its time is over. SIGKILL if even the tether does not end."""
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        try:
            child.wait(self.settings.timeouts.stop + 2)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _nap(self, state: State, seconds: float) -> None:
        if state is State.STANDBY and self.state is not state:
            logger.info("Litestream already runs for this application; this process stands by to take over.")
        self.state = state
        self._settled.set()
        self._stopping.wait(seconds)


def warn_of_old_sqlite(version: tuple[int, ...]) -> None:
    """Say that this Python's SQLite has the WAL-reset bug: two processes that checkpoint at once may damage a database."""
    if (3, 7, 0) <= version < FIRST_SAFE_SQLITE:
        logger.warning(
            "This Python uses SQLite %s. Before %s, a rare race between two processes that checkpoint the same WAL database, "
            "as the application and Litestream do, can damage it. Upgrade SQLite when you can; verify the backups daily.",
            ".".join(map(str, version)),
            ".".join(map(str, FIRST_SAFE_SQLITE)),
        )


LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}


def parse_line(line: str) -> tuple[int, str]:
    """Return level and text of a line that Litestream wrote: JSON, the text a user's own file asks for, or an error."""
    try:
        fields = json.loads(line)
        level, message = fields.pop("level"), fields.pop("msg")
    except (ValueError, KeyError, AttributeError, TypeError):
        named = re.search(r"\blevel=(\w+)", line)
        level = "ERROR" if line.startswith("Error:") else named[1] if named else "INFO"
        return LEVELS.get(level, logging.INFO), line.rstrip()
    fields.pop("time", None)
    details = [f"{key}={value}" for key, value in fields.items()]
    return LEVELS.get(str(level).upper(), logging.INFO), " ".join([message, *details])


def _ending(child: subprocess.Popen[str], complaints: deque[str], waited: float | None) -> str:
    how = f"ended with exit code {child.returncode}" if waited is None else f"did not answer within {waited:g} s"
    return f"{how}: {last_error(chr(10).join(complaints))}"


def _terminate_this_process() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
