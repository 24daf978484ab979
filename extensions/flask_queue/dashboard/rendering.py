"""Pages from templates. They get what stands in the call and nothing else: what the application's own templates are given
(its context processors) is neither needed here nor worth a query, and may fail together with the database.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, current_app, request, url_for

from ..current import current_queue
from ..models import State
from . import access, formatting
from .addresses import this_page
from .filters import Filters
from .formatting import Clock
from .listings import LISTINGS, Listing
from .queries.counts import Counts
from .roles import Role

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "flask_queue_theme"
REFRESH_COOKIE = "flask_queue_refresh"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": a form would then be sent with the origin "null", and CSRFProtect needs the referrer over HTTPS.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def zone() -> ZoneInfo:
    """The zone that moments are shown in and read in."""
    return ZoneInfo(current_queue().settings.time_zone)


def theme() -> str:
    """The colours that somebody has chosen, or those of the system."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "auto"


def render(template: str, counts: Counts, **context: Any) -> str:
    """A page with tabs, forms and moments."""
    role = access.current_role() or Role.VIEWER
    return _render(
        template,
        counts=counts,
        clock=Clock(counts.now, zone()),
        listings=LISTINGS,
        may_operate=role >= Role.OPERATOR,
        may_administer=role >= Role.ADMIN,
        role=role.label,
        token_field=access.token_field(),
        token=access.new_token(),
        describe=current_queue().describe_arguments,
        here=this_page(),
        this_page=this_page,
        active_tab=_tab(context),
        is_live=request.cookies.get(REFRESH_COOKIE) != "off",
        **{"filters": Filters(), **context},
    )


#: Pages that belong to another page's tab.
PARENTS = {"queue": "queues", "process": "processes", "recurring_task": "recurring"}


def _tab(context: Mapping[str, Any]) -> str:
    endpoint = str(request.endpoint).removeprefix("flask_queue.")
    listing: Listing | None = context.get("listing")
    return listing.endpoint if endpoint == "job" and listing else PARENTS.get(endpoint, endpoint)


def render_error(status: int, title: str, sentence: str) -> Response:
    """A page that needs no database, no session and no user."""
    page = _render("error.html", status=status, title=title, sentence=sentence)
    return Response(page, status, mimetype="text/html")


def _render(template: str, **context: Any) -> str:
    environment = current_app.jinja_env
    return environment.get_template(f"flask_queue/{template}").render(
        State=State,
        formatting=formatting,
        theme=theme(),
        themes=THEMES,
        site=request.script_root + "/",
        static=_static,
        **context,
    )


def _static(filename: str) -> str:
    return url_for("flask_queue.static", filename=filename)


def add_headers(response: Response) -> Response:
    """What a browser is told about every answer of the dashboard."""
    response.headers.update(HEADERS)
    if request.endpoint != "flask_queue.static":
        response.headers["Cache-Control"] = "no-store"
    return response
