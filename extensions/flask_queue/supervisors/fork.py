"""Children as forked processes: one that crashes takes nobody with it, and each has an interpreter lock of its own."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from ..config import Configuration
from ..database import connected, forget_connections
from ..processes.registered import Process
from ..processes.runtime import Runtime
from ..processes.titles import entitle
from .maintenance import exit_in_words
from .memory import fill_holes
from .output import flush_output
from .pidfile import Pidfile
from .roles import Role
from .signals import held_back, trapped
from .supervisor import Supervisor

#: What a child says: that it has started, that it was told to end, or a job's id, which is greater than 0.
_NUMBER = struct.Struct("q")
_STARTED, _ENDING = 0, -1
#: So many numbers are written as one, whatever else is written meanwhile (`PIPE_BUF` is 512 bytes at least).
_TOGETHER = 64


@dataclass(eq=False)
class _Child:
    """A forked process as its supervisor sees it."""

    pid: int
    role: Role
    #: Where it says that it has started, and which jobs have run whose endings it has still to write down.
    news: int
    started_at: float
    booted: bool = False
    is_ending: bool = False
    #: When it was found to be out of the registry, on the monotonic clock.
    missed_at: float | None = None
    is_killed: bool = False
    unwritten: set[int] = field(default_factory=set)

    def listen(self) -> None:
        """Take what it has said since."""
        with contextlib.suppress(BlockingIOError):
            while said := os.read(self.news, 1 << 16):
                numbers = {number for (number,) in _NUMBER.iter_unpack(said)}
                self.booted |= _STARTED in numbers
                self.is_ending |= _ENDING in numbers
                self.unwritten |= numbers - {_STARTED, _ENDING}

    def kill(self) -> None:
        """End it by force."""
        self.is_killed = True
        _kill(self.pid, signal.SIGKILL)


class ForkSupervisor(Supervisor):
    """Forks after everything is imported and made, so that children share its memory."""

    mode = "fork"

    def __init__(self, runtime: Runtime, configuration: Configuration, roles: list[Role], pidfile: Pidfile) -> None:
        # Children take over what the supervisor has used, connections excepted: it is compiled, warm and shared.
        super().__init__(runtime.private(), configuration, roles, pidfile)
        #: What hooks and the application use in this process.
        self._outer_database = runtime.database
        self._children: dict[int, _Child] = {}
        self._has_forked = False
        #: Dead children whose jobs could not be ended yet: pid and wait status.
        self._unburied: dict[int, int] = {}
        self._unwritten: set[int] = set()

    @property
    def unwritten(self) -> set[int]:
        """Jobs that children had run, and whose endings they were about to write down when they died."""
        return self._unwritten

    # --- starting ---------------------------------------------------------------------------------

    def prepare_children(self) -> None:
        for database in (self.runtime.database, self._outer_database):
            database.dispose()  # no connection of ours may live on in a child
        self.runtime.database.prepare()
        if not self._has_forked:  # once, as both are for good; later there is little that is new, and some of it is garbage
            self._has_forked = True
            gc.collect()
            fill_holes()
            gc.freeze()  # a collector, ours or a child's, touches all that it looks at, and what is touched is not shared

    def start_child(self, role: Role, process: Process) -> None:
        process.parent_pid = self.pid
        flush_output()
        used = connected(self.runtime.engines)  # by hooks and by the application, as ours are closed
        news, out = os.pipe()
        with held_back():
            try:
                pid = os.fork()
            except OSError:  # no memory, or too many processes
                os.close(news)
                os.close(out)
                raise
            if pid == 0:
                os.close(news)
                self._be_child(process, used, out)
        os.close(out)
        os.set_blocking(news, False)
        self._children[pid] = _Child(pid, role, news, time.monotonic())

    def _be_child(self, process: Process, used: Sequence[Engine], out: int) -> None:
        """Live a child's life, still with stop signals held back, and never return."""
        status = 1
        try:
            status = self._child_life(process, used, out)
        except BaseException as error:
            with contextlib.suppress(BaseException):
                self.runtime.handle_thread_error(error)
        finally:
            with contextlib.suppress(BaseException):
                flush_output()
            os._exit(status)  # not through the interpreter's end, which would wait for threads and run our parent's exit hooks

    def _child_life(self, process: Process, used: Sequence[Engine], out: int) -> int:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.pidfile.forget()
        for sibling in self._children.values():
            os.close(sibling.news)
        forget_connections(used)
        entitle(process.title)
        os.set_blocking(out, False)
        process.tell_unwritten = lambda job_ids: _say(out, [_ENDING, *job_ids])
        with trapped(process.stop, process.quit):
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            if not process.stopping:
                process.run(supervisor_id=self.id, started=lambda: _say(out, [_STARTED]))
        return 0

    # --- watching ---------------------------------------------------------------------------------

    def watch(self) -> None:
        self._reap()
        self._bury()
        timeout = self.runtime.settings.start_timeout
        for child in self._children.values():
            child.listen()
            if child.is_killed:  # and cannot die yet, as the kernel still does something for it
                continue
            if not child.booted and time.monotonic() - child.started_at > timeout:
                self.runtime.events.emit("start_timeout", pid=child.pid, kind=child.role.kind, timeout=timeout)
                child.kill()
            elif self._is_frozen(child):
                self.runtime.events.emit("process_frozen", pid=child.pid, kind=child.role.kind)
                child.kill()

    def _is_frozen(self, child: _Child) -> bool:
        """Whether others took a child for dead and it is not about to end: one that lives learns of it, and ends by itself."""
        if child.missed_at is None:
            return False
        allowed = self.attention.notice + (self.end_timeout() if child.is_ending else 0)
        return time.monotonic() - max(child.missed_at, self.attention.since) > allowed

    def maintain(self) -> bool:
        is_done = super().maintain()
        if is_done:
            self._miss_children()
        return is_done

    def _miss_children(self) -> None:
        """Note which children are out of the registry, whoever removed them."""
        booted = [child for child in self._children.values() if child.booted]
        registered = self.maintenance.registered_children() if booted else set()
        for child in booted:
            if child.missed_at is None and child.pid not in registered:
                child.missed_at = time.monotonic()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._children.pop(pid, None)
            if child is not None:  # others are orphans that a container's first process inherits
                self._note_death(child, status)

    def _note_death(self, child: _Child, status: int) -> None:
        child.listen()
        os.close(child.news)
        self._unwritten |= child.unwritten
        self._unburied[child.pid] = status
        if not self.stopping:
            self.runtime.events.emit("replace_process", pid=child.pid, kind=child.role.kind, how=exit_in_words(status))
            self.vacate(child.role)

    def _bury(self) -> None:
        """End the jobs of children that died. What the database refuses now is tried again at the next look."""
        for pid, status in list(self._unburied.items()):
            try:
                self.maintenance.bury_child(pid, self.hostname, status)
            except Exception as error:
                self.runtime.handle_thread_error(error)
                return
            del self._unburied[pid]

    # --- ending -----------------------------------------------------------------------------------

    def any_child_lives(self) -> bool:
        self._reap()
        return bool(self._children)

    def tell_children_to_end(self) -> None:
        self._signal_all(signal.SIGQUIT if self.quitting else signal.SIGTERM)

    def end_children(self) -> None:
        super().end_children()
        killed = set(self._children)
        self._signal_all(signal.SIGKILL)
        while self.any_child_lives():
            self._alarm.nap(0.05)
        for pid in killed:  # what they still ran goes back into the queue, as we have ended them ourselves
            self._unburied.pop(pid, None)
        self._bury()

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self._children:
            _kill(pid, number)


def _say(out: int, numbers: Iterable[int]) -> None:
    """Tell the supervisor, unless it is gone or has not listened for long."""
    said = [_NUMBER.pack(number) for number in numbers]
    with contextlib.suppress(OSError):
        for start in range(0, len(said), _TOGETHER):
            os.write(out, b"".join(said[start : start + _TOGETHER]))


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
