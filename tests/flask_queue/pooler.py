"""PgBouncer between the queue and PostgreSQL: it lends each transaction the next best session of a few."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from sqlalchemy import make_url

#: Debian puts it where only administrators look.
PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_SETTINGS = """
[databases]
* = {server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
user = {user}
"""


class Pooler:
    """PgBouncer with one session, for the length of a block."""

    def __init__(self, url: str, folder: Path) -> None:
        self._to = make_url(url)
        self._settings = folder / "pgbouncer.ini"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the database by this way."""
        return self._to.set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)

    def __enter__(self) -> Pooler:
        to = self._to
        server = {"host": to.host or "127.0.0.1", "port": to.port or 5432, "user": to.username, "password": to.password}
        named = " ".join(f"{name}={value}" for name, value in server.items() if value)
        user = "nobody" if os.getuid() == 0 else ""  # it refuses to be root
        self._settings.write_text(_SETTINGS.format(server=named, port=self.port, user=user))
        assert PROGRAM is not None
        self._process = subprocess.Popen([PROGRAM, "--quiet", str(self._settings)])
        self._wait()
        return self

    def _wait(self) -> None:
        for _ in range(100):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        self.__exit__()
        raise RuntimeError("PgBouncer does not answer.")

    def __exit__(self, *error: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
