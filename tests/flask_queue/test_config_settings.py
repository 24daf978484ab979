"""The settings: read from a Flask configuration, checked all together, and refused with advice."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flask_queue.config import Settings
from flask_queue.errors import ConfigurationError


def settings(**mapping: Any) -> Settings:
    return Settings.from_mapping(mapping, root=Path("/srv/site"))


def problems_of(**mapping: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        settings(**mapping)
    return caught.value.problems


def test_nothing_set_gives_the_documented_defaults() -> None:
    made = settings()
    assert (made.bind_key, made.mode, made.url_prefix, made.time_zone) == ("queue", "fork", "/jobs", "UTC")
    assert (made.heartbeat_interval, made.alive_threshold, made.shutdown_timeout, made.start_timeout) == (15, 60, 25, 30)
    assert (made.preserve_finished_jobs, made.clear_finished_jobs_after, made.concurrency_duration) == (True, 86400, 180)
    assert (made.silence_polling, made.after_commit, made.skip_recurring) == (True, False, False)
    assert (made.pidfile, made.authorize, made.health_token, made.metrics_token) == (None, None, None, None)
    assert made.config_file == Path("/srv/site/config/queue.yml")
    assert made.recurring_file == Path("/srv/site/config/recurring.yml")
    assert "password" in made.filter_arguments


@pytest.mark.parametrize(
    ("modes", "environment"),
    [
        ({}, "production"),
        ({"debug": True}, "development"),
        ({"testing": True}, "test"),
        ({"testing": True, "debug": True}, "test"),
    ],
)
def test_the_environment_follows_the_mode_of_the_application(modes: dict[str, bool], environment: str) -> None:
    assert Settings.from_mapping({}, root=Path(), **modes).environment == environment


def test_the_environment_that_is_set_wins() -> None:
    assert Settings.from_mapping({"QUEUE_ENVIRONMENT": "staging"}, root=Path(), testing=True).environment == "staging"


@pytest.mark.behaviour("M8")
@pytest.mark.parametrize(
    ("value", "meaning"),
    [("true", True), ("1", True), ("Yes", True), ("false", False), ("0", False), ("", False), (None, False)],
)
def test_skipping_recurring_tasks_is_understood_from_the_environment(value: str | None, meaning: bool) -> None:
    assert settings(QUEUE_SKIP_RECURRING=value).skip_recurring is meaning


@pytest.mark.parametrize("value", [90, 90.0, "90", "1.5 minutes", timedelta(seconds=90)])
def test_a_length_of_time_is_seconds_in_whatever_form_it_comes(value: object) -> None:
    assert settings(QUEUE_CONCURRENCY_DURATION=value).concurrency_duration == 90


def test_relative_files_begin_at_the_root_and_are_named_only_if_somebody_named_them() -> None:
    made = settings(QUEUE_CONFIG_FILE="conf/jobs.yml", QUEUE_PIDFILE="/run/queue.pid")
    assert (made.config_file, made.config_file_named) == (Path("/srv/site/conf/jobs.yml"), True)
    assert made.recurring_file_named is False
    assert made.pidfile == Path("/run/queue.pid")


def test_the_files_of_an_application_that_is_a_package_stand_beside_it(tmp_path: Path) -> None:
    package = tmp_path / "shop" / "web"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    assert Settings.from_mapping({}, root=package).config_file == tmp_path / "config" / "queue.yml"


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_file_can_be_asked_for(nothing: str | None) -> None:
    assert settings(QUEUE_CONFIG_FILE=nothing).config_file is None


def test_without_a_bind_the_queue_lives_in_the_primary_database() -> None:
    assert settings(QUEUE_BIND_KEY=None).bind_key is None


def test_no_time_zone_is_the_one_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert settings(QUEUE_TIME_ZONE=None).time_zone == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("told", "zone"),
    [("", "UTC"), (":/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"), ("/nowhere/at/all", "UTC"), ("EST", "EST")],
)
def test_the_machine_tells_its_zone_in_several_ways(monkeypatch: pytest.MonkeyPatch, told: str, zone: str) -> None:
    monkeypatch.setenv("TZ", told)
    monkeypatch.setattr(os.path, "realpath", lambda path: str(path))
    assert settings(QUEUE_TIME_ZONE=None).time_zone == zone


@pytest.mark.behaviour("H24")
@pytest.mark.parametrize("told", ["EST5EDT,M3.2.0,M11.1.0", "UTC-3"])
def test_a_zone_of_the_machine_without_a_name_is_never_utc(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv("TZ", told)
    with pytest.raises(ConfigurationError) as caught:
        settings(QUEUE_TIME_ZONE=None)
    assert str(caught.value) == (
        "QUEUE_TIME_ZONE is None, but must be the name of a time zone, such as Europe/Paris, "
        f"where that of the machine is {told!r}."
    )
    assert settings().time_zone == "UTC"


@pytest.mark.parametrize(
    ("key", "value", "advice"),
    [
        ("QUEUE_MODE", "async", '"fork" or "thread"'),
        ("QUEUE_HEARTBEAT_INTERVAL", 0, "a number of seconds above 0"),
        ("QUEUE_HEARTBEAT_INTERVAL", "soon", "a number of seconds above 0"),
        ("QUEUE_SHUTDOWN_TIMEOUT", -1, "0 or more"),
        ("QUEUE_SHUTDOWN_TIMEOUT", float("nan"), "0 or more"),
        ("QUEUE_SHUTDOWN_TIMEOUT", True, "0 or more"),
        ("QUEUE_AFTER_COMMIT", "perhaps", "true or false"),
        ("QUEUE_TIME_ZONE", "Europe/Pariss", "did you mean Europe/Paris?"),
        ("QUEUE_TIME_ZONE", "../etc/passwd", "the name of a time zone"),
        ("QUEUE_URL_PREFIX", "jobs", 'begins with "/"'),
        ("QUEUE_URL_PREFIX", "/", "is more than the root"),
        ("QUEUE_URL_PREFIX", "/<name>/jobs", 'has no "<"'),
        ("QUEUE_AUTHORIZE", "nonsense", '"module:name"'),
        ("QUEUE_BIND_KEY", " ", "1 to 255 characters"),
        ("QUEUE_FILTER_ARGUMENTS", [1], "list of names"),
        ("QUEUE_CONFIG_FILE", 5, "a path"),
    ],
)
def test_a_bad_value_is_refused_with_its_key_itself_and_what_is_allowed(key: str, value: object, advice: str) -> None:
    [problem] = problems_of(**{key: value})
    assert problem.startswith(f"{key} is {value!r}")
    assert advice in problem


def test_all_problems_are_told_at_once() -> None:
    problems = problems_of(QUEUE_MODE="x", QUEUE_PIDFILE=1, QUEUE_CONCURRENCY_DURATION="y")
    assert [problem.split()[0] for problem in problems] == ["QUEUE_MODE", "QUEUE_PIDFILE", "QUEUE_CONCURRENCY_DURATION"]


@pytest.mark.behaviour("I12")
@pytest.mark.parametrize("threshold", [15, 10])
def test_the_threshold_must_exceed_the_heartbeat(threshold: int) -> None:
    [problem] = problems_of(QUEUE_HEARTBEAT_INTERVAL=15, QUEUE_ALIVE_THRESHOLD=threshold)
    assert "QUEUE_ALIVE_THRESHOLD" in problem
    assert "more than QUEUE_HEARTBEAT_INTERVAL (15)" in problem


def test_a_misspelt_key_is_told_and_a_stranger_left_alone() -> None:
    assert problems_of(QUEUE_HEARTBEAT_INTERVALL=5, QUEUE_IN_WEB=1) == (
        "QUEUE_HEARTBEAT_INTERVALL is no setting. Did you mean QUEUE_HEARTBEAT_INTERVAL?",
    )


def test_a_key_named_like_an_inner_field_changes_nothing() -> None:
    assert settings(QUEUE_ROOT="/elsewhere").root == Path("/srv/site")


def test_a_function_may_decide_who_gets_in() -> None:
    assert settings(QUEUE_AUTHORIZE=len).authorize is len
    assert settings(QUEUE_AUTHORIZE="site.access:role").authorize == "site.access:role"


def test_an_override_is_relative_to_the_working_directory_and_counts_as_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = settings().overridden("other.yml", None, True)
    assert (made.config_file, made.config_file_named, made.skip_recurring) == (tmp_path / "other.yml", True, True)
    assert made.recurring_file == Path("/srv/site/config/recurring.yml")
