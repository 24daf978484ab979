"""The page and its two buttons. A view finds, calls one verb, redirects.

What takes time (both verbs wait for the replica) is a job of the queue; without a queue the page shows the commands.
"""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf

from ..backups import Backups
from ..errors import QueueUnavailable, UnknownDatabase
from ..jobs import QueueLink
from ..moments import age_text, moment_text, rfc3339, size_text
from ..verification import REASONS
from .access import add_headers, may, requires, token_field
from .overview import gather, listings_of

PAGE = "litestream.page"

blueprint = Blueprint(
    "litestream", __name__, template_folder="templates", static_folder="static/flask_litestream", static_url_path="/static"
)
blueprint.after_request(add_headers)
blueprint.add_app_template_filter(age_text, "litestream_age")
blueprint.add_app_template_filter(moment_text, "litestream_moment")
blueprint.add_app_template_filter(size_text, "litestream_size")


@blueprint.get("/")
@requires("viewer")
def page() -> ResponseReturnValue:
    """Everything about the backups, on one page."""
    link: QueueLink | None = current_app.extensions["litestream"].link
    if "fresh" in request.args:
        listings_of(_backups()).forget()
    return render_template(
        "flask_litestream/page.html",
        reasons=REASONS,
        overview=gather(_backups(), Path(current_app.root_path).parent),
        under_way=link.under_way() if link else 0,
        queued=link is not None,
        may=may,
        csrf_token=generate_csrf,
        token_field=token_field(),
        queue_url=request.script_root + link.dashboard_url() if link else None,
    )


@blueprint.post("/<name>/verify")
@requires("operator")
def verify(name: str) -> ResponseReturnValue:
    """Prove one backup soon, in a job."""
    _known(name)
    try:
        job_id = _link().enqueue_verification(name)
    except QueueUnavailable as error:
        abort(503, str(error))
    flash(f"The backup of {name} will be verified by job {job_id}.", "litestream")
    return redirect(url_for(PAGE))


@blueprint.post("/<name>/restore")
@requires("admin")
def restore(name: str) -> ResponseReturnValue:
    """Restore one database to a new file soon, in a job; never over the live one."""
    _known(name)
    try:
        timestamp = rfc3339(request.form["timestamp"]) if request.form.get("timestamp") else None
    except ValueError as error:
        abort(400, f"The moment {error}")
    try:
        job_id = _link().enqueue_restore(name, timestamp)
    except QueueUnavailable as error:
        abort(503, str(error))
    flash(f"{name} will be restored to a new file by job {job_id}.", "litestream")
    return redirect(url_for(PAGE))


def _backups() -> Backups:
    backups: Backups = current_app.extensions["litestream"].backups
    return backups


def _known(name: str) -> None:
    try:
        _backups().database(name)
    except UnknownDatabase as error:
        abort(404, str(error))


def _link() -> QueueLink:
    link: QueueLink | None = current_app.extensions["litestream"].link
    if link is None:
        abort(404, "Without a queue nothing can be done here: use `flask litestream verify` and `restore`.")
    return link
