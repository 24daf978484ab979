"""The file Litestream reads, and the environment it runs in: generated from the settings, or the user's own YAML.

Apart from the settings because this is Litestream's language. The generated file is JSON, which is YAML too; it holds
no secret, only ``${VARIABLES}`` whose values are in the child's environment.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import yaml

from .config import Settings
from .databases import Database
from .errors import ConfigurationError
from .files import write_private
from .replicas import KNOWN_KEYS, SECRET_KEYS, Replica, describe, misspelt, variable_part
from .values import PREFIX

#: Variables Litestream must not see: the first breaks every S3 command of 0.5 (SSL_CERT_FILE works), the second
#: overrides the configured log level.
DROPPED = ("AWS_CA_BUNDLE", "LOG_LEVEL")

_TOP = "addr levels snapshot validation l0-retention l0-retention-check-interval dbs exec logging socket mcp-addr"
_TOP += " shutdown-sync-timeout shutdown-sync-interval verify-compaction heartbeat-url heartbeat-interval"
TOP_KEYS = KNOWN_KEYS | frozenset(_TOP.split())
_DATABASE = "path dir pattern recursive watch meta-path meta-dir monitor-interval checkpoint-interval busy-timeout"
_DATABASE += " min-checkpoint-page-count truncate-page-n restore-if-db-not-exists replica replicas"
_DATABASE += " max-sync-ltx-files max-sync-wal-bytes"
DATABASE_KEYS = frozenset(_DATABASE.split())


@dataclass(frozen=True)
class Configuration:
    """What Litestream is run with.

    :param path: the file given to ``-config``.
    :param text: what stands in it.
    :param generated: whether it is ours to write.
    :param databases: what it replicates, as far as it names files.
    :param socket: the control socket, or None where the user's file has none.
    :param added: the variables that Litestream's environment has besides our own.
    """

    path: Path
    text: str
    generated: bool
    databases: tuple[Database, ...]
    socket: Path | None
    added: Mapping[str, str]

    def write(self) -> None:
        """Write the generated file, unless it already says the same."""
        if self.generated and not (self.path.exists() and self.path.read_text(encoding="utf-8") == self.text):
            write_private(self.path, self.text)

    def environment(self) -> dict[str, str]:
        """Return the environment for a litestream process."""
        kept = {name: value for name, value in os.environ.items() if name not in DROPPED}
        return {**kept, **self.added}


def configure(settings: Settings) -> Configuration:
    """Return the configuration of an application.

    :raises ConfigurationError: if something is missing, or the user's file has a mistake that Litestream would not
        notice.
    """
    if settings.missing:
        raise ConfigurationError(settings.missing)
    return _own(settings, settings.places.config_path) if settings.places.config_path else _generated(settings)


def _generated(settings: Settings) -> Configuration:
    secrets = {
        name: value for database in settings.databases if database.replica for name, value in database.replica.secrets.items()
    }
    return Configuration(
        path=settings.places.directory / "litestream.json",
        text=_as_yaml(_document(settings)),
        generated=True,
        databases=settings.databases,
        socket=settings.places.socket,
        added={**_variables(settings), **secrets},
    )


#: What YAML would refuse or take for a line break where it stands as itself.
_NOT_AS_ITSELF = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def _as_yaml(document: Mapping[str, object]) -> str:
    """JSON that is YAML too: there a character beyond 16 bits, like an emoji, cannot be written as two halves."""
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return _NOT_AS_ITSELF.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _document(settings: Settings) -> dict[str, object]:
    streaming = settings.streaming
    document: dict[str, object] = {
        "logging": {"level": streaming.log_level, "type": "json", "stderr": True},
        "socket": {"enabled": True, "path": str(settings.places.socket), "permissions": 0o600},
        "snapshot": {"interval": streaming.snapshot_interval, "retention": streaming.snapshot_retention},
        # Less than the time until SIGKILL, so that a last sync which cannot succeed still ends by itself.
        "shutdown-sync-timeout": f"{max(1, round(settings.timeouts.stop * 500))}ms",
        "dbs": [_entry(database, streaming.sync_interval) for database in settings.databases],
    }
    if streaming.metrics_address:
        document["addr"] = streaming.metrics_address
    return document


def _entry(database: Database, sync_interval: str) -> dict[str, object]:
    replica = database.replica.settings if database.replica else {}
    return {"path": str(database.path), "replica": {"sync-interval": sync_interval, **replica}}


def _variables(settings: Settings) -> dict[str, str]:
    """What a user's own file may refer to, and the credentials that Litestream looks for by itself."""
    paths = {f"{PREFIX}DATABASE_{variable_part(one.name)}": str(one.path) for one in settings.databases}
    variables = {f"{PREFIX}SOCKET": str(settings.places.socket), **paths, **settings.credentials}
    if settings.shared_replica:
        variables[f"{PREFIX}REPLICA"] = settings.shared_replica
    return variables


