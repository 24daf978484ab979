"""Each setting is valid, or refused with one clear sentence; all problems are said at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flask_litestream.config import Settings, load_settings
from flask_litestream.errors import ConfigurationError

INSTANCE = Path("/srv/app/instance")
FILES = {"primary": INSTANCE / "primary.sqlite3", "queue": INSTANCE / "queue.sqlite3"}


def load(files: dict[str, Path] | None = None, **settings: Any) -> Settings:
    return load_settings({f"LITESTREAM_{key}": value for key, value in settings.items()}, files or FILES, INSTANCE)


def problems(**settings: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(**settings)
    return list(caught.value.problems)


def test_one_setting_is_enough_to_get_going() -> None:
    settings = load(ENABLED=True, REPLICA="s3://bucket/backups")
    assert [(one.name, one.path, one.replica and one.replica.target) for one in settings.databases] == [
        ("primary", INSTANCE / "primary.sqlite3", "s3://bucket/backups/primary"),
        ("queue", INSTANCE / "queue.sqlite3", "s3://bucket/backups/queue"),
    ]
    assert settings.missing == ()


def test_the_defaults() -> None:
    settings = load()
    assert settings.enabled is False
    assert settings.places.directory == INSTANCE / "litestream"
    assert settings.places.socket == INSTANCE / "litestream/litestream.sock"
    assert settings.streaming.metrics_address is None, "its port would show a profiler too"
    assert settings.streaming.snapshot_retention == "168h", "Litestream's own default forgets after a day"
    assert settings.timeouts.stop == 8
    assert settings.on_exit == "restart"
    assert settings.page.url_prefix == "/litestream"


def test_an_application_without_backups_starts_and_knows_what_is_missing() -> None:
    assert load().missing == (
        "There is no replica for primary, queue: set LITESTREAM_REPLICA, for example to s3://my-bucket/backups or "
        "/mnt/backup, or give each database its own in LITESTREAM_DATABASES.",
    )


def test_what_is_missing_is_refused_where_it_is_enabled() -> None:
    assert "There is no replica for primary, queue" in problems(ENABLED=True)[0]


def test_an_application_without_sqlite_files_is_told() -> None:
    with pytest.raises(ConfigurationError, match="no SQLite file to replicate"):
        load_settings({"LITESTREAM_ENABLED": True, "LITESTREAM_REPLICA": "/mnt/b"}, {}, INSTANCE)


def test_all_problems_are_said_at_once() -> None:
    found = problems(ENABLED="perhaps", SYNC_INTERVAL=5, STOP_TIMEOUT=0, ON_EXIT="explode", REPLIKA="/mnt/backup")
    assert found == [
        "LITESTREAM_ENABLED must be true or false, not 'perhaps'.",
        "LITESTREAM_SYNC_INTERVAL must be a duration with a unit, like 1s, 5m or 24h, not 5.",
        "LITESTREAM_STOP_TIMEOUT must be a number of seconds greater than 0, not 0.",
        'LITESTREAM_ON_EXIT must be "restart" or "stop", not \'explode\'.',
        "LITESTREAM_REPLIKA is no setting. Did you mean LITESTREAM_REPLICA?",
    ]


@pytest.mark.parametrize("key", ["DATABASE_PRIMARY", "SECRET_QUEUE_PASSWORD", "AZURE_SAS_TOKEN", "S3_ENDPOINT", "CONFIG"])
def test_variables_of_litestream_itself_are_no_misspelt_settings(key: str) -> None:
    """An application that reads its environment meets them after `eval "$(flask litestream env --reveal)"`."""
    assert load(REPLICA="/mnt/backup", **{key: "x"}).missing == ()


def test_the_message_lists_the_problems() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(ENABLED="perhaps", ON_EXIT="explode")
    assert str(caught.value).splitlines()[0] == "Litestream cannot be used like this:"
    assert str(caught.value).count("\n  - ") == 2


def test_values_come_as_text_from_an_environment_too() -> None:
    settings = load(ENABLED="1", STOP_TIMEOUT="2.5", REPLICA="/mnt/backup", METRICS_ADDR="", DATABASES="primary")
    assert settings.enabled is True
    assert settings.timeouts.stop == 2.5
    assert settings.streaming.metrics_address is None
    assert [one.name for one in settings.databases] == ["primary"]


@pytest.mark.parametrize("value", ["true", "True", "1", "yes", "on", True, 1])
def test_what_is_true(value: object) -> None:
    assert load(ENABLED=value, REPLICA="/mnt/backup").enabled is True


@pytest.mark.parametrize("value", ["false", "0", "no", "off", False, 0, "", None])
def test_what_is_false(value: object) -> None:
    assert load(ENABLED=value).enabled is False


@pytest.mark.parametrize("value", ["1s", "500ms", "1h30m", "1.5h"])
def test_durations(value: str) -> None:
    assert load(SYNC_INTERVAL=value).streaming.sync_interval == value


@pytest.mark.parametrize("value", ["5", 5, "soon", "1 s", "-1s", "0s", "1s;", "1d"])
def test_durations_that_litestream_would_misread_are_refused(value: object) -> None:
    assert len(problems(SYNC_INTERVAL=value)) == 1


def test_a_retention_that_ends_before_the_next_snapshot_is_refused() -> None:
    [problem] = problems(SNAPSHOT_INTERVAL="24h", SNAPSHOT_RETENTION="12h")
    assert "LITESTREAM_SNAPSHOT_RETENTION (12h) must not be shorter than LITESTREAM_SNAPSHOT_INTERVAL (24h)" in problem


@pytest.mark.parametrize("value", ["1", "soon", True, float("inf"), "nan", -3])
def test_seconds_that_are_none(value: object) -> None:
    if value == "1":
        assert load(VERIFY_WAIT=value).timeouts.verify_wait == 1
    else:
        assert "must be a number of seconds" in problems(VERIFY_WAIT=value)[0]


@pytest.mark.parametrize("value", [":9090", "9090", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:99999"])
def test_an_address_that_listens_to_the_world_or_to_nothing_is_refused(value: str) -> None:
    assert "must be a host and a port" in problems(METRICS_ADDR=value)[0]


def test_a_metrics_address_is_taken() -> None:
    assert load(METRICS_ADDR="127.0.0.1:9090").streaming.metrics_address == "127.0.0.1:9090"


def test_a_socket_path_that_no_socket_can_have_is_refused_where_it_is_needed() -> None:
    long = f"/srv/{'x' * 120}/litestream.sock"
    assert load(SOCKET=long).missing[0].startswith(f"LITESTREAM_SOCKET would be {long}")
    assert "set it to something shorter" in problems(ENABLED=True, REPLICA="/mnt/b", SOCKET=long)[0]
    assert load(ENABLED=True, REPLICA="/mnt/b", SOCKET="/run/app.sock").places.socket == Path("/run/app.sock")


def test_a_path_is_taken_as_litestream_says_it() -> None:
    [database] = load(DATABASES={"a": {"path": "/srv/./x/../a.sqlite3", "replica": "/m"}}).databases
    assert database.path == Path("/srv/a.sqlite3")


def test_a_socket_path_with_a_variable_is_refused_where_it_is_needed() -> None:
    [problem] = problems(ENABLED=True, REPLICA="/mnt/b", SOCKET="/run/$USER/litestream.sock")
    assert problem.endswith("it has a $, which Litestream takes for a variable.")


def test_json_that_nobody_parsed_is_refused_without_its_secrets() -> None:
    text = '{"primary": {"replica": {"secret-access-key": "hush"}}}'
    assert problems(DATABASES=text) == ["LITESTREAM_DATABASES is a text that looks like JSON: parse it first."]


def test_a_program_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "litestream").write_text("not executable")
    [problem] = problems(ENABLED=True, REPLICA="/mnt/b", BIN=str(tmp_path / "litestream"))
    assert problem == f"LITESTREAM_BIN names {tmp_path}/litestream, which is no program that can be executed."
    assert problems(BIN="bin/litestream") == ["LITESTREAM_BIN must be an absolute path, not 'bin/litestream'."]


def test_relative_folders_are_in_the_instance_folder() -> None:
    assert load(DIRECTORY="backups").places.directory == INSTANCE / "backups"
    assert load(DIRECTORY="/var/lib/app").places.socket == Path("/var/lib/app/litestream.sock")


@pytest.mark.parametrize("value", ["litestream", "/", 7])
def test_a_url_prefix_that_is_none(value: object) -> None:
    assert "must be a path like /litestream" in problems(URL_PREFIX=value)[0]


def test_no_page() -> None:
    assert load(URL_PREFIX=False).page.url_prefix is None
    assert load(URL_PREFIX="false").page.url_prefix is None, "as an environment variable has it"


def test_a_rule_is_a_callable_or_names_one() -> None:
    assert load(AUTHORIZE=print).page.authorize is print
    assert load(AUTHORIZE="app.access:role").page.authorize == "app.access:role"
    assert "must be a callable given the user" in problems(AUTHORIZE="everybody")[0]


def test_no_message_repeats_a_secret() -> None:
    assert problems(SECRET_ACCESS_KEY=12345) == ["LITESTREAM_SECRET_ACCESS_KEY must be a text."]


# --- databases ---


def test_one_database_of_many() -> None:
    settings = load(REPLICA="/mnt/backup", DATABASES=["queue"])
    assert [one.name for one in settings.databases] == ["queue"]


def test_each_database_its_own_replica() -> None:
    settings = load(DATABASES={"primary": "s3://one/x", "queue": {"replica": {"type": "file", "path": "/mnt/queue"}}})
    assert [one.replica and one.replica.target for one in settings.databases] == ["s3://one/x", "/mnt/queue"]
    assert settings.missing == ()


def test_a_database_of_another_place() -> None:
    [archive] = load(DATABASES={"archive": {"path": "/srv/archive.sqlite3"}}, REPLICA="/mnt/backup").databases
    assert (archive.path, archive.replica and archive.replica.target) == (Path("/srv/archive.sqlite3"), "/mnt/backup/archive")


def test_two_binds_of_one_file_are_one_database() -> None:
    files = {"primary": INSTANCE / "one.sqlite3", "queue": INSTANCE / "one.sqlite3"}
    assert [one.name for one in load(files, REPLICA="/mnt/backup").databases] == ["primary"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (["nope"], "LITESTREAM_DATABASES names nope, no SQLite file of this application (primary, queue). Give it a path."),
        (7, "LITESTREAM_DATABASES must be a list of names or a mapping from name to replica, not 7."),
        ({"a b": "/x"}, "has the name 'a b': use letters"),
        ({"primary": 7}, "must give primary a replica, or a mapping with path and replica."),
        ({"primary": {"replikas": "/x"}}, "gives primary the unknown key replikas: it takes path and replica."),
        ({"primary": {"path": "relative"}}, "gives primary a path that must be an absolute path, not 'relative'."),
        ({"primary": "relative"}, "the replica of primary must be a URL, like s3://bucket/path, or an absolute folder"),
        ({"primary": "/mnt/a", "queue": "/mnt/a/"}, "primary and queue have the same replica, /mnt/a"),
        ({"primary": "s3://b/a", "queue": "s3://b//a"}, "primary and queue have the same replica, s3://b/a"),
        ({"a-b": {"path": "/1", "replica": "/m/1"}, "a.b": {"path": "/2", "replica": "/m/2"}}, "differ only in case or punct"),
        ({"a": {"path": "/1", "replica": "/m/1"}, "b": {"path": "/1", "replica": "/m/2"}}, "are the same file, /1"),
        ({"a": {"path": "/srv/$HOME/x", "replica": "/m/1"}}, "has a $, which Litestream takes for a variable"),
    ],
)
def test_databases_that_cannot_be(value: object, problem: str) -> None:
    assert any(problem in found for found in problems(DATABASES=value)), problems(DATABASES=value)


def test_a_wrong_shared_replica_is_said_once() -> None:
    assert problems(REPLICA="backups") == [
        "LITESTREAM_REPLICA must be a URL, like s3://bucket/path, or an absolute folder, like /mnt/backup."
    ]


def test_an_own_file_and_databases_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "own.yml").touch()
    assert "LITESTREAM_CONFIG_PATH and LITESTREAM_DATABASES exclude each other: keep one." in problems(
        CONFIG_PATH=str(tmp_path / "own.yml"), DATABASES=["primary"]
    )


def test_an_own_file_that_is_not_there_is_refused() -> None:
    assert problems(ENABLED=True, CONFIG_PATH="/nowhere.yml") == [
        "LITESTREAM_CONFIG_PATH names /nowhere.yml, which is no file."
    ]
