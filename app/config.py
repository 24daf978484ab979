"""What the application is told before it starts: three environments, and how one of them is chosen and overridden.

Apart from `environment.py`, which only turns texts of environment variables into values.
"""

import os
from collections.abc import Mapping
from typing import Any

from flask import Flask
from sqlalchemy import make_url
from sqlalchemy.exc import NoSuchModuleError

from app.environment import ROOT, ConfigurationError, read

SHORTEST_SECRET = 16
PATHS = ("MAIL_OUTBOX", "QUEUE_CONFIG_FILE", "QUEUE_RECURRING_FILE", "QUEUE_PIDFILE")


class Config:
    """What all environments share."""

    SECRET_KEY: str | None = None
    PUBLIC_URL = "http://127.0.0.1:8000"
    PROXY_COUNT = 0

    QUEUE_CONFIG_FILE: str | None = "config/queue.yml"
    QUEUE_RECURRING_FILE: str | None = "config/recurring.yml"
    QUEUE_IN_WEB = False

    POSTS_PER_PAGE = 30
    COMMENTS_PER_PAGE = 100

    MAIL_BACKEND = "file"
    MAIL_OUTBOX = "outbox"
    MAIL_FROM = "Lorem News <news@lorem.example>"
    MAIL_SMTP_HOST = "127.0.0.1"
    MAIL_SMTP_PORT = 25
    MAIL_SMTP_STARTTLS = False
    MAIL_SMTP_USERNAME: str | None = None
    MAIL_SMTP_PASSWORD: str | None = None

    MAX_CONTENT_LENGTH = 1024 * 1024
    SESSION_COOKIE_SAMESITE = "Lax"
    SESSION_COOKIE_SECURE = False
    WTF_CSRF_TIME_LIMIT: int | None = None  # a form may stay open as long as its session


class Development(Config):
    """On your own machine: nothing to set, templates are read again when they change."""

    SECRET_KEY = "lorem-ipsum-for-development-only"
    SQLALCHEMY_DATABASE_URI = "sqlite:///storage/development.sqlite3"
    SQLALCHEMY_BINDS_QUEUE = "sqlite:///storage/development-queue.sqlite3"
    TEMPLATES_AUTO_RELOAD = True


class Testing(Config):
    """For the test suite: errors reach the test instead of an error page."""

    TESTING = True
    SECRET_KEY = "lorem-ipsum-for-tests-only"
    SQLALCHEMY_DATABASE_URI = "sqlite:///storage/test.sqlite3"
    SQLALCHEMY_BINDS_QUEUE = "sqlite:///storage/test-queue.sqlite3"


class Production(Config):
    """For everyone: needs a secret of its own, and cookies travel over HTTPS only."""

    SQLALCHEMY_DATABASE_URI = "sqlite:///storage/production.sqlite3"
    SQLALCHEMY_BINDS_QUEUE = "sqlite:///storage/production-queue.sqlite3"
    SESSION_COOKIE_SECURE = True


ENVIRONMENTS: dict[str, type[Config]] = {"development": Development, "test": Testing, "production": Production}


def configure(app: Flask, config: Mapping[str, Any] | str | None) -> None:
    """Fill `app.config`: the environment's values, then environment variables, then what the caller passed.

    :param config: The name of an environment, or values that override all others, or None for what
        the environment variable QUEUE_ENVIRONMENT names.
    """
    values = {"QUEUE_ENVIRONMENT": config} if isinstance(config, str) else dict(config or {})
    name = values.get("QUEUE_ENVIRONMENT") or os.environ.get("QUEUE_ENVIRONMENT") or "development"
    app.config.from_object(_environment(name))
    app.config.update(read(os.environ))
    app.config.update(values, QUEUE_ENVIRONMENT=name)
    _place_databases(app.config)
    for setting in PATHS:
        if app.config.get(setting):
            app.config[setting] = str(ROOT / app.config[setting])
    if name == "production":
        _check_production(app)


def _environment(name: str) -> type[Config]:
    if name not in ENVIRONMENTS:
        raise ConfigurationError(f"QUEUE_ENVIRONMENT is {name!r}: choose one of {', '.join(ENVIRONMENTS)}.")
    return ENVIRONMENTS[name]


def _place_databases(config: dict[str, Any]) -> None:
    """Make SQLite paths absolute, below the project's root, and see to it that their folders exist."""
    if "SQLALCHEMY_BINDS" not in config:
        bind_key = config.get("QUEUE_BIND_KEY", "queue")
        config["SQLALCHEMY_BINDS"] = {} if bind_key is None else {bind_key: config["SQLALCHEMY_BINDS_QUEUE"]}
    config["SQLALCHEMY_DATABASE_URI"] = _placed("SQLALCHEMY_DATABASE_URI", config["SQLALCHEMY_DATABASE_URI"])
    config["SQLALCHEMY_BINDS"] = {
        key: _placed("SQLALCHEMY_BINDS_QUEUE", url) if isinstance(url, str) else url
        for key, url in config["SQLALCHEMY_BINDS"].items()
    }


def _placed(setting: str, text: str) -> str:
    try:
        url = make_url(text)
    except Exception as error:
        # Without the text, which may hold a password.
        raise ConfigurationError(f"{setting} is no database URL, like sqlite:///storage/news.sqlite3: {error}") from error
    try:
        url.get_dialect().import_dbapi()
    except (NoSuchModuleError, ImportError) as error:
        raise ConfigurationError(
            f"{setting} is {url.render_as_string()!r}, and there is no driver for it: {error}. Install that, or name another "
            "one, as in postgresql+psycopg://… and mysql+pymysql://…"
        ) from error
    if not url.drivername.startswith("sqlite") or url.database in (None, "", ":memory:") or "uri" in url.query:
        return text
    path = ROOT / str(url.database)
    path.parent.mkdir(parents=True, exist_ok=True)
    return url.set(database=str(path)).render_as_string(hide_password=False)


def _check_production(app: Flask) -> None:
    secret = app.config["SECRET_KEY"] or ""
    if len(secret) < SHORTEST_SECRET or secret in (Development.SECRET_KEY, Testing.SECRET_KEY):
        raise ConfigurationError(
            "Production needs a SECRET_KEY of its own, to sign sessions: set the environment variable SECRET_KEY "
            f"to at least {SHORTEST_SECRET} random characters, for example what "
            "`python -c 'import secrets; print(secrets.token_hex(32))'` prints."
        )
    if not app.config["SESSION_COOKIE_SECURE"]:
        app.logger.warning("SESSION_COOKIE_SECURE is off: whoever listens on the network can take over a session.")
    if app.config["PUBLIC_URL"] == Config.PUBLIC_URL:
        app.logger.warning("PUBLIC_URL is not set: links in mails will lead to %s.", Config.PUBLIC_URL)
