"""The rules of the house that a program can check: who may import whom, what stands where, and how long things get.

`make lint` runs the import contracts of pyproject.toml; here they run as a test too, beside rules that are not about imports.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = [ROOT / "extensions" / "flask_queue", ROOT / "extensions" / "flask_litestream", ROOT / "app"]
QUEUE = PACKAGES[0]

# Templates for somebody else's project, whose shape Alembic dictates.
NOT_OURS = {"install", "migrations_queue", "versions"}


def modules_of(*roots: Path) -> list[Path]:
    return [path for root in roots for path in sorted(root.rglob("*.py")) if not NOT_OURS & set(path.parts)]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), name_of(path))


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its decorators and its docstring."""
    has_docstring = ast.get_docstring(function) is not None
    first = function.body[0]
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


EVERY_MODULE = modules_of(*PACKAGES)
OF_THE_QUEUE = modules_of(QUEUE)


def test_imports_point_down() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_module_opens_with_what_it_is_for() -> None:
    assert not [name_of(path) for path in EVERY_MODULE if not ast.get_docstring(tree_of(path))]


def test_every_module_is_about_one_thing() -> None:
    assert not [name_of(path) for path in EVERY_MODULE if path.stem in {"utils", "util", "helpers", "common", "misc"}]
    assert not [name_of(path) for path in EVERY_MODULE if len(path.read_text().splitlines()) > 300], "split them"


def is_ours(node: ast.AST) -> TypeGuard[ast.ImportFrom]:
    """Whether this imports names from the project itself."""
    ours = ("app", "flask_queue", "flask_litestream")
    return isinstance(node, ast.ImportFrom) and (node.level > 0 or (node.module or "").split(".")[0] in ours)


def test_private_names_stay_in_their_modules() -> None:
    private = [
        f"{name_of(path)}: {alias.name}"
        for path in EVERY_MODULE
        for node in ast.walk(tree_of(path))
        if is_ours(node)
        for alias in node.names
        if alias.name.startswith("_")
    ]
    assert not private


def test_imports_stand_at_the_top() -> None:
    """Inside a function an import hides a cycle; only a package that may be missing is imported there."""
    late = [
        f"{name_of(path)}:{node.lineno}"
        for path in EVERY_MODULE
        for function in functions_of(tree_of(path))
        for node in ast.walk(function)
        if is_ours(node)
    ]
    assert not late


@pytest.mark.parametrize("package", PACKAGES, ids=name_of)
def test_functions_are_short(package: Path) -> None:
    lengths = sorted(length_of(function) for path in modules_of(package) for function in functions_of(tree_of(path)))
    assert statistics.median(lengths) <= 8
    assert lengths[int(len(lengths) * 0.9)] <= 20


def test_only_operations_change_a_jobs_state() -> None:
    changes = [
        f"{name_of(path)}:{node.lineno}"
        for path in OF_THE_QUEUE
        if "operations" not in path.parts
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and is_change_of_jobs(node)
    ]
    assert not changes


def is_change_of_jobs(node: ast.Call) -> bool:
    """`update(jobs)`, `jobs.insert()` and their kin."""
    verbs = {"update", "insert", "delete"}
    if isinstance(node.func, ast.Attribute):
        return node.func.attr in verbs and ast.unparse(node.func.value) in ("jobs", "models.jobs")
    return isinstance(node.func, ast.Name) and node.func.id in verbs and bool(node.args) and ast.unparse(node.args[0]) == "jobs"


FORBIDDEN_IN_OPERATIONS = {"commit", "rollback", "sleep", "begin", "getLogger"}


def test_operations_neither_commit_nor_sleep_nor_log() -> None:
    forbidden = [
        f"{name_of(path)}:{node.lineno}"
        for path in OF_THE_QUEUE
        if "operations" in path.parts
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and called(node) in FORBIDDEN_IN_OPERATIONS
    ]
    assert not forbidden


def called(node: ast.Call) -> str:
    """The last part of the name of what is called."""
    return ast.unparse(node.func).rpartition(".")[2]


DIALECTS = {"sqlite", "postgresql", "mysql", "mariadb"}


def test_what_differs_between_databases_stands_in_one_package() -> None:
    """No other module compares a dialect's name. (A column type is one for each database, and is told its dialect.)"""
    compared = [
        f"{name_of(path)}:{node.lineno}"
        for path in OF_THE_QUEUE
        if "database" not in path.parts and path.name != "columns.py"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Compare) and DIALECTS & {word for word in constants_of(node) if isinstance(word, str)}
    ]
    assert not compared


def constants_of(node: ast.AST) -> set[object]:
    return {child.value for child in ast.walk(node) if isinstance(child, ast.Constant)}
