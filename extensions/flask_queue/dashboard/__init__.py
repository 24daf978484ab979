"""The dashboard: a blueprint of server-rendered pages, closed to whoever is not logged in and authorised.

It looks at the tables through `queries/` and changes things only through the public interface of the queue.
"""

from __future__ import annotations

from flask import Blueprint

from .errors import add_error_pages
from .rendering import add_headers
from .routes import add_routes

__all__ = ["create_blueprint"]


def create_blueprint(url_prefix: str) -> Blueprint:
    """A blueprint for one application.

    :param url_prefix: where it is mounted, such as "/jobs"; "" for the root of the site
    """
    blueprint = Blueprint(
        "flask_queue",
        __name__,
        url_prefix=url_prefix,
        template_folder="templates",
        static_folder="static/flask_queue",
        static_url_path="/static",
    )
    add_routes(blueprint)
    add_error_pages(blueprint)
    blueprint.after_request(add_headers)
    return blueprint
