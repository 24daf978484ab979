"""The restore drill of docs/litestream.md: the server is lost, and comes back on an empty machine from the replicas alone.

With the reference application, its commands and its web server, each in a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask_litestream.files import is_locked

from ..harness.waiting import eventually
from .stage import connected, process


@dataclass
class Machine:
    """A server of Lorem News: its disk is a folder, its replicas are elsewhere."""

    root: Path
    disk: Path
    replicas: Path

    @property
    def environment(self) -> dict[str, str]:
        ours = ("QUEUE_", "LITESTREAM_", "SQLALCHEMY_", "MAIL_")
        return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {
            "QUEUE_ENVIRONMENT": "development",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{self.disk}/primary.sqlite3",
            "SQLALCHEMY_BINDS_QUEUE": f"sqlite:///{self.disk}/queue.sqlite3",
            "MAIL_OUTBOX": f"{self.disk}/outbox",
            "QUEUE_RECURRING_FILE": "none",
            "LITESTREAM_ENABLED": "1",
            "LITESTREAM_DIRECTORY": f"{self.disk}/litestream",
            "LITESTREAM_REPLICA": str(self.replicas),
        }

    def flask(self, *arguments: str) -> str:
        line = [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]
        return self.run(line)

    def run(self, line: list[str]) -> str:
        ended = subprocess.run(line, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    @contextmanager
    def serving(self, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """`python wsgi.py`, once it serves."""
        line = [sys.executable, "wsgi.py", "--port", "0"]
        environment = self.environment | variables
        with process(line, cwd=self.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as web:
            assert web.stdout is not None
            assert any("Lorem News is at" in said for said in iter(web.stdout.readline, ""))
            yield web

    def mails(self) -> list[str]:
        """The comments that mails in the outbox tell of."""
        texts = [path.read_text() for path in (self.disk / "outbox").glob("*.eml")]
        return sorted(word for text in texts for word in ("first", "second", "third") if f"the {word} comment" in text)

    def jobs(self) -> dict[int, str]:
        with connected(self.disk / "queue.sqlite3") as connection:
            return dict(connection.execute("SELECT id, state FROM queue_jobs ORDER BY id"))


# One job that has run, one that is ready, one that is due in an hour.
OLD_LIFE = """
import json
from datetime import timedelta
from app import create_app
from app.extensions import db, queue
from app.jobs import notify_author
from app.models import Comment, Post, User

with create_app().app_context():
    author, guest = (User(username=n, email=f"{n}@lorem.example", password_hash="!") for n in ("author", "guest"))
    post = Post(title="Dolor sit", url="https://lorem.example/", author=author)
    texts = ("the first comment", "the second comment", "the third comment")
    comments = [Comment(body=text, post=post, author=guest) for text in texts]
    db.session.add_all([author, guest, post, *comments])
    db.session.commit()
    ran = notify_author.enqueue(comments[0].id)
    db.session.commit()
    assert queue.work() == 1
    ready = notify_author.enqueue(comments[1].id)
    later = notify_author.using(wait=timedelta(hours=1)).enqueue(comments[2].id)
    db.session.commit()
    print(json.dumps([ran.id, ready.id, later.id]))
"""


def test_a_lost_server_comes_back_and_goes_on_where_it_was(root: Path, folder: Path) -> None:
    lost = Machine(root, folder / "lost", folder / "replicas")
    lost.flask("db", "upgrade")
    with lost.serving() as web:
        ran, ready, later = json.loads(lost.run([sys.executable, "-c", OLD_LIFE]).splitlines()[-1])
        assert lost.mails() == ["first"]
        lost.flask("litestream", "sync")
        web.kill()  # the power goes, with the queue and Litestream wherever they were
    eventually(lambda: not is_locked(lost.disk / "litestream" / "litestream.lock"))  # Litestream noticed
    shutil.rmtree(lost.disk)

    new = Machine(root, folder / "new", folder / "replicas")
    new.disk.mkdir()
    assert "primary was restored" in new.flask("litestream", "restore", "primary")
    assert "queue was restored" in new.flask("litestream", "restore", "queue")
    new.flask("db", "upgrade")
    assert new.jobs() == {ran: "finished", ready: "ready", later: "scheduled"}
    with new.serving(QUEUE_IN_WEB="1") as web:
        eventually(lambda: new.jobs()[ready] == "finished", timeout=20)
        assert new.mails() == ["second"], "what had run did not run again, and what waited did"
        assert new.jobs() == {ran: "finished", ready: "finished", later: "scheduled"}
        assert "primary: proved" in new.flask("litestream", "verify"), "the new server is backed up as the lost one was"
        web.send_signal(signal.SIGTERM)
        assert web.wait(30) == 0
    with connected(new.disk / "primary.sqlite3") as connection:
        assert connection.execute("SELECT count(*) FROM comments").fetchone() == (3,)
