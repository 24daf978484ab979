"""Who may see the page and who may do what on it. Closed by default.

Apart because it is the one place to look at when somebody asks who gets in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from flask import Response, abort, current_app, g, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import validate_csrf
from werkzeug.utils import import_string

P = ParamSpec("P")

logger = logging.getLogger("flask_litestream")

#: What each role adds: looking, verifying, restoring.
ROLES = ("viewer", "operator", "admin")

FORBIDDEN = (
    "You are logged in, and not allowed to see the backups. The setting LITESTREAM_AUTHORIZE decides who is: "
    "a callable given the user that returns viewer, operator, admin or None. "
    "Without it, users whose is_admin is true are admins."
)
NO_LOGIN = "This page needs Flask-Login: give the application a LoginManager, or set LITESTREAM_URL_PREFIX to False."
EXPIRED = "This form is too old or not from this site. Go back, load the page again and press the button once more."


def requires(role: str) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Let a view be seen from this role up: others log in first, or get 403. A form needs its token besides."""

    def decorate(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if not hasattr(current_app, "login_manager"):
                abort(403, NO_LOGIN)
            if not current_user.is_authenticated:
                answer: ResponseReturnValue = current_app.login_manager.unauthorized()
                return answer
            g.litestream_role = role_of(current_user)
            if not may(role):
                abort(403, FORBIDDEN)
            if request.method == "POST":
                refuse_forged_forms()
            return view(*args, **kwargs)

        return guarded

    return decorate


def may(role: str) -> bool:
    """Whether the user of this request has this role or a higher one."""
    held = g.get("litestream_role")
    return held in ROLES and ROLES.index(held) >= ROLES.index(role)


def role_of(user: Any) -> str | None:
    """Ask LITESTREAM_AUTHORIZE; without it the rule of the queue's dashboard; without that, ``user.is_admin``."""
    extension = current_app.extensions["litestream"]
    rule = extension.backups.settings.page.authorize
    if rule is None and extension.link is not None:
        rule = current_app.config.get(extension.link.access_setting)
    if isinstance(rule, str) and rule:
        try:
            rule = import_string(rule)
        except ImportError:
            logger.exception("Nobody can see the backups: %r, which should decide who may, leads to no function.", rule)
            return None
    role: str | None = rule(user) if callable(rule) else _default_role(user)
    return role


def _default_role(user: Any) -> str | None:
    """Whoever has a true ``is_admin``; a method is asked, because it would be true whatever it answers."""
    flag = getattr(user, "is_admin", False)
    return "admin" if (flag() if callable(flag) else flag) else None


def token_field() -> str:
    """The name of the hidden field, which a CSRFProtect of the application looks for too."""
    return str(current_app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token"))


def refuse_forged_forms() -> None:
    """Let no form through without the token of this session."""
    try:
        validate_csrf(request.form.get(token_field()))
    except ValueError:  # what a refused token raises is one
        abort(400, EXPIRED)


def add_headers(response: Response) -> Response:
    """No inline script or style, no frame around the page, no copy of it in a cache."""
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    if not (request.endpoint or "").endswith(".static"):
        response.headers["Cache-Control"] = "no-store"
    return response
