"""A file with the supervisor's pid, locked as long as it lives, so that there is one supervisor and others see which."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path

from ..errors import AlreadyRunning, ConfigurationError


class Pidfile:
    """Context manager that owns the file. The lock, not the number in it, says whether the owner lives: pids are used again."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._descriptor: int | None = None

    def __enter__(self) -> Pidfile:
        """
        :raises AlreadyRunning: when a live supervisor owns the file.
        :raises ConfigurationError: when there can be no such file.
        """
        if self.path is not None:
            self._descriptor = self._lock(self.path)
            try:
                os.truncate(self._descriptor, 0)
                os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
            except OSError as error:  # the disk is full
                self.__exit__()
                raise _impossible(self.path, "written", error) from error
        return self

    def __exit__(self, *exception: object) -> None:
        if self._descriptor is None or self.path is None:
            return
        if _is_same(self._descriptor, self.path):  # somebody may have removed ours, and a successor made its own
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.forget()

    def forget(self) -> None:
        """In a forked child: the file is the parent's, and must not stay locked after it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, path: Path) -> int:
        while True:
            descriptor = self._open(path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise _already_running(path) from None
            except OSError as error:  # on a network's file system, which may have no locks
                os.close(descriptor)
                raise _impossible(path, "locked", error) from error
            if _is_same(descriptor, path):
                return descriptor
            os.close(descriptor)  # its owner removed it while we waited for the lock

    @staticmethod
    def _open(path: Path) -> int:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file() and not path.is_dir():  # a device, which can be opened and keeps nothing
                raise OSError(errno.EINVAL, "Not a regular file")
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if isinstance(error, PermissionError) and os.path.isfile(path):
                raise _already_running(path) from None  # another user's
            raise _impossible(path, "written", error) from error


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _impossible(path: Path, what: str, error: OSError) -> ConfigurationError:
    reason = error.strerror or type(error).__name__
    return ConfigurationError(f"QUEUE_PIDFILE is {str(path)!r}, which cannot be {what}: {reason}.")


def _already_running(path: Path) -> AlreadyRunning:
    return AlreadyRunning(f"A Flask-Queue supervisor is already running. Check {path}, which names its pid.")
