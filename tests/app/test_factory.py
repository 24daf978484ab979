"""What the application is configured with, and what it refuses to start with."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from sqlalchemy import text

from app import create_app
from app.config import configure
from app.environment import ConfigurationError
from app.extensions import db, queue

SECRET = "a-secret-that-nobody-knows"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_KEY", "PUBLIC_URL", *os.environ):
        if name.startswith(("QUEUE_", "LITESTREAM_", "SQLALCHEMY_", "MAIL_", "SECRET_KEY", "PUBLIC_URL")):
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's root, elsewhere: so that nothing is made in the real one."""
    monkeypatch.setattr("app.config.ROOT", tmp_path / "root")
    monkeypatch.setattr("app.environment.ROOT", tmp_path / "root")
    return tmp_path / "root"


def configured(config: Any = None) -> dict[str, Any]:
    app = Flask("configured")
    configure(app, config)
    return app.config


@pytest.mark.parametrize("name", ["development", "test", "production"])
def test_each_environment_has_two_databases_of_its_own_below_the_root(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_KEY", SECRET)
    monkeypatch.setenv("QUEUE_ENVIRONMENT", name)
    config = configured()
    assert config["SQLALCHEMY_DATABASE_URI"] == f"sqlite:///{root}/storage/{name}.sqlite3"
    assert config["SQLALCHEMY_BINDS"] == {"queue": f"sqlite:///{root}/storage/{name}-queue.sqlite3"}
    assert (root / "storage").is_dir()
    assert config["QUEUE_ENVIRONMENT"] == name
    assert config.get("TESTING", False) == (name == "test")


def test_development_is_the_default(root: Path) -> None:
    assert configured()["QUEUE_ENVIRONMENT"] == "development"


def test_the_caller_chooses_over_the_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_ENVIRONMENT", "production")
    monkeypatch.setenv("PUBLIC_URL", "https://environment.example")
    assert configured("test")["QUEUE_ENVIRONMENT"] == "test"
    config = configured({"QUEUE_ENVIRONMENT": "test", "PUBLIC_URL": "https://caller.example"})
    assert (config["QUEUE_ENVIRONMENT"], config["PUBLIC_URL"]) == ("test", "https://caller.example")


@pytest.mark.parametrize("how", ["caller", "environment"])
def test_an_unknown_environment_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "environment":
        monkeypatch.setenv("QUEUE_ENVIRONMENT", "staging")
    with pytest.raises(ConfigurationError, match="'staging': choose one of development, test, production"):
        configured("staging" if how == "caller" else None)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("SECRET_KEY", "0012", "0012"),
        ("SQLALCHEMY_DATABASE_URI", "postgresql+psycopg://a:b@c/d", "postgresql+psycopg://a:b@c/d"),
        ("POSTS_PER_PAGE", "7", 7),
        ("MAIL_SMTP_STARTTLS", "true", True),
        ("MAIL_SMTP_PASSWORD", "12345", "12345"),
        ("SESSION_COOKIE_SECURE", "1", True),
        ("WTF_CSRF_TIME_LIMIT", "none", None),
        ("QUEUE_CONFIG_FILE", "", None),
        ("QUEUE_BIND_KEY", "none", None),
        ("QUEUE_IN_WEB", "1", True),
        ("LITESTREAM_DATABASES", '{"primary": {"path": "/a"}}', {"primary": {"path": "/a"}}),
        ("LITESTREAM_DATABASES", "primary,queue", "primary,queue"),
    ],
)
def test_environment_variables_override_with_values_of_the_right_type(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: Any
) -> None:
    monkeypatch.setenv(name, value)
    actual = configured()[name]
    assert actual == expected
    assert type(actual) is type(expected)


@pytest.mark.parametrize(
    ("variable", "value", "setting", "expected"),
    [
        ("QUEUE_MODE", "thread", "mode", "thread"),
        ("QUEUE_SKIP_RECURRING", "1", "skip_recurring", True),
        ("QUEUE_PRESERVE_FINISHED_JOBS", "false", "preserve_finished_jobs", False),
        ("QUEUE_HEARTBEAT_INTERVAL", "0.5", "heartbeat_interval", 0.5),
        ("QUEUE_SHUTDOWN_TIMEOUT", "40", "shutdown_timeout", 40),
        ("QUEUE_TIME_ZONE", "Europe/Lisbon", "time_zone", "Europe/Lisbon"),
        ("QUEUE_FILTER_ARGUMENTS", "password, token,", "filter_arguments", ("password", "token")),
        ("QUEUE_AUTHORIZE", "app.access:role", "authorize", "app.access:role"),
        ("QUEUE_URL_PREFIX", "/backstage", "url_prefix", "/backstage"),
        ("QUEUE_METRICS_TOKEN", "0123", "metrics_token", "0123"),
    ],
)
def test_the_queue_reads_its_settings_from_the_environment(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, variable: str, value: str, setting: str, expected: Any
) -> None:
    monkeypatch.setenv(variable, value)
    with make_app().app_context():
        assert getattr(queue.settings, setting) == expected


@pytest.mark.parametrize("variable", ["QUEUE_SHUTDOWN_TIMEOUT", "LITESTREAM_STOP_TIMEOUT"])
def test_the_extensions_refuse_what_they_cannot_use_by_the_variables_name(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "soon")
    with pytest.raises(Exception, match=variable):
        make_app()


