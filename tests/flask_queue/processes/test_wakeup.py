"""Mailboxes of one host: who has committed new jobs wakes the workers of that database, and no others."""

from __future__ import annotations

import errno
import os
import select
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from flask_queue import FlaskQueue
from flask_queue.database import Database
from flask_queue.wakeup import Announcer, Listener, _folder

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of all mailboxes of this test. The path of a socket has to be short."""
    with tempfile.TemporaryDirectory(prefix="fq", dir="/tmp") as folder:
        monkeypatch.setattr("tempfile.tempdir", folder)
        yield Path(folder)


def has_mail(listener: Listener) -> bool:
    ready, _, _ = select.select(listener.descriptors(), [], [], 0.2)
    return bool(ready)


@pytest.fixture
def database(mail: Path, app: Flask, queue: FlaskQueue) -> Database:
    return queue.database


def test_where_no_mailbox_can_be_made_the_worker_polls(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    listener = Listener(database)
    listener.open()
    assert listener.descriptors() == []
    Announcer(database).announce()
    listener.close()


@pytest.mark.behaviour("C14")
def test_an_announcement_reaches_every_listener_once(database: Database) -> None:
    listeners = [Listener(database), Listener(database)]
    for listener in listeners:
        listener.open()
        assert not has_mail(listener)
    announcer = Announcer(database)
    for _ in range(3):
        announcer.announce()
    for listener in listeners:
        assert has_mail(listener)
        listener.drain()
        assert not has_mail(listener)
        listener.close()
    announcer.announce()


def test_the_last_listener_removes_the_folder(database: Database, mail: Path) -> None:
    first, last = Listener(database), Listener(database)
    first.open()
    last.open()
    first.close()
    assert len(list(mail.glob("*/*"))) == 1
    last.close()
    assert list(mail.iterdir()) == []


@pytest.mark.behaviour("C14")
def test_one_that_begins_to_listen_while_another_removes_the_folder_makes_it_again(
    database: Database, mail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []

    def remove_once(folder: str) -> None:
        if not removed:
            os.rmdir(folder)
            removed.append(folder)

    monkeypatch.setattr("flask_queue.wakeup._check", remove_once)
    listener = Listener(database)
    listener.open()
    Announcer(database).announce()
    assert has_mail(listener)
    listener.close()


def test_an_announcement_to_nobody_is_no_error(database: Database) -> None:
    Announcer(database).announce()


@pytest.mark.behaviour("C14")
def test_an_announcement_is_no_error_where_too_many_files_are_open(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it tells of has been committed: whoever got an error would do it again."""

    def refuse() -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    listener, announcer = Listener(database), Announcer(database)
    listener.open()
    with monkeypatch.context() as patch:
        patch.setattr("flask_queue.wakeup._datagram_socket", refuse)
        announcer.announce()
        assert not has_mail(listener)
    announcer._listed_at = float("-inf")
    announcer.announce()
    assert has_mail(listener)
    listener.close()


def test_a_full_mailbox_holds_nobody_up(database: Database) -> None:
    listener, announcer = Listener(database), Announcer(database)
    listener.open()
    for _ in range(2000):
        announcer.announce()
    assert has_mail(listener)
    listener.drain()
    assert not has_mail(listener)
    announcer.announce()
    assert has_mail(listener)
    listener.close()


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM])
def test_a_mailbox_that_takes_nothing_now_is_not_taken_for_a_dead_ones(
    database: Database, mail: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A full mailbox is ENOBUFS on macOS and BSD."""

    class Refusing(socket.socket):
        def sendto(self, *_: object) -> int:  # type: ignore[override]
            raise OSError(number, os.strerror(number))

    listener, announcer = Listener(database), Announcer(database)
    listener.open()
    with monkeypatch.context() as patch:
        patch.setattr("flask_queue.wakeup._datagram_socket", lambda: Refusing(socket.AF_UNIX, socket.SOCK_DGRAM))
        announcer.announce()
    assert announcer._socket is not None
    announcer._socket.close()
    Announcer(database).announce()
    assert has_mail(listener)
    listener.close()


def test_the_socket_of_an_announcer_that_is_dropped_is_closed(database: Database, mail: Path) -> None:
    announcer = Announcer(database)
    announcer.announce()
    opened = announcer._socket
    assert opened is not None
    assert opened.fileno() != -1
    del announcer
    assert opened.fileno() == -1


def test_the_mailbox_of_a_dead_process_is_removed(database: Database, mail: Path) -> None:
    dead, alive = Listener(database), Listener(database)
    dead.open()
    alive.open()
    assert dead._socket is not None
    dead._socket.close()  # as the kernel does; the file stays
    [folder] = mail.iterdir()
    assert len(list(folder.iterdir())) == 2
    Announcer(database).announce()
    assert len(list(folder.iterdir())) == 1
    assert has_mail(alive)
    alive.close()
    assert not list(mail.iterdir())


def test_a_folder_of_somebody_else_is_not_used(database: Database, mail: Path, tmp_path: Path) -> None:
    """Anybody can make a folder, or a link, in the place for temporary files."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Path(_folder(database)).symlink_to(elsewhere)
    listener = Listener(database)
    listener.open()
    assert listener.descriptors() == []
    assert not list(elsewhere.iterdir())
    listener.close()


@pytest.mark.behaviour("C14")
def test_an_announcement_looks_into_no_folder_of_somebody_else(database: Database, mail: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(elsewhere / "dead"))
    folder = Path(_folder(database))
    folder.symlink_to(elsewhere)
    Announcer(database).announce()
    assert sorted(path.name for path in elsewhere.iterdir()) == ["dead", "precious"]

    folder.unlink()
    elsewhere.rename(folder)
    folder.chmod(0o777)
    Announcer(database).announce()
    assert sorted(path.name for path in folder.iterdir()) == ["dead", "precious"]


@pytest.mark.behaviour("C14")
def test_an_announcement_removes_nothing_but_mailboxes(database: Database, mail: Path) -> None:
    folder = Path(_folder(database))
    folder.mkdir(mode=0o700)
    (folder / "note").touch()
    (folder / "link").symlink_to(folder / "note")
    Announcer(database).announce()
    assert sorted(path.name for path in folder.iterdir()) == ["link", "note"]


def test_only_the_user_can_look_into_the_folder(database: Database, mail: Path) -> None:
    listener = Listener(database)
    listener.open()
    [folder] = mail.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert str(os.getuid()) in folder.name
    listener.close()


def test_another_database_has_another_folder(database: Database, mail: Path, tmp_path: Path) -> None:
    from sqlalchemy import create_engine

    other = Database(create_engine(f"sqlite:///{tmp_path / 'other.sqlite3'}"))
    listener = Listener(other)
    listener.open()
    Announcer(database).announce()
    assert not has_mail(listener)
    Announcer(other).announce()
    assert has_mail(listener)
    listener.close()
    assert other.identity != database.identity
