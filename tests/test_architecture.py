"""The rules of the house that a program can check: who may import whom, what stands where, and how long things get.

`make lint` runs the import contracts of pyproject.toml; here they run as a test too, beside rules that are not about imports.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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


def ids(path: Path) -> str:
    return name_of(path).removeprefix("extensions/")


def test_imports_point_down() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", EVERY_MODULE, ids=ids)
def test_a_module_opens_with_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree_of(path)), "no docstring"


@pytest.mark.parametrize("path", EVERY_MODULE, ids=ids)
def test_a_module_is_about_one_thing(path: Path) -> None:
    assert path.stem not in {"utils", "util", "helpers", "common", "misc"}
    assert len(path.read_text().splitlines()) <= 300, "more than 300 lines: split it"


@pytest.mark.parametrize("path", EVERY_MODULE, ids=ids)
def test_private_names_stay_in_their_module(path: Path) -> None:
    imports = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom)]
    ours = [
        node
        for node in imports
        if node.level or (node.module or "").split(".")[0] in ("app", "flask_queue", "flask_litestream")
    ]
    private = [alias.name for node in ours for alias in node.names if alias.name.startswith("_")]
    assert not private


@pytest.mark.parametrize("path", EVERY_MODULE, ids=ids)
def test_imports_stand_at_the_top(path: Path) -> None:
    """Inside a function an import hides a cycle; only a package that may be missing is imported there."""
    late = [
        node.lineno
        for function in functions_of(tree_of(path))
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom)
        and (node.level or (node.module or "").startswith(("app", "flask_queue", "flask_litestream")))
    ]
    assert not late, f"imports inside functions, in lines {late}"


@pytest.mark.parametrize("package", PACKAGES, ids=ids)
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
        if is_change_of_jobs(node)
    ]
    assert not changes


def is_change_of_jobs(node: ast.AST) -> bool:
    """`update(jobs)`, `jobs.insert()` and their kin."""
    if not isinstance(node, ast.Call):
        return False
    verbs = {"update", "insert", "delete"}
    if isinstance(node.func, ast.Attribute):
        return node.func.attr in verbs and ast.unparse(node.func.value) in ("jobs", "models.jobs")
    return isinstance(node.func, ast.Name) and node.func.id in verbs and bool(node.args) and ast.unparse(node.args[0]) == "jobs"


FORBIDDEN_IN_OPERATIONS = {"commit", "rollback", "sleep", "begin", "getLogger"}


@pytest.mark.parametrize("path", [path for path in OF_THE_QUEUE if "operations" in path.parts], ids=ids)
def test_an_operation_neither_commits_nor_sleeps_nor_logs(path: Path) -> None:
    calls = [node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    names = {func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in calls}
    assert not names & FORBIDDEN_IN_OPERATIONS


DIALECTS = {"sqlite", "postgresql", "mysql", "mariadb"}


@pytest.mark.parametrize("path", [path for path in OF_THE_QUEUE if "database" not in path.parts], ids=ids)
def test_what_differs_between_databases_stands_in_one_module(path: Path) -> None:
    """No other module compares a dialect's name. (A column type is one for each database, and is told its dialect.)"""
    compared = [
        f"line {node.lineno}"
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Compare) and DIALECTS & {word for word in constants_of(node) if isinstance(word, str)}
    ]
    assert not compared or path.name == "columns.py"


def constants_of(node: ast.AST) -> set[object]:
    return {child.value for child in ast.walk(node) if isinstance(child, ast.Constant)}