@pytest.mark.parametrize("name", ["MAIL_OUTBOX", "QUEUE_CONFIG_FILE", "QUEUE_RECURRING_FILE", "QUEUE_PIDFILE"])
def test_relative_paths_start_at_the_root(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "somewhere/file")
    assert configured()[name] == f"{root}/somewhere/file"
    monkeypatch.setenv(name, "/absolute/file")
    assert configured()[name] == "/absolute/file"


def test_the_queues_database_has_a_variable_of_its_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQLALCHEMY_BINDS_QUEUE", "mysql+pymysql://root@h/q")
    assert configured()["SQLALCHEMY_BINDS"] == {"queue": "mysql+pymysql://root@h/q"}


def test_without_a_bind_key_there_is_one_database(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUEUE_BIND_KEY", "none")
    config = configured()
    assert (config["QUEUE_BIND_KEY"], config["SQLALCHEMY_BINDS"]) == (None, {})


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("QUEUE_IN_WEB", "maybe", "use true or false"),
        ("POSTS_PER_PAGE", "1.5", "use a whole number"),
        ("LITESTREAM_DATABASES", "{", "this is no valid JSON"),
    ],
)
def test_a_variable_that_cannot_be_read_is_refused_with_advice(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, advice: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        configured()
    assert name in refused.value.message
    assert advice in refused.value.message


@pytest.mark.parametrize("name", ["SQLALCHEMY_DATABASE_URI", "SQLALCHEMY_BINDS_QUEUE"])
def test_what_is_no_database_address_is_refused_by_name(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "not a url")
    with pytest.raises(ConfigurationError, match=name):
        configured()


@pytest.mark.parametrize("kind", ["mysql+nothing", "nothing", "mssql+pymssql"])
def test_a_database_without_a_driver_is_refused_by_name(root: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("SQLALCHEMY_BINDS_QUEUE", f"{kind}://root:secret@h/q")
    with pytest.raises(ConfigurationError, match=r"SQLALCHEMY_BINDS_QUEUE is .*there is no driver for it") as refused:
        configured()
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("name", ["SQLALCHEMY_DATABASE_URI", "LITESTREAM_REPLICA"])
def test_no_message_repeats_what_may_hold_a_password(root: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, '{"url": "postgresql//me:hush@host/news",}')
    with pytest.raises(ConfigurationError, match=name) as refused:
        configured()
    assert "hush" not in refused.value.message


def test_credentials_of_the_backup_stay_in_the_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESTREAM_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("LITESTREAM_SECRET_ACCESS_KEY", "secret")
    assert not [value for value in configured().values() if value in ("id", "secret")]


@pytest.mark.parametrize("secret", [None, "", "short", "lorem-ipsum-for-development-only", "lorem-ipsum-for-tests-only"])
def test_production_does_not_start_without_a_secret_of_its_own(
    root: Path, monkeypatch: pytest.MonkeyPatch, secret: str | None
) -> None:
    if secret is not None:
        monkeypatch.setenv("SECRET_KEY", secret)
    with pytest.raises(ConfigurationError, match="set the environment variable SECRET_KEY"):
        configured("production")


def test_production_sends_cookies_over_https_only_and_warns_when_told_not_to(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET)
    monkeypatch.setenv("PUBLIC_URL", "https://news.example")
    assert configured("production")["SESSION_COOKIE_SECURE"] is True
    assert not caplog.records
    monkeypatch.setenv("SESSION_COOKIE_SECURE", "false")
    assert configured("production")["SESSION_COOKIE_SECURE"] is False
    assert "SESSION_COOKIE_SECURE is off" in caplog.text


def test_production_warns_that_links_in_mails_would_lead_home(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET)
    configured("production")
    assert "PUBLIC_URL is not set" in caplog.text


@pytest.mark.parametrize("bind", [None, "queue"])
@pytest.mark.parametrize(
    ("pragma", "expected"), [("journal_mode", "wal"), ("synchronous", 1), ("busy_timeout", 5000), ("foreign_keys", 1)]
)
def test_both_sqlite_databases_are_opened_safely(app: Flask, bind: str | None, pragma: str, expected: Any) -> None:
    with app.app_context(), db.engines[bind].connect() as connection:
        assert connection.execute(text(f"PRAGMA {pragma}")).scalar() == expected


def test_the_primary_database_is_opened_once_however_many_applications_there_are(
    make_app: Callable[..., Flask], app: Flask
) -> None:
    make_app()
    with app.app_context():
        assert len(db.engine.pool.dispatch.connect) <= 3


def test_every_page_forbids_scripts_and_styles_in_it(app: Flask) -> None:
    for path in ("/", "/nothing", "/login", "/static/lorem.css"):
        with app.test_client().get(path) as response:
            headers = response.headers
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_behind_a_proxy_the_visitors_address_and_scheme_are_known(make_app: Callable[..., Flask]) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    for count, seen in ((0, "127.0.0.1 http"), (1, "203.0.113.7 https")):
        app = make_app(PROXY_COUNT=count)
        app.add_url_rule("/seen", "seen", lambda: f"{request.remote_addr} {request.scheme}")
        assert app.test_client().get("/seen", headers=forwarded).text == seen


def test_two_applications_do_not_share_their_data(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    first, second = (make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / name}.sqlite3") for name in "ab")
    for app in (first, second):
        with app.app_context():
            db.create_all()
    with first.app_context():
        db.session.execute(text("INSERT INTO users VALUES (1, 'ada', 'a@b.de', '!', 0, '2026-01-01')"))
        db.session.commit()
    with second.app_context():
        assert db.session.execute(text("SELECT count(*) FROM users")).scalar() == 0


def test_the_factory_takes_the_name_of_an_environment(root: Path) -> None:
    app = create_app("test")
    assert app.testing
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()
