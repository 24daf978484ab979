"""Who may see and do what: logged in (Flask-Login), with a role (`QUEUE_AUTHORIZE`), from this site and with a CSRF token.

Apart so that no view can forget any of it: the table of routes names a role for each, and `enter` is the only way in.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import abort, current_app, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import generate_csrf, validate_csrf
from wtforms import ValidationError

from ..current import current_queue
from ..errors import ConfigurationError
from .roles import ROLES, Role

View = Callable[..., ResponseReturnValue]

logger = logging.getLogger("flask_queue.dashboard")


NO_LOGIN = (
    "This application has no Flask-Login, so nobody can be let in. Create a LoginManager, give it the application, and "
    "set QUEUE_AUTHORIZE to say who may see the jobs."
)
NO_ROLE = (
    "You are logged in, but nobody has said that you may see the jobs of this application. The setting QUEUE_AUTHORIZE "
    'says it: a function that is given the user and returns "viewer", "operator", "admin" or None. '
    "Unless it is set, users with a true is_admin are let in."
)
NO_RULE = (
    "Nobody can be let in, for the setting QUEUE_AUTHORIZE leads to no function. The application's log says why, and so does "
    "`flask queue check`."
)
OTHER_SITE = (
    "This request came from another site and was refused; nothing was changed. If it did come from here, the proxy in "
    "front of the application hides the address that your browser sees: let the proxy pass the Host header on, or use "
    "werkzeug.middleware.proxy_fix.ProxyFix."
)


def enter(role: Role, view: View, **arguments: Any) -> ResponseReturnValue:
    """Call `view` for those who have at least `role`; where it changes something, only from this site and with a token."""
    if not is_logged_in():
        return turn_away()
    require(role)
    if request.method == "POST":
        refuse_other_sites()
        check_token()
    return view(**arguments)


def is_logged_in() -> bool:
    """Whether there is a user, by Flask-Login."""
    return hasattr(current_app, "login_manager") and bool(current_user.is_authenticated)


def turn_away() -> ResponseReturnValue:
    """Send somebody who is not logged in to the login page."""
    if not hasattr(current_app, "login_manager"):
        logger.error("The dashboard was asked for, but: %s", NO_LOGIN)
        abort(403, NO_LOGIN)
    response: ResponseReturnValue = current_app.login_manager.unauthorized()
    return response


def require(role: Role) -> None:
    """Refuse a user who has a lower role, or none."""
    own = current_role()
    if own is None:
        abort(403, NO_RULE if _rule() is None else NO_ROLE)
    if own < role:
        abort(403, f"Your role is {own.label}, and this is for the role {role.label}. QUEUE_AUTHORIZE decides who has which.")


def current_role() -> Role | None:
    """The role of the current user, asked for once in a request."""
    known: dict[str, Role | None] = request.environ
    if _ROLE not in known:
        known[_ROLE] = role_of(current_user) if is_logged_in() else None
    return known[_ROLE]


#: Kept with the request: `g` belongs to the application's context, which may see more than one of them.
_ROLE = "flask_queue.role"


def role_of(user: Any) -> Role | None:
    """What `QUEUE_AUTHORIZE` says of a user. An answer that is not a role is none."""
    authorize = _rule()
    answer = authorize(user) if authorize is not None else None
    role = ROLES.get(answer) if isinstance(answer, str) else None
    if role is None and answer is not None:
        logger.error("QUEUE_AUTHORIZE returned %r. It must return one of %s or None.", answer, ", ".join(map(repr, ROLES)))
    return role


def _rule() -> Callable[..., str | None] | None:
    """Who says what a user may do; None when there is nobody where the setting says."""
    try:
        return current_queue().settings.find_authorize() or admins_only
    except ConfigurationError as error:
        logger.error("The dashboard lets nobody in: %s", error)
        return None


def admins_only(user: Any) -> str | None:
    """The default: whoever has a true `is_admin`."""
    flag = getattr(user, "is_admin", False)
    # A method is true whatever it would answer.
    return Role.ADMIN.label if (flag() if callable(flag) else flag) else None


def refuse_other_sites() -> None:
    """Refuse a form that a page of another origin sent. (A browser says which one; the token guards what does not.)"""
    origin = request.headers.get("Origin")
    if origin is not None and _address(origin) != _address(request.host_url):
        abort(403, OTHER_SITE)


def _address(url: str) -> tuple[str | None, int | None]:
    """Host and port. Not the scheme: behind a proxy that ends TLS, the application often knows only of http."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None, -1
    return parts.hostname, None if port in (80, 443) else port


def token_field() -> str:
    """The name of the hidden field, which a CSRFProtect of the application looks for too."""
    return str(current_app.config.get("WTF_CSRF_FIELD_NAME", "csrf_token"))


def new_token() -> str:
    """A token of this session, for a form."""
    return str(generate_csrf())


def check_token() -> None:
    """Refuse a form without a token of this session, whether or not the application checks forms itself."""
    try:
        validate_csrf(request.form.get(token_field()))
    except ValidationError as error:
        abort(400, f"{error} Nothing was changed. Go back, reload the page and try again.")


def has_bearer_token(expected: str | None) -> bool:
    """Whether a machine showed the token of this setting, as `Authorization: Bearer …` or as `?token=…`."""
    if not expected:
        return False
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    shown = value.strip() if scheme.lower() == "bearer" else request.args.get("token", "")
    return hmac.compare_digest(shown.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))
