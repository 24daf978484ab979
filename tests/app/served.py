"""`python wsgi.py` as a process of its own, for tests of the server and of pages in a real browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from app.environment import ROOT


def environment_in(directory: Path) -> dict[str, str]:
    """Environment variables of a site that keeps everything in this folder, as `app_config` of the fixtures does."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "QUEUE_ENVIRONMENT": "test",
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{directory / 'primary.sqlite3'}",
        "SQLALCHEMY_BINDS_QUEUE": f"sqlite:///{directory / 'queue.sqlite3'}",
        "MAIL_OUTBOX": str(directory / "outbox"),
    }


class Served:
    """A running `python wsgi.py`. As a context manager it is gone afterwards, whatever happened."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "wsgi.py"), *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.end()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()

    def address(self) -> str:
        """Where it listens, once it does."""
        assert self.process.stdout
        assert self.process.stderr
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found, self.process.stderr.read()
        return found[0]

    def end(self) -> tuple[int, str, str]:
        """Its exit status and what it printed, once it has ended."""
        try:
            out, err = self.process.communicate(timeout=40)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
        return self.process.returncode, out, err
