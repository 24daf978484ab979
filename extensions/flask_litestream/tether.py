"""Run a program that cannot outlive whoever started it. Executed as a script; it imports nothing of this package.

    python tether.py PARENT_PID GRACE PROGRAM [ARGUMENT ...]

It is apart because it must be tiny: it is the one process between a web server and Litestream. When the parent dies,
however it dies, or when this process is told to stop, Litestream gets SIGTERM and, if it has not ended after GRACE
seconds (an S3 that does not answer can hold it for minutes), SIGKILL. When this process itself is killed, the kernel
kills Litestream. On systems without parent-death signals a killed parent leaves Litestream running; there the lock
file keeps the next start from running a second one.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
STOPPING = {signal.SIGTERM, signal.SIGINT}


def main(arguments: list[str]) -> int:
    """Start the program, wait for it, and return its exit code."""
    parent, grace, program = int(arguments[0]), float(arguments[1]), arguments[2:]
    die_with(parent, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # none may arrive before there is a child to hand it to
    tether = os.getpid()
    source, output = os.pipe()
    child = os.fork()
    if child == 0:
        become(program, tether, output)
    os.dup2(source, 0)
    os.closerange(3, 256)  # what was passed on (the lock) belongs to the program alone
    stop_when_told(child, grace)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    pass_on_output()
    _, status = os.waitpid(child, 0)
    return exit_code(status)


def die_with(parent: int, signum: int) -> None:
    """Ask the kernel for `signum` when the parent dies; leave at once if it already has."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signum), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def become(program: list[str], tether: int, output: int) -> None:
    """Turn this fresh child into the program, tied to the tether by a signal nobody can ignore."""
    try:
        die_with(tether, signal.SIGKILL)
        os.dup2(output, 1)
        os.dup2(output, 2)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and a program inherits that
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        os.execv(program[0], program)
    except OSError as error:
        os.write(2, f"Error: cannot run {program[0]}: {error}\n".encode())
    finally:
        os._exit(126)


def pass_on_output() -> None:
    """Copy what the program writes until it ends, also when nobody reads it any more.

    With the dead parent's pipe as its own output, Litestream would die of the first line it writes about stopping,
    before its last sync.
    """
    while data := os.read(0, 65536):
        with contextlib.suppress(BrokenPipeError):
            os.write(1, data)


def stop_when_told(child: int, grace: float) -> None:
    """SIGTERM for the child when this process gets one, SIGKILL when the grace is over.

    Only the first counts: a second one makes Litestream leave out its last sync, and the kernel sends one for each thread
    of a parent that dies.
    """

    told = False

    def stop(*_: object) -> None:
        nonlocal told
        if not told:
            told = True
            signal.setitimer(signal.ITIMER_REAL, max(grace, 0.001))
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    for signum in STOPPING:
        signal.signal(signum, stop)


def exit_code(status: int) -> int:
    """A shell's way of saying how a program ended: its code, or 128 plus the signal."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
