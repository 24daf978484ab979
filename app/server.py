"""Serve the application with waitress: bind first, start what runs beside it, and stop without cutting anyone off.

Waitress knows nothing of signals: TERM would kill it in the middle of its answers.
"""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

import waitress
from flask import Flask
from waitress import wasyncore

from app.environment import ConfigurationError
from app.extensions import litestream, queue

DRAIN_TIMEOUT = 10  # seconds that requests have to end once the server was told to stop
THREADS = 8


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    :raises ConfigurationError: When the address cannot be had, with a sentence that says why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ConfigurationError(
            f"Cannot listen on {host} port {port}: {reason}. Stop what is using it, or choose another address "
            "with --host and --port or the environment variables HOST and PORT."
        ) from error
    # A queue that outlives this process for a moment must not keep the port from its successor.
    os.register_at_fork(after_in_child=listener.close)
    return listener


@contextmanager
def companions(app: Flask) -> Iterator[None]:
    """Run beside the pages what is switched on: the queue with QUEUE_IN_WEB, the replication with LITESTREAM_ENABLED.

    The queue is started first, as it forks, and nothing may run in threads by then. It is stopped first, too, so that
    its last words are replicated. Whatever cannot be started stops the rest, and its error is the caller's.
    """
    with ExitStack() as stopped_last, ExitStack() as stopped_first:
        stopped_first.enter_context(queue.in_web(app))
        stopped_last.enter_context(litestream.running(app))
        yield


class WebServer:
    """Waitress on a socket that is bound already. `run` returns after TERM, INT or `stop`."""

    def __init__(self, app: Flask, listener: socket.socket) -> None:
        self.channels: dict[int, Any] = {}
        self.server = waitress.create_server(app, map=self.channels, sockets=[listener], threads=THREADS)
        self.stopping = False

    def run(self) -> None:
        with self._signals_trapped():
            while not self.stopping:
                wasyncore.loop(timeout=30, map=self.channels, count=1)
            self._drain()
        wasyncore.close_all(self.channels, ignore_all=True)

    def stop(self) -> None:
        """Take no more connections and let `run` return. Safe in a signal handler and from any thread."""
        self.stopping = True
        self.server.pull_trigger()

    def _drain(self) -> None:
        """Go on until everyone who asked has an answer, for a limited time."""
        self.server.accepting = False
        deadline = time.monotonic() + DRAIN_TIMEOUT
        while self._is_answering() and time.monotonic() < deadline:
            wasyncore.loop(timeout=0.1, map=self.channels, count=1)

    def _is_answering(self) -> bool:
        return any(channel.requests or channel.total_outbufs_len for channel in self.server.active_channels.values())

    @contextmanager
    def _signals_trapped(self) -> Iterator[None]:
        def on_signal(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
