"""Which databases are replicated, and where each goes: LITESTREAM_DATABASES, LITESTREAM_REPLICA and their defaults.

Apart from the other settings because these depend on each other and on the application's own SQLite files.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .replicas import Replica, below, parse_replica, variable_part
from .values import PREFIX, Reader, an_absolute_path


@dataclass(frozen=True)
class Database:
    """A database to replicate: its name in this application, its file, its replica (None until one is set)."""

    name: str
    path: Path
    replica: Replica | None


@dataclass(frozen=True)
class Wish:
    """What LITESTREAM_DATABASES says of one database; what it leaves out comes from the defaults."""

    path: Path | None = None
    replica: object = None


def read_databases(reader: Reader, files: Mapping[str, Path]) -> tuple[Database, ...]:
    """Return the databases of the generated configuration.

    :param files: the application's SQLite files by name; without LITESTREAM_DATABASES all of them are replicated.
    """
    default = dict.fromkeys(_each_file_once(files), Wish())
    wishes = reader.take("DATABASES", default, _wishes)
    shared = reader.take("REPLICA", None, lambda value: value)
    databases = [
        Database(name, path, _read_replica(reader, name, wish, shared))
        for name, wish in wishes.items()
        if (path := _path_of(reader, name, wish, files)) is not None
    ]
    for problem in _clashes(databases):
        reader.note(problem)
    return tuple(databases)


def missing_in(databases: Sequence[Database]) -> list[str]:
    """Say what is still missing before these databases can be replicated."""
    if not databases:
        return [f"There is no SQLite file to replicate, and Litestream knows no other database: unset {PREFIX}ENABLED."]
    without = ", ".join(database.name for database in databases if database.replica is None)
    if without:
        return [
            f"There is no replica for {without}: set {PREFIX}REPLICA, for example to s3://my-bucket/backups or "
            f"/mnt/backup, or give each database its own in {PREFIX}DATABASES."
        ]
    return []


def _each_file_once(files: Mapping[str, Path]) -> list[str]:
    """The names of the files; of two binds that share a file, the first."""
    seen: dict[Path, str] = {}
    for name, path in files.items():
        seen.setdefault(path, name)
    return list(seen.values())


def _wishes(value: object) -> dict[str, Wish]:
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):  # not repeated: it may hold secrets
        raise ValueError("is a text that looks like JSON: parse it first.")
    if isinstance(value, str):
        value = [name.strip() for name in value.split(",")]
    if isinstance(value, Mapping):
        wishes = {str(name): _wish(str(name), wish) for name, wish in value.items()}
    elif isinstance(value, Sequence):
        wishes = {str(name): Wish() for name in value}
    else:
        raise ValueError(f"must be a list of names or a mapping from name to replica, not {value!r}.")
    for name in wishes:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            raise ValueError(f"has the name {name!r}: use letters, digits, dots, dashes and underscores.")
    return wishes


def _wish(name: str, value: object) -> Wish:
    if value is None or isinstance(value, str):
        return Wish(replica=value)
    if not isinstance(value, Mapping):
        raise ValueError(f"must give {name} a replica, or a mapping with path and replica.")
    if extra := sorted(map(str, set(value) - {"path", "replica"})):
        raise ValueError(f"gives {name} the unknown key {extra[0]}: it takes path and replica.")
    try:
        # Without its .., as Litestream says it.
        path = Path(os.path.normpath(an_absolute_path(value["path"]))) if value.get("path") else None
    except ValueError as error:
        raise ValueError(f"gives {name} a path that {error}") from error
    return Wish(path, value.get("replica"))


def _path_of(reader: Reader, name: str, wish: Wish, files: Mapping[str, Path]) -> Path | None:
    path = wish.path or files.get(name)
    if path is None:
        known = ", ".join(files) or "it has none"
        reader.note(f"{PREFIX}DATABASES names {name}, no SQLite file of this application ({known}). Give it a path.")
    return path


def _read_replica(reader: Reader, name: str, wish: Wish, shared: object) -> Replica | None:
    setting = f"{PREFIX}DATABASES: the replica of {name}" if wish.replica else f"{PREFIX}REPLICA"
    try:
        value = wish.replica or (below(shared, name) if shared else None)
        return parse_replica(value, database=name) if value else None
    except ValueError as error:
        reader.note(f"{setting} {error}")
        return None


def _clashes(databases: Sequence[Database]) -> Iterator[str]:
    """What Litestream would accept and then restore wrongly."""
    for one in databases:
        if "$" in str(one.path):
            yield f"The path of {one.name}, {one.path}, has a $, which Litestream takes for a variable: rename it."
    for one, other in itertools.combinations(databases, 2):
        if one.path == other.path:
            yield f"{one.name} and {other.name} are the same file, {one.path}: name it once."
        if variable_part(one.name) == variable_part(other.name):
            yield f"The names {one.name} and {other.name} differ only in case or punctuation: rename one."
        if one.replica and other.replica and one.replica.target == other.replica.target:
            yield (
                f"{one.name} and {other.name} have the same replica, {one.replica.target}, and each would be restored "
                "as the other: give each its own."
            )
