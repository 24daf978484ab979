"""The dashboard: a blueprint of server-rendered pages, closed to whoever is not logged in and authorised.

It looks at the tables through `queries/` and changes things only through the public interface of the queue.
"""

from __future__ import annotations

from flask import Blueprint
from werkzeug.exceptions import HTTPException

from ..database import DatabaseError
from .late import late
from .routes import add_routes

__all__ = ["create_blueprint"]

#: What `errors.refuse` has pages for. By their codes: a handler of the application for a code goes before one for all of them.
REFUSALS = (400, 401, 403, 404)


def create_blueprint(url_prefix: str) -> Blueprint:
    """A blueprint for one application.

    :param url_prefix: where it is mounted, such as "/jobs"; not the root, where /static is the application's
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
    for code in REFUSALS:
        blueprint.register_error_handler(code, late("errors.refuse"))
    blueprint.register_error_handler(HTTPException, late("errors.refuse"))
    blueprint.register_error_handler(DatabaseError, late("errors.apologize"))
    blueprint.after_request(late("rendering.add_headers"))
    return blueprint
