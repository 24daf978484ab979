"""The program: the setting, the variable, this Python's scripts, PATH; and new enough."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from flask_litestream import executable
from flask_litestream.errors import ExecutableNotFound, ExecutableTooOld


@pytest.fixture
def program(tmp_path: Path) -> Path:
    return fake(tmp_path / "bin", "0.5.17")


def fake(folder: Path, version: str) -> Path:
    folder.mkdir()
    path = folder / "litestream"
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o700)
    return path


@pytest.fixture
def no_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: "/nowhere")


def test_the_wheel_beside_this_python_is_found_and_new_enough() -> None:
    found = executable.find()
    assert found == Path(sysconfig.get_path("scripts")) / "litestream"
    assert tuple(map(int, executable.version(found).split("."))) >= (0, 5, 17)


def test_the_setting_comes_first(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESTREAM_BIN", "/nowhere/else")
    assert executable.find(program) == program


def test_then_the_environment(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESTREAM_BIN", str(program))
    assert executable.find() == program


@pytest.mark.usefixtures("no_scripts")
def test_then_the_path(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(program.parent))
    assert executable.find() == program


def test_what_cannot_be_executed_beside_this_python_is_passed_over(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = fake(tmp_path / "scripts", "0.5.17")
    broken.chmod(0o600)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(broken.parent))
    monkeypatch.setenv("PATH", str(program.parent))
    assert executable.find() == program


@pytest.mark.usefixtures("no_scripts")
def test_without_any_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ExecutableNotFound, match=r'pip install "flask-queue\[litestream\]"'):
        executable.find()


@pytest.mark.parametrize("old", ["0.3.13", "v0.5.11"])
def test_one_that_is_too_old_is_refused(tmp_path: Path, old: str) -> None:
    with pytest.raises(ExecutableTooOld, match=f"Litestream {old}.*Use version 0.5.12 or newer"):
        executable.find(fake(tmp_path / "bin", old))


@pytest.mark.parametrize("new", ["0.5.12", "0.6.0", "v1.0.0", "(development build)"])
def test_one_that_is_new_enough_is_taken(tmp_path: Path, new: str) -> None:
    assert executable.find(fake(tmp_path / "bin", new))


def test_a_program_that_says_something_else_is_taken_for_one_without_a_number(tmp_path: Path) -> None:
    path = fake(tmp_path / "bin", "\\0377")
    assert executable.find(path) == path


def test_a_program_that_does_not_run_is_refused(tmp_path: Path) -> None:
    path = fake(tmp_path / "bin", "")
    path.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(ExecutableNotFound, match="no litestream program that runs here"):
        executable.find(path)
