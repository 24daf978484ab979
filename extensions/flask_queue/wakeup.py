"""How a worker hears of new work before its next poll.

PostgreSQL's NOTIFY tells them, on whatever host. Where it cannot be heard, every worker listens on a datagram socket in a
folder that is named after the database, and whoever has committed new jobs on this host sends an empty datagram to each. A
message that gets lost costs no more than the wait for the next poll.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import tempfile
import time
import weakref
from typing import Any

from .database import CHANNEL, Database, is_session_ours

#: How long a sender trusts its list of the workers of this host, in seconds.
_LISTING_TTL = 0.5
_MESSAGE = b"\0"
#: How often the folder is made before it is given up: the last worker that ends removes it, while another one may be starting.
_TRIES = 5


def _folder(database: Database) -> str:
    return os.path.join(tempfile.gettempdir(), f"flask-queue-{os.getuid()}-{database.identity}")


def _check(folder: str) -> None:
    """Anybody can make a folder, or a link, in the place for temporary files.

    :raises OSError: when it is not a folder of our own that nobody else can write to.
    """
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(f"{folder} belongs to somebody else")


class Announcer:
    """Tells the workers of this database on this host that there may be something to do for them."""

    def __init__(self, database: Database) -> None:
        self._folder = _folder(database)
        self._socket: socket.socket | None = None
        self._pid = 0
        self._addresses: list[str] = []
        self._listed_at = 0.0

    def announce(self) -> None:
        """Wake the workers of this host. Never raises, never waits."""
        moment = time.monotonic()
        if moment - self._listed_at > _LISTING_TTL or self._pid != os.getpid():
            self._look(moment)
        for address in self._addresses:
            self._send(address)

    def _look(self, moment: float) -> None:
        try:
            if self._pid != os.getpid():  # the first time, or in a forked child
                self._socket, self._pid = _datagram_socket(), os.getpid()
                weakref.finalize(self, self._socket.close)  # an application that is dropped has nobody else to close it
            _check(self._folder)
            self._addresses = [entry.path for entry in os.scandir(self._folder)]
        except OSError:
            self._addresses = []
        self._listed_at = moment

    def _send(self, address: str) -> None:
        assert self._socket is not None
        with contextlib.suppress(OSError):  # its mailbox is full of wake-up calls (EAGAIN; ENOBUFS on macOS and BSD)
            try:
                self._socket.sendto(_MESSAGE, address)
            except (ConnectionRefusedError, FileNotFoundError):  # its process died without tidying up
                self._addresses = [other for other in self._addresses if other != address]
                if stat.S_ISSOCK(os.lstat(address).st_mode):
                    os.unlink(address)


def _datagram_socket() -> socket.socket:
    mailbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    mailbox.setblocking(False)
    return mailbox


class Listener:
    """Where a worker waits for announcements: file descriptors for `select`, and a way to empty them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._folder = _folder(database)
        self._socket: socket.socket | None = None
        self._address: str | None = None
        self._notifications: Any | None = None
        self._can_listen = database.can_listen

    def open(self) -> None:
        """Begin to listen. Where that is impossible the worker polls, and nothing else is lost."""
        with contextlib.suppress(OSError):
            self._open_socket()
        self._open_notifications()

    def _open_socket(self) -> None:
        for _ in range(_TRIES):
            with contextlib.suppress(FileNotFoundError):
                self._bind_socket()
                return

    def _bind_socket(self) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._folder, mode=0o700)
        _check(self._folder)
        address = os.path.join(self._folder, f"{os.getpid()}-{os.urandom(4).hex()}")
        mailbox = _datagram_socket()
        try:
            mailbox.bind(address)
        except OSError:  # a path that is too long for a socket, for one
            mailbox.close()
            raise
        self._socket, self._address = mailbox, address

    def _open_notifications(self) -> None:
        if not self._can_listen:
            return
        with contextlib.suppress(Exception):  # an outage; the next poll will report it
            raw = self._database.engine.raw_connection()
            if not is_session_ours(raw):
                self._can_listen = False
                raw.close()
                return
            connection: Any = raw.driver_connection  # asked for before it is detached: afterwards the pool does not know it
            raw.detach()
            with contextlib.ExitStack() as cleanup:
                cleanup.callback(connection.close)
                connection.execute(f"LISTEN {CHANNEL}")
                cleanup.pop_all()
            self._notifications = connection

    @property
    def hears_all(self) -> bool:
        """Whether everybody who makes jobs ready should be heard: through the server, or as all are on this host."""
        return self._hears_server or (self._socket is not None and self._database.is_of_this_host)

    @property
    def _hears_server(self) -> bool:
        return self._notifications is not None and not self._notifications.closed

    def descriptors(self) -> list[int]:
        """What to hand to `select` now: the server's connection, or else the mailbox.

        A datagram comes later than NOTIFY, and would wake the worker once more while it begins the job.
        """
        if self._notifications is not None and self._hears_server:
            return [self._notifications.fileno()]
        return [self._socket.fileno()] if self._socket is not None else []

    def drain(self) -> bool:
        """Take all messages, which say the same thing; whether there were any."""
        has_news = False
        if self._socket is not None:
            with contextlib.suppress(OSError):
                while self._socket.recv(64):
                    has_news = True
        return self._drain_notifications() or has_news

    def _drain_notifications(self) -> bool:
        if self._notifications is None:
            return False
        has_news = False
        try:
            self._notifications.pgconn.consume_input()
            while self._notifications.pgconn.notifies():
                has_news = True
        except Exception:  # the server went away; polls go on, and a later one finds it back
            with contextlib.suppress(Exception):
                self._notifications.close()
            self._notifications = None
        return has_news

    def repair(self) -> bool:
        """Listen to the server again after its connection was lost.

        :return: whether it has just begun to: what was said until then has not been heard.
        """
        if not self._can_listen or self._hears_server:
            return False
        self._open_notifications()
        return self._hears_server

    def renew(self) -> None:
        """Listen anew, as something was not heard: a router has dropped the connection, or the mailbox was tidied up."""
        self.close()
        self._database.dispose()  # a router drops all that idle, and to ask one of these whether it lives would take for ever
        self.open()

    def close(self) -> None:
        """Stop listening and tidy up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._address is not None:
            with contextlib.suppress(OSError):  # it is gone, or somebody else has something in its place
                os.unlink(self._address)
                os.rmdir(self._folder)  # unless others listen
            self._address = None
        if self._notifications is not None:
            with contextlib.suppress(Exception):
                self._notifications.close()
            self._notifications = None
