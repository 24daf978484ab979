"""A way to a database server that a test can close and open, to see what an outage does."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import make_url


class Relay:
    """Connections through it break when it is closed, and new ones are refused until it is opened again."""

    def __init__(self, url: str) -> None:
        self._to = make_url(url)
        #: How often a client spoke up after the server had spoken: with one client, how often it has waited for an answer.
        self.turns = 0
        self._server_has_spoken = True
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._server: socketserver.ThreadingTCPServer | None = None
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        """The address of the database by this way."""
        return self._to.set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)

    def open(self) -> None:
        """Let connections through."""
        relay = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection((relay._to.host, relay._to.port)) as there:
                    relay._open += [self.request, there]
                    back = threading.Thread(target=_pump, args=(there, self.request, relay._hear_server), daemon=True)
                    back.start()
                    _pump(self.request, there, relay._hear_client)
                    back.join()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def _hear_client(self) -> None:
        self.turns += self._server_has_spoken
        self._server_has_spoken = False

    def _hear_server(self) -> None:
        self._server_has_spoken = True

    def close(self) -> None:
        """Break all connections and refuse new ones."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._open.clear()


def _pump(source: socket.socket, target: socket.socket, hear: Callable[[], None]) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            hear()
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
