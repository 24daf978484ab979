"""Private files and the lock, on disk. Apart because several modules write state that no other user may read.

Everything here is for one machine: SQLite, its Litestream and this extension live beside each other.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def private_directory(path: Path) -> Path:
    """Return the folder, made for its owner alone if it is not there yet."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, all at once: a reader sees the old text or the new one."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=private_directory(path.parent))  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException as error:
        os.unlink(temporary)
        if isinstance(error, OSError):
            error.filename = str(path)  # of a full disk the system names none
        raise


def try_lock(path: Path) -> int | None:
    """Take the lock and return its file descriptor, or None if somebody has it.

    The lock lasts until every copy of the descriptor is closed. Handed to a child, it lives exactly as long as that
    child, whatever becomes of the process that started it.
    """
    handle = os.open(private_directory(path.parent) / path.name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    _held.add(handle)
    return handle


def release(handle: int) -> None:
    """Close this process's copy of a lock's descriptor."""
    _held.discard(handle)
    os.close(handle)


def is_locked(path: Path) -> bool:
    """Tell whether somebody holds the lock at this moment."""
    handle = try_lock(path)
    if handle is not None:
        release(handle)
    return handle is None


_held: set[int] = set()


def _forget_locks() -> None:
    """A process forked while the lock was held (a worker of the queue, say) would otherwise hold it for its life."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_forget_locks)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock during the block, waiting for it as long as it takes; for short blocks only."""
    handle = os.open(private_directory(path.parent) / path.name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
