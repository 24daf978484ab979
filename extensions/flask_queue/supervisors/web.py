"""The supervisor beside a web server: one starts and stops with the other, as the Puma plugin does it for Solid Queue."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..config import Configuration
from ..database import connected, forget_connections
from ..errors import SupervisorEnded
from ..processes.interruptible import Interruptible
from ..processes.runtime import Runtime
from .output import flush_output
from .signals import held_back, trapped
from .start import start

#: How often a supervisor that is not needed asks whether it is now, in seconds.
_WAIT = 1.0
#: How much longer than its children the supervisor gets to end, in seconds.
_GRACE = 5.0


@contextmanager
def beside(runtime: Runtime, configuration: Configuration, *, mode: str | None = None) -> Iterator[int]:
    """Run the supervisor in a process of its own for the length of the block. Enter it in the main thread, before others start.

    When the supervisor ends, this process gets SIGTERM; when this process dies, the supervisor stops. Of several web servers on
    one host and database only one runs a supervisor at a time; when it ends, another one's takes over.

    A process that was forked inside the block may leave it, with its parent's exit handlers, for example: that does nothing.

    :return: the supervisor's pid.
    :raises SupervisorEnded: at the end of the block, when the supervisor was killed or failed: whoever watches this program is
        to see that it did not end as it was told.
    """
    runtime.database.dispose()
    flush_output()
    parent = os.getpid()
    with held_back():
        pid = os.fork()
        if pid == 0:
            _be_supervisor(runtime, configuration, mode, parent)
    watch = _Watch(pid)
    watch.start()
    try:
        yield pid
    finally:
        if os.getpid() == parent:
            watch.end(runtime.settings.shutdown_timeout + _GRACE)
    if watch.failed and os.getpid() == parent:
        raise SupervisorEnded


class _Watch:
    """Waits for the supervisor's end, in a thread, and takes this process along."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ending = False
        self._is_reaped = False
        #: The supervisor ended by itself, and not in good order.
        self.failed = False
        self._thread = threading.Thread(target=self._wait, name="watch of the queue's supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _wait(self) -> None:
        status = 0
        with contextlib.suppress(ChildProcessError):
            _, status = os.waitpid(self._pid, 0)
        self._is_reaped = True
        if not self._ending:
            self.failed = status != 0
            os.kill(os.getpid(), signal.SIGTERM)

    def end(self, timeout: float) -> None:
        """Stop the supervisor, by force if it does not end in time."""
        self._ending = True
        for number, seconds in ((signal.SIGTERM, timeout), (signal.SIGKILL, _GRACE)):
            if not self._is_reaped:  # or else its pid may be another process's by now
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, number)
            self._thread.join(seconds)
            if not self._thread.is_alive():
                return


def _be_supervisor(runtime: Runtime, configuration: Configuration, mode: str | None, parent: int) -> None:
    """Live the supervisor's life, still with stop signals held back, and never return."""
    status = 1
    gc.freeze()  # as before every fork: what is shared with the web server is not to be touched by our collector
    try:
        forget_connections(connected(runtime.engines))
        had_turn = _wait_for_turn(runtime, parent)
        status = start(runtime, configuration, mode=mode, parent_pid=parent) if had_turn else 0
    except BaseException as error:
        with contextlib.suppress(BaseException):
            print(f"The queue's supervisor ended: {error}", file=sys.stderr)
    finally:
        with contextlib.suppress(BaseException):
            flush_output()
        os._exit(status)


def _wait_for_turn(runtime: Runtime, parent: int) -> bool:
    """Wait until no other web server of this host runs a supervisor for this database; False when told to stop before."""
    path = Path(tempfile.gettempdir()) / f"flask-queue-web-{os.getuid()}-{runtime.database.identity}.lock"
    # Not closed before the process ends, and no lock of `flock`, which would live on in forked workers: another server's
    # supervisor is to take over although theirs was killed and they are still at a job.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    alarm = Interruptible()
    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        alarm.wake()

    with trapped(stop, stop):
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        while not stopped.is_set() and os.getppid() == parent:
            with contextlib.suppress(BlockingIOError):
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            alarm.nap(_WAIT)
    return False