# --- the user's own file ---


def _own(settings: Settings, path: Path) -> Configuration:
    added = _variables(settings)
    text = path.read_text(encoding="utf-8")
    document = _parse(path, expand(text, {**os.environ, **added}))
    databases = tuple(_own_databases(document, settings))
    problems = [*_mistakes(document, databases), *_open_secrets(path, _parse(path, VARIABLE.sub("$VARIABLE", text)))]
    if problems:
        raise ConfigurationError(f"{path}: {problem}" for problem in problems)
    return Configuration(path, text, False, databases, _own_socket(document), added)


VARIABLE = re.compile(r"\$(?:\{([^}]*)\}|(\w+))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$NAME`` and ``${NAME}`` the way Litestream does: an unset variable becomes nothing."""
    return VARIABLE.sub(lambda match: variables.get(match[1] or match[2] or "", ""), text)


def _parse(path: Path, text: str) -> dict[str, object]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # Not in its own words: it quotes the line, with the values of variables.
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise ConfigurationError([f"{path} is no YAML{where}: {problem}."]) from None
    if not isinstance(document, dict):
        raise ConfigurationError([f"{path} must be a mapping with the key dbs."])
    return document


def _entries(document: Mapping[str, object]) -> list[dict[str, object]]:
    entries = document.get("dbs")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _own_databases(document: Mapping[str, object], settings: Settings) -> Iterator[Database]:
    names = {database.path: database.name for database in settings.databases}
    for entry in _entries(document):
        if entry.get("path"):
            path = Path(os.path.normpath(Path(str(entry["path"])).expanduser()))  # without its .., as Litestream says it
            kind, target = describe(_replica_of(entry))
            name = names.setdefault(path, _free_name(path.stem, names.values()))
            yield Database(name, path, Replica(kind, target, {}, {}))


def _free_name(stem: str, taken: Collection[str]) -> str:
    """A name for a file; two files called alike, in different folders, are told apart by a number."""
    candidates = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
    return next(name for name in candidates if name not in taken)


def _replica_of(entry: Mapping[str, object]) -> dict[str, object]:
    replicas = entry.get("replicas")
    replica = entry.get("replica") or (replicas[0] if isinstance(replicas, list) and replicas else None)
    return replica if isinstance(replica, dict) else {}


def _own_socket(document: Mapping[str, object]) -> Path | None:
    socket = document.get("socket")
    if isinstance(socket, dict) and socket.get("enabled"):
        return Path(str(socket.get("path") or "/var/run/litestream.sock"))
    return None


def _mistakes(document: Mapping[str, object], databases: tuple[Database, ...]) -> Iterator[str]:
    """The mistakes that Litestream passes over in silence."""
    if not _entries(document):
        yield "it lists no databases under dbs, and Litestream would run on without a word."
    yield from _misspelt(document, TOP_KEYS)
    for entry in _entries(document):
        yield from _misspelt(entry, DATABASE_KEYS)
        yield from _misspelt(_replica_of(entry), KNOWN_KEYS)
    targets: dict[str, str] = {}
    for database in databases:
        if not database.path.is_absolute():
            yield f"the path {database.path} must be absolute: ${{{PREFIX}DATABASE_{variable_part(database.name)}}} is."
        target = database.replica.target if database.replica else ""
        if target in targets:
            yield f"{targets[target]} and {database.name} have the same replica, {target}: give each its own."
        targets[target] = database.name


def _misspelt(mapping: Mapping[str, object], known: frozenset[str]) -> Iterator[str]:
    """Only what resembles a known key: a newer Litestream may know others."""
    for key, resembling in misspelt(mapping, known):
        if resembling:
            yield f"the key {key} is unknown to Litestream, which would ignore it. Did you mean {resembling}?"


def _open_secrets(path: Path, document: Mapping[str, object]) -> Iterator[str]:
    if path.stat().st_mode & 0o077 == 0:
        return
    for mapping in (document, *map(_replica_of, _entries(document))):
        for key in sorted(SECRET_KEYS & mapping.keys()):
            if mapping[key] and not str(mapping[key]).startswith("$"):
                yield f"it holds the secret {key} and others can read it. Write a ${{VARIABLE}} instead, or chmod 600."
