"""Lorem News: people sign up, post links and comment. The reference application of Flask-Queue.

It uses `flask_queue` and `flask_litestream` as a product would; `app/jobs/` is where to look first.
"""

from collections.abc import Mapping
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from app import cli, errors, jobs, migrations, security, sqlite, templating
from app.accounts.views import bp as accounts
from app.comments.views import bp as comments
from app.config import configure
from app.environment import ConfigurationError
from app.extensions import csrf, db, litestream, login_manager, migrate, queue
from app.posts.views import bp as posts
from app.routing import IdConverter
from flask_queue.errors import ConfigurationError as QueueConfigurationError

__all__ = ["create_app", "jobs"]


def create_app(config: Mapping[str, Any] | str | None = None) -> Flask:
    """Make the application.

    :param config: The name of an environment (development, test or production), or settings that override those of
        the environment and of environment variables. By default QUEUE_ENVIRONMENT names the environment.
    :raises ConfigurationError: When a setting is missing or cannot be used.
    """
    app = Flask(__name__, template_folder="../templates")
    configure(app, config)
    _init_extensions(app)
    _register_pages(app)
    cli.init_app(app)
    if proxies := app.config["PROXY_COUNT"]:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign]
    return app


def _init_extensions(app: Flask) -> None:
    db.init_app(app)
    sqlite.init_app(app)
    migrate.init_app(app, db)
    migrations.init_app(app)
    login_manager.init_app(app)
    csrf.init_app(app)
    try:
        queue.init_app(app, db)
    except QueueConfigurationError as error:
        raise ConfigurationError(str(error)) from error
    litestream.init_app(app, db, queue)


def _register_pages(app: Flask) -> None:
    app.url_map.converters["id"] = IdConverter
    for blueprint in (posts, comments, accounts):
        app.register_blueprint(blueprint)
    errors.init_app(app)
    security.init_app(app)
    templating.init_app(app)
