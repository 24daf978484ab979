"""What all processes have in common: a row in the registry, a heartbeat, hooks, and a loop that can be stopped."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import Connection

from ..models.process import Kind
from ..operations import registration
from ..operations.recover import release
from .deadline import leave_signals_to_the_main_thread
from .interruptible import Interruptible
from .runtime import Runtime

#: A loop looks at the world at least so often, in seconds: whether its supervisor still lives.
LONGEST_NAP = 1.0


class Process:
    """A process of the queue, in an operating system process or a thread of its own.

    It may be made elsewhere than where it runs, so that nothing is opened or started before that.
    """

    kind: Kind

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.name = f"{self.kind.lower()}-{os.urandom(8).hex()}"
        self.pid = os.getpid()
        self.hostname = hostname()
        self.id: int | None = None
        self.supervisor_id: int | None = None
        #: Told to end: in good order (stopping), and at once (quitting).
        self.stopping = False
        self.quitting = False
        #: The process that this one must not outlive, if any.
        self.parent_pid: int | None = None
        #: How it tells a supervisor that may kill it what is `unwritten` from when it is told to end, if it has to.
        self.tell_unwritten: Callable[[Iterable[int]], None] | None = None
        self._alarm = Interruptible()

    def __repr__(self) -> str:
        return f"{self.kind}(pid={self.pid}, hostname={self.hostname}, metadata={shown(self.metadata)})"

    @property
    def title(self) -> str:
        """What `ps` is to call it."""
        return self.kind.lower()

    @property
    def metadata(self) -> dict[str, Any]:
        """What the process says of itself in the registry and in the log."""
        return {}

    # --- from outside -----------------------------------------------------------------------------

    def stop(self) -> None:
        """End in good order: finish what has begun. Safe in signal handlers and from any thread."""
        self.stopping = True
        self._alarm.wake()
        if self.tell_unwritten is not None:
            self.tell_unwritten(self.unwritten)

    def quit(self) -> None:
        """End at once; what has begun goes back into the queue."""
        self.quitting = True
        self.stop()

    # --- the life of a process --------------------------------------------------------------------

    def run(self, *, supervisor_id: int | None = None, started: Callable[[], None] | None = None) -> None:
        """Live until told to stop.

        :param started: called once the process is registered and its start hooks are through.
        """
        self.supervisor_id = supervisor_id
        self._alarm.open()
        with self.registered(), Heartbeat(self):
            self.hook("start")
            if started is not None:
                started()
            try:
                self.work()
            finally:
                self.hook("stop")
                self.drain()
        self.hook("exit")

    def work(self) -> None:
        """Poll until told to stop."""
        while not self.stopping:
            self.nap(self._polled())

    def _polled(self) -> float:
        try:
            return self.poll()
        except Exception as error:
            self.runtime.handle_thread_error(error)
            return LONGEST_NAP

    def poll(self) -> float:
        """Do what is due.

        :return: for how many seconds there will be nothing to do.
        """
        raise NotImplementedError

    def drain(self) -> None:
        """Finish what has begun."""

    def nap(self, seconds: float, descriptors: Sequence[int] = ()) -> None:
        """Sleep, but wake up when told to stop or when one of `descriptors` can be read.

        Now and then, look up whether the supervisor has died.
        """
        until = time.monotonic() + seconds
        left, woken = seconds, False
        while left > 0 and not woken and not self.stopping:
            woken = self._alarm.nap(min(left, LONGEST_NAP), descriptors)
            self.check_supervisor()
            left = until - time.monotonic()

    def check_supervisor(self) -> None:
        """Stop when the process that started this one is gone."""
        if self.parent_pid is not None and os.getppid() != self.parent_pid:
            self.stop()

    @contextmanager
    def registered(self) -> Iterator[None]:
        """Be in the registry for the length of the block."""
        self.register()
        try:
            yield
        finally:
            self.deregister()

    def register(self) -> None:
        """Enter the registry, under the same id as before where there was one."""
        self.pid = os.getpid()
        self.id = self.runtime.database.alone(
            lambda connection: registration.register(
                connection,
                self.kind,
                self.name,
                pid=self.pid,
                hostname=self.hostname,
                metadata=self.metadata,
                supervisor_id=self.supervisor_id,
                process_id=self.id,
            )
        )
        self.runtime.events.emit("start_process", process=self)

    @property
    def unwritten(self) -> Collection[int]:
        """Jobs that have run, but whose endings the database does not know of. Who is given them back would repeat them."""
        return ()

    def deregister(self) -> None:
        """Leave the registry, and give back what is still claimed."""
        process_id = self.id
        if process_id is None:
            return

        def work(connection: Connection) -> list[int]:
            released = release(connection, process_id, but=self.unwritten)
            registration.deregister(connection, process_id)
            return released

        try:
            released = self.runtime.client.transact(work)
        except Exception as error:  # the supervisor, or a pruner, will tidy up
            self.runtime.handle_thread_error(error)
        else:
            self.runtime.events.emit("stop_process", process=self, released_job_ids=released)

    def lost(self, reason: str) -> None:
        """The registration is gone, or cannot be kept up: others take this process for dead, so it has to end."""
        if not self.stopping:
            self.runtime.events.emit("process_lost", process=self, reason=reason)
        self.stop()

    def beaten(self) -> None:
        """Called after each successful heartbeat, in its thread."""

    def hook(self, event: str) -> None:
        """Call the user's hooks for an event in the life of this kind of process."""
        self.runtime.call_hooks(f"{self.kind.lower()}_{event}", self)


class Heartbeat:
    """Says that a process is alive, through a connection and in a thread of its own, until the very end."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._settings = process.runtime.settings
        self._database = process.runtime.pulse or process.runtime.database.private(quiet=self._settings.silence_polling)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name=f"heartbeat of {process.name}", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join(timeout=LONGEST_NAP)
        self._database.dispose()

    def _beat_on(self) -> None:
        leave_signals_to_the_main_thread()
        heard_at = time.monotonic()
        while not self._done.wait(self._settings.heartbeat_interval):
            if self._beat():
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > self._settings.alive_threshold:
                self._process.lost("its heartbeats have failed for longer than QUEUE_ALIVE_THRESHOLD")

    def _beat(self) -> bool:
        """Whether the database has heard of the process, or said that it does not know it."""
        process = self._process
        assert process.id is not None
        try:
            with self._database.connect() as connection:
                alive = registration.heartbeat(connection, process.id)
        except Exception as error:
            process.runtime.handle_thread_error(error)
            return False
        if not alive:
            process.lost("its registration is gone")
            return True
        try:
            process.beaten()
        except Exception as error:  # nobody takes the process for dead for that
            process.runtime.handle_thread_error(error)
        return True


@cache
def hostname() -> str:
    """This host's name, as far as it can be printed and stored."""
    return socket.gethostname().encode("utf-8", "replace").decode("utf-8", "replace")[:255]


def shown(metadata: dict[str, Any]) -> str:
    """Metadata for a log line."""
    return "{" + ", ".join(f"{name}: {_shown(value)}" for name, value in metadata.items()) + "}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return shown(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
