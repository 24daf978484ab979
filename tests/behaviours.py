"""Which test shows which behaviour: `python -m tests.behaviours` writes docs/behaviours.md from the marks of the tests.

Apart from the tests, so that the page can be written without running them.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "behaviours.md"
MARK = "pytest.mark.behaviour"

INTRODUCTION = """# Behaviours and their tests

What Flask-Queue promises, and the tests that would notice if it broke a promise. P0: work lost, doubled or corrupted, or an act
by someone who may not; P1: wrong in a way users will meet; P2: polish. Every test that involves a database runs on SQLite,
PostgreSQL and MariaDB.

This page is written by `make behaviours`, from tests/behaviours.txt and the marks of the tests.
"""


@dataclass(frozen=True)
class Behaviour:
    """One promise."""

    number: str
    priority: str
    sentence: str
    section: str


def behaviours() -> list[Behaviour]:
    """All promises, in the order of the list."""
    found, section = [], ""
    for line in (TESTS / "behaviours.txt").read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        elif match := re.fullmatch(r"([A-Z]\d+) (P[012]) (.+)", line):
            found.append(Behaviour(*match.groups(), section))
    return found


def reasons() -> dict[str, str]:
    """Why a behaviour has no test."""
    lines = (TESTS / "behaviours_without_tests.txt").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def marks() -> dict[str, list[str]]:
    """The tests that name each number, as `path::name`, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for number, name in marks_in(ast.parse(path.read_text())):
            test = f"{path.relative_to(TESTS.parent)}::{name}".removesuffix("::")
            if test not in found[number]:
                found[number].append(test)
    return found


def marks_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Pairs of a number and what it marks: a function, `Class::method`, a class, or "" for a whole module."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and "pytestmark" in ast.unparse(node).split("=")[0]:
            yield from ((number, "") for number in _numbers_in(node))
        yield from _marks_of(node, "")


def _marks_of(node: ast.stmt, prefix: str) -> Iterator[tuple[str, str]]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    name = prefix + node.name
    for decorator in node.decorator_list:
        yield from ((number, name) for number in _numbers_in(decorator))
    if isinstance(node, ast.ClassDef):
        for child in node.body:
            yield from _marks_of(child, f"{name}::")


def _numbers_in(node: ast.AST) -> list[str]:
    """The arguments of every behaviour mark in here, those of parametrised cases too."""
    calls = [call for call in ast.walk(node) if isinstance(call, ast.Call) and ast.unparse(call.func) == MARK]
    return [str(argument.value) for call in calls for argument in call.args if isinstance(argument, ast.Constant)]


def page() -> str:
    """docs/behaviours.md."""
    tests, why = marks(), reasons()
    lines = [INTRODUCTION]
    section = ""
    for behaviour in behaviours():
        if behaviour.section != section:
            section = behaviour.section
            lines += [f"\n## {section}\n", "| | | Behaviour | Tests |", "| --- | --- | --- | --- |"]
        shown = "<br>".join(f"`{test.removeprefix('tests/')}`" for test in tests.get(behaviour.number, []))
        cell = shown or f"none: {why.get(behaviour.number, '**missing**')}"
        lines.append(f"| {behaviour.number} | {behaviour.priority} | {behaviour.sentence} | {cell} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    missing = [b.number for b in behaviours() if b.number not in marks() and b.number not in reasons()]
    sys.stdout.write(f"{PAGE.name} is written. Without a test: {', '.join(missing) or 'none'}.\n")
