"""Who knows whom inside the extension: Flask above, one file for the queue, and the documentation is complete."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import flask_litestream
from flask_litestream.config import load_settings
from flask_litestream.values import Reader
from flask_litestream.verification import REASONS

PACKAGE = Path(flask_litestream.__file__).parent


def imports() -> Iterator[tuple[str, str]]:
    """Each module with the packages it imports."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            yield from ((str(path.relative_to(PACKAGE)), name.split(".")[0]) for name in names)


def test_one_file_knows_of_the_queue() -> None:
    assert {module for module, package in imports() if package == "flask_queue"} == {"jobs.py"}


def test_flask_is_known_above_only() -> None:
    web = {"flask", "werkzeug", "click", "flask_sqlalchemy", "flask_login", "flask_wtf"}
    knowing = {module.split("/")[0] for module, package in imports() if package in web}
    assert knowing == {"extension.py", "jobs.py", "cli", "dashboard"}


def test_only_the_command_line_knows_click_besides_the_wiring() -> None:
    assert {module.split("/")[0] for module, package in imports() if package == "click"} == {"cli", "extension.py"}


# --- the documentation ---


def test_every_setting_is_documented_and_no_other(root: Path, monkeypatch: object) -> None:
    asked: set[str] = set()
    take = Reader.take

    def noting(reader: Reader, name: str, *rest: object) -> object:
        asked.add(f"LITESTREAM_{name}")
        return take(reader, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Reader, "take", noting)  # type: ignore[attr-defined]
    load_settings({}, {}, root)
    section = section_of(root, "Settings")
    documented = set(re.findall(r"^\| `(LITESTREAM_\w+)`", section, re.MULTILINE)) | {"LITESTREAM_SECRET_ACCESS_KEY"}
    assert documented == asked


def test_every_command_is_documented_and_no_other(root: Path) -> None:
    documented = set(re.findall(r"^\| `([a-z]+)", section_of(root, "Commands"), re.MULTILINE))
    assert documented == set(flask_litestream.extension.litestream_cli.commands)


def test_every_reason_is_documented(root: Path) -> None:
    section = section_of(root, "Verification")
    assert [reason for reason in REASONS if f"`{reason}`" not in section] == []


def section_of(root: Path, title: str) -> str:
    text = (root / "docs" / "litestream.md").read_text()
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]
