"""Interrupt a job that takes too long: from another thread, by an exception in that of the job."""

from __future__ import annotations

import ctypes
import signal
import threading

from ..errors import JobTimeoutError


class Deadline:
    """For a thread that nobody else watches over: from `start` to `leave` it is interrupted when `seconds` are over."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ident = threading.get_ident()
        self._is_left = threading.Event()
        self._is_missed = False
        # Guards the thread against being interrupted just when its job ends.
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to count."""
        threading.Thread(target=self._watch, name="deadline of a job", daemon=True).start()

    def leave(self) -> None:
        """The job is through; an interruption that has come too late is taken back. In its own thread, once or more often."""
        with self._lock:
            self._is_left.set()
            if self._is_missed:
                set_async_error(self._ident, None)

    def _watch(self) -> None:
        leave_signals_to_the_main_thread()
        if self._is_left.wait(self._seconds):
            return
        with self._lock:
            if not self._is_left.is_set():
                self._is_missed = True
                set_async_error(self._ident, JobTimeoutError)


def set_async_error(ident: int, error: type[BaseException] | None) -> None:
    """Have `error` raised in another thread as soon as it runs Python code; None takes it back."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(error) if error else None)


def leave_signals_to_the_main_thread() -> None:
    """One that the kernel hands to this thread, as the main one has another to see to, would not wake that: a job that sleeps
    would sleep on.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT))
