"""What Litestream is given: the generated file, the user's own, and the environment; as Litestream itself reads them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flask_litestream.configfile import expand
from flask_litestream.errors import ConfigurationError

from .stage import Stage, own_file


def test_the_generated_file_says_what_the_settings_say(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(LITESTREAM_METRICS_ADDR="127.0.0.1:9999", LITESTREAM_SYNC_INTERVAL="500ms", LITESTREAM_LOG_LEVEL="warn")
    document: dict[str, Any] = json.loads(stage.backups.configuration.text)
    assert document == {
        "logging": {"level": "warn", "type": "json", "stderr": True},
        "socket": {"enabled": True, "path": f"{stage.folder}/litestream/litestream.sock", "permissions": 0o600},
        "snapshot": {"interval": "24h", "retention": "168h"},
        "shutdown-sync-timeout": "1000ms",
        "dbs": [
            {
                "path": str(stage.path(name)),
                "replica": {"sync-interval": "500ms", "type": "file", "path": f"{stage.folder}/backup/{name}"},
            }
            for name in ("primary", "queue")
        ],
        "addr": "127.0.0.1:9999",
    }


def test_litestream_reads_the_generated_file(stage: Stage) -> None:
    commands = stage.backups.commands
    assert set(commands.status()) == {str(stage.path("primary")), str(stage.path("queue"))}


def test_litestream_reads_paths_with_any_character(make_stage: Callable[..., Stage], folder: Path) -> None:
    path = folder / "é \U0001f600 \x7f\x85\u2028 \\ \"'#: .sqlite3"
    stage = make_stage(LITESTREAM_DATABASES={"primary": {"path": str(path), "replica": str(folder / "b\U0001f600")}})
    assert list(stage.backups.commands.status()) == [str(path)]
    assert [entry["path"] for entry in json.loads(stage.backups.configuration.text)["dbs"]] == [str(path)]


@pytest.mark.parametrize("seconds", [0.0001, 8, 2_000_000])
def test_litestream_reads_every_timeout(make_stage: Callable[..., Stage], seconds: float) -> None:
    assert make_stage(LITESTREAM_STOP_TIMEOUT=seconds).backups.commands.status()


def test_a_databases_own_sync_interval_comes_first(make_stage: Callable[..., Stage], folder: Path) -> None:
    stage = make_stage(LITESTREAM_REPLICA={"type": "file", "path": str(folder / "b"), "sync-interval": "10s"})
    document = json.loads(stage.backups.configuration.text)
    assert [entry["replica"]["sync-interval"] for entry in document["dbs"]] == ["10s", "10s"]


def test_the_file_is_written_once_and_again_when_settings_change(stage: Stage, make_stage: Callable[..., Stage]) -> None:
    configuration = stage.backups.configuration
    configuration.write()
    before = configuration.path.stat().st_mtime_ns
    configuration.write()
    assert configuration.path.stat().st_mtime_ns == before
    make_stage(LITESTREAM_LOG_LEVEL="warn").backups.configuration.write()
    assert '"warn"' in configuration.path.read_text()


def test_no_secret_is_in_any_file_and_all_are_in_the_childs_environment(
    make_stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/etc/ca.pem")
    stage = make_stage(
        LITESTREAM_REPLICA={"type": "sftp", "host": "h", "user": "u", "password": "hush-one"},
        LITESTREAM_SECRET_ACCESS_KEY="hush-two",
    )
    configuration = stage.backups.configuration
    configuration.write()
    written = [path.read_text() for path in stage.backups.directory.iterdir() if path.is_file()]
    assert written
    assert not any("hush" in text for text in written)
    environment = configuration.environment()
    assert environment["LITESTREAM_SECRET_PRIMARY_PASSWORD"] == "hush-one"
    assert environment["LITESTREAM_SECRET_QUEUE_PASSWORD"] == "hush-one"
    assert environment["LITESTREAM_SECRET_ACCESS_KEY"] == "hush-two"
    assert environment["PATH"] == os.environ["PATH"]
    assert "AWS_CA_BUNDLE" not in environment, "it would break every S3 command"


@pytest.mark.parametrize(
    ("text", "expanded"),
    [("a $ONE b", "a 1 b"), ("${ONE}/x", "1/x"), ("$UNSET.", "."), ("${UNSET}x", "x"), ("no variable", "no variable")],
)
def test_variables_are_replaced_as_litestream_does(text: str, expanded: str) -> None:
    assert expand(text, {"ONE": "1"}) == expanded


# --- the user's own file ---


@pytest.fixture
def own(make_stage: Callable[..., Stage], folder: Path) -> Callable[[str], Stage]:
    """An application whose file of its own says this, after `dbs` of both databases unless it has its own."""

    def make(text: str = "", *, mode: int = 0o600) -> Stage:
        path = own_file(folder)
        if text:
            path.write_text(text)
        path.chmod(mode)
        return make_stage(LITESTREAM_CONFIG_PATH=str(path))

    return make


def test_an_own_file_is_used_as_it_is(own: Callable[..., Stage]) -> None:
    stage = own()
    configuration = stage.backups.configuration
    before = configuration.path.read_bytes()
    configuration.write()
    assert configuration.path == stage.folder / "own.yml"
    assert configuration.path.read_bytes() == before
    assert [(one.name, one.path) for one in configuration.databases] == [
        ("primary", stage.path("primary")),
        ("queue", stage.path("queue")),
    ]
    assert configuration.socket == stage.folder / "litestream/litestream.sock"


def test_databases_of_an_own_file_are_called_after_the_binds_or_their_files(own: Callable[..., Stage]) -> None:
    stage = own(
        "dbs: [{path: /x/../archive.db, replica: {path: /mnt/a}}, {path: $LITESTREAM_DATABASE_QUEUE, replica: {path: /b}}]"
    )
    assert [one.name for one in stage.backups.databases] == ["archive", "queue"]
    assert stage.backups.databases[0].path == Path("/archive.db"), "as Litestream says it"
    assert stage.backups.control.path is None


def test_the_example_of_the_repository_is_valid(make_stage: Callable[..., Stage], root: Path) -> None:
    stage = make_stage(LITESTREAM_CONFIG_PATH=str(root / "config" / "litestream.yml"))
    assert [one.name for one in stage.backups.databases] == ["primary", "queue"]
    assert stage.backups.databases[1].replica is not None
    assert stage.backups.databases[1].replica.target == f"{stage.folder}/backup/queue"
    assert set(stage.backups.commands.status()) == {str(stage.path("primary")), str(stage.path("queue"))}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("dbs: [", "is no YAML"),
        ("- a", "must be a mapping with the key dbs"),
        ("dbs: []", "it lists no databases under dbs"),
        ("scoket: {enabled: true}", "the key scoket is unknown to Litestream, which would ignore it. Did you mean socket?"),
        ("dbs: [{path: /a, replica: {path: /b, sync_interval: 1s}}]", "Did you mean sync-interval?"),
        ("dbs: [{path: /a, relpica: {path: /b}}]", "Did you mean replica?"),
        ("dbs: [{path: storage/a.db, replica: {path: /b}}]", "the path storage/a.db must be absolute"),
        ("dbs: [{path: /a, replica: {path: /b}}, {path: /c, replica: {path: /b/}}]", "a and c have the same replica, /b"),
    ],
)
def test_what_litestream_would_pass_over_in_silence_is_refused(own: Callable[..., Stage], text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _ = own(text).backups.configuration
    assert problem in str(caught.value)


def test_a_key_that_resembles_none_may_be_of_a_newer_litestream(own: Callable[..., Stage]) -> None:
    assert own("quantum-mode: true\ndbs: [{path: /a, replica: {path: /b}}]").backups.databases


SECRET = "dbs: [{path: /a, replica: {type: sftp, host: h, user: u, password: %s}}]"


def test_a_secret_in_a_file_that_others_can_read_is_refused(own: Callable[..., Stage]) -> None:
    with pytest.raises(ConfigurationError, match="holds the secret password and others can read it"):
        _ = own(SECRET % "hush", mode=0o644).backups.configuration
    assert own(SECRET % "hush", mode=0o600).backups.databases
    assert own(SECRET % "${PASSWORD}", mode=0o644).backups.databases


def test_litestream_agrees_that_a_wrong_type_is_wrong(own: Callable[..., Stage]) -> None:
    """What Litestream itself refuses is left to Litestream, and its sentence is passed on."""
    stage = own("dbs: [{path: /a, replica: {type: s4, path: /b}}]")
    configuration = stage.backups.configuration
    line = stage.backups.commands.line("replicate", "-once")
    ended = subprocess.run(line, env=configuration.environment(), capture_output=True, text=True, timeout=30)
    assert ended.returncode == 1
    assert "unknown replica type" in ended.stdout + ended.stderr


def test_what_cannot_be_read_is_said_without_the_values_of_variables(
    make_stage: Callable[..., Stage], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PW", 'hunter2"')
    path = own_file(folder, 'access-key-id: "${PW}"')
    line = path.read_text().splitlines().index('access-key-id: "${PW}"') + 1
    with pytest.raises(ConfigurationError, match=f"is no YAML in line {line}, column") as raised:
        _ = make_stage(LITESTREAM_CONFIG_PATH=str(path)).backups.configuration
    assert "hunter2" not in str(raised.value)


def test_files_called_alike_are_told_apart(make_stage: Callable[..., Stage], folder: Path) -> None:
    entries = [{"path": f"{folder}/{place}/app.sqlite3", "replica": {"path": f"/backup/{place}"}} for place in "ab"]
    path = folder / "own.json"
    path.write_text(json.dumps({"dbs": entries}))
    databases = make_stage(LITESTREAM_CONFIG_PATH=str(path)).backups.databases
    assert [(one.name, one.path.parent.name) for one in databases] == [("app", "a"), ("app-2", "b")]
