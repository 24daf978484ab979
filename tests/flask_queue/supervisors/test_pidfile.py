"""One supervisor for a pidfile, whatever is written in it."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from flask_queue.errors import AlreadyRunning, ConfigurationError
from flask_queue.supervisors.pidfile import Pidfile

pytestmark = pytest.mark.behaviour("J11")


def test_it_names_its_owner_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "queue.pid"
    with Pidfile(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


def test_without_a_path_there_is_no_file() -> None:
    with Pidfile(None), Pidfile(None):
        pass


def test_a_live_owner_keeps_others_out(tmp_path: Path) -> None:
    path = tmp_path / "queue.pid"
    with Pidfile(path):
        with pytest.raises(AlreadyRunning, match=f"already running. Check {path}"):
            Pidfile(path).__enter__()
        assert path.read_text() == f"{os.getpid()}\n", "its owner's number is still there"
    with Pidfile(path):
        pass


@pytest.mark.parametrize("content", ["", "garbage", "999999999", str(os.getppid()), "1\n", "\x00\xff"])
def test_a_file_without_a_live_owner_is_taken_over(tmp_path: Path, content: str) -> None:
    """Even if another program has got the number that stands in it."""
    path = tmp_path / "queue.pid"
    path.write_text(content)
    with Pidfile(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_an_owner_that_was_killed_keeps_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "queue.pid"
    program = (
        "import sys, time; from pathlib import Path; from flask_queue.supervisors.pidfile import Pidfile\n"
        "with Pidfile(Path(sys.argv[1])): print('there', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "there\n"
        assert path.read_text() == f"{owner.pid}\n"
        with pytest.raises(AlreadyRunning):
            Pidfile(path).__enter__()
        owner.kill()
    assert path.exists()
    with Pidfile(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_file_that_must_not_be_written_is_taken_for_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's supervisor lives there. (Root may write everywhere, so that the refusal is made up.)"""

    (tmp_path / "queue.pid").touch()
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(AlreadyRunning):
        Pidfile(tmp_path / "queue.pid").__enter__()


def refuse(*args: object) -> int:
    raise PermissionError(errno.EACCES, "Permission denied")


def test_a_folder_that_must_not_be_written_is_no_supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ConfigurationError, match=r"queue\.pid', which cannot be written: Permission denied\."):
        Pidfile(tmp_path / "queue.pid").__enter__()


@pytest.mark.parametrize(
    ("path", "reason"), [("folder", "Is a directory"), ("file/queue.pid", "File exists"), ("file/in/it", "Not a directory")]
)
def test_a_place_where_no_file_can_be_is_said(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=f"QUEUE_PIDFILE is '{tmp_path / path}', which cannot be written: {reason}"):
        Pidfile(tmp_path / path).__enter__()


def test_a_device_is_no_place_for_it() -> None:
    with pytest.raises(ConfigurationError, match="QUEUE_PIDFILE is '/dev/null', which cannot be written: Not a regular file"):
        Pidfile(Path(os.devnull)).__enter__()


def test_a_disk_without_room_for_it_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "queue.pid"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # there is room for empty files only
    try:
        with pytest.raises(ConfigurationError, match=rf"QUEUE_PIDFILE is '{path}', which cannot be written: File too large\."):
            Pidfile(path).__enter__()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not path.exists()
    with Pidfile(path):
        pass


def test_a_place_without_locks_is_no_supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(ConfigurationError, match=r"queue\.pid', which cannot be locked: No locks available\."):
        Pidfile(tmp_path / "queue.pid").__enter__()


def test_only_its_creator_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "queue.pid"
    first = Pidfile(path)
    first.__enter__()
    path.unlink()  # by hand, for whatever reason
    with Pidfile(path):
        first.__exit__()
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


def test_a_forked_child_gives_it_up_without_removing_it(tmp_path: Path) -> None:
    path = tmp_path / "queue.pid"
    parent = Pidfile(path)
    parent.__enter__()
    parent.forget()
    parent.__exit__()
    assert path.exists()
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
