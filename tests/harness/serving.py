"""An application behind a real web server, for tests in a browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import waitress
from flask import Flask
from waitress import wasyncore


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serve in a thread for as long as the context lasts, and give the address.

    By waitress, which also closes the body of an answer that a browser no longer waits for: Werkzeug's server leaves
    it open, and a static file with it.
    """
    channels: dict[int, Any] = {}
    server = waitress.create_server(app, map=channels, host="127.0.0.1", port=0)
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            wasyncore.loop(timeout=30, map=channels, count=1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        stopping.set()
        server.pull_trigger()
        thread.join()
        server.task_dispatcher.shutdown()
        wasyncore.close_all(channels)
