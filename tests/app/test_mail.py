"""Mails: what is in them, and how they leave."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.environment import ConfigurationError
from app.extensions import db
from app.mail import FileBackend, backend, public_url, send_mail
from app.models import User


def read(path: Path) -> EmailMessage:
    return message_from_bytes(path.read_bytes(), policy=policy.default)  # type: ignore[return-value]


def send(app: Flask, user_id: int, subject: str = "Hello", mail_id: str = "test-1", **context: Any) -> None:
    with app.app_context():
        send_mail(db.session.get_one(User, user_id), subject, "weekly_digest", mail_id=mail_id, posts=[], **context)


@pytest.fixture
def monday() -> Any:
    from datetime import date

    return date(2026, 11, 16)


def test_a_mail_is_one_file_in_the_outbox_that_mail_programs_read(app: Flask, make_user, tmp_path: Path, monday) -> None:
    send(app, make_user("ada"), "Grüße 🙂", monday=monday)
    [path] = (tmp_path / "outbox").iterdir()
    mail = read(path)
    assert path.name == "test-1.eml"
    assert (mail["To"], mail["Subject"]) == ("ada@mail.example", "Grüße 🙂")
    assert mail["From"] == "Lorem News <news@lorem.example>"
    assert mail["Message-ID"] == "<test-1@127.0.0.1>"
    assert mail["Date"].datetime.utcoffset() is not None
    assert "Hello ada," in mail.get_content()
    assert "16 November 2026" in mail.get_content()


def test_the_same_mail_sent_twice_is_there_once(app: Flask, make_user, tmp_path: Path, monday) -> None:
    user = make_user("ada")
    for _ in range(2):
        send(app, user, monday=monday)
    assert [path.name for path in (tmp_path / "outbox").iterdir()] == ["test-1.eml"]


def test_who_reads_a_mail_while_it_is_sent_again_reads_a_whole_one(tmp_path: Path) -> None:
    first, second = EmailMessage(), EmailMessage()
    for message, body in ((first, "first" * 1000), (second, "second")):
        message["Message-ID"] = "<test-1@host>"
        message.set_content(body)
    backend = FileBackend(tmp_path)
    backend.deliver(first)
    with (tmp_path / "test-1.eml").open("rb") as reader:
        backend.deliver(second)
        assert reader.read() == first.as_bytes()
    assert (tmp_path / "test-1.eml").read_bytes() == second.as_bytes()


def test_no_mail_leaves_the_folder_by_its_id(app: Flask, make_user, tmp_path: Path, monday) -> None:
    send(app, make_user("ada"), mail_id="../../evil", monday=monday)
    assert [path.name for path in (tmp_path / "outbox").iterdir()] == ["..-..-evil.eml"]


def test_nobody_can_smuggle_a_header_into_a_subject(app: Flask, make_user, tmp_path: Path, monday) -> None:
    with pytest.raises(ValueError, match="linefeed"):
        send(app, make_user("ada"), "Hello\nBcc: eve@mail.example", monday=monday)
    assert not (tmp_path / "outbox").exists()


def test_a_mail_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    message = EmailMessage()
    message["Message-ID"] = "<test-1@host>"

    def disk_full(_descriptor: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        FileBackend(tmp_path / "outbox").deliver(message)
    assert list((tmp_path / "outbox").iterdir()) == []


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/posts/1"),
        ("https://news.example", "https://news.example/posts/1"),
        ("https://example.org/news/", "https://example.org/news/posts/1"),
        ("https://example.org/news", "https://example.org/news/posts/1"),
    ],
)
def test_links_in_mails_lead_to_the_public_address(app: Flask, base: str, expected: str) -> None:
    app.config["PUBLIC_URL"] = base
    with app.app_context():
        assert public_url("posts.show", post_id=1) == expected


def test_an_unknown_backend_is_refused(app: Flask) -> None:
    app.config["MAIL_BACKEND"] = "pigeon"
    with pytest.raises(ConfigurationError, match='\'pigeon\': use "file" or "smtp"'):
        backend(app.config)


class Conversation(socketserver.StreamRequestHandler):
    """As much SMTP as it takes to be given a mail."""

    def handle(self) -> None:
        self.say("220 hello")
        for line in self.rfile:
            match line.split()[0].upper():
                case b"DATA":
                    self.say("354 go on")
                    self.server.mails.append(self.until_dot())  # type: ignore[attr-defined]
                    self.say("250 thank you")
                case b"QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 fine")

    def until_dot(self) -> bytes:
        return b"".join(iter(self.rfile.readline, b".\r\n"))

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


@pytest.fixture
def smtp_server() -> Iterator[socketserver.TCPServer]:
    with socketserver.TCPServer(("127.0.0.1", 0), Conversation) as server:
        server.mails = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_with_smtp_a_mail_is_given_to_the_server(app: Flask, make_user, smtp_server: Any, tmp_path: Path, monday) -> None:
    app.config.update(MAIL_BACKEND="smtp", MAIL_SMTP_PORT=smtp_server.server_address[1])
    send(app, make_user("ada"), monday=monday)
    [mail] = smtp_server.mails
    assert b"To: ada@mail.example" in mail
    assert not (tmp_path / "outbox").exists()


def test_a_mail_server_that_is_away_is_an_os_error_which_jobs_retry_on(app: Flask, make_user, monday) -> None:
    with socket.socket() as taken:  # and not listening, so that nobody else answers there
        taken.bind(("127.0.0.1", 0))
        app.config.update(MAIL_BACKEND="smtp", MAIL_SMTP_HOST="127.0.0.1", MAIL_SMTP_PORT=taken.getsockname()[1])
        with pytest.raises(OSError, match="refused"):
            send(app, make_user("ada"), monday=monday)
