"""Pages for what went wrong: refused, not found, a form out of date, a database that does not answer. One sentence each
that says what to do; they need neither the database nor a user.
"""

from __future__ import annotations

import logging

from flask import Response
from werkzeug import Response as BaseResponse
from werkzeug.exceptions import HTTPException

from ..database import is_missing_table, is_outage
from ..errors import MissingTables
from .rendering import render_error

logger = logging.getLogger("flask_queue.dashboard")

TITLES = {400: "That form was refused", 401: "Log in first", 403: "Not for you", 404: "There is nothing here"}
SENTENCES = {
    401: "This application has no login page to send you to: set `login_view` of its LoginManager.",
    404: "The address leads nowhere. It may have been mistyped, or what was there is gone.",
}


def refuse(error: HTTPException) -> BaseResponse:
    """A page for a refusal, with the sentence that the refusal brings along."""
    if error.code is None or error.code not in TITLES or error.response is not None:
        return error.get_response()
    sentence = SENTENCES.get(error.code, error.description or "")
    return render_error(error.code, TITLES[error.code], sentence)


def apologize(error: Exception) -> Response:
    """A page for a database that is not there. An error of a statement is a bug, and stays one."""
    if is_missing_table(error):
        return render_error(503, "The tables are missing", str(MissingTables()))
    if not is_outage(error):
        raise error
    logger.error("The dashboard could not reach the database: %s", error)
    sentence = "The database does not answer at the moment. This page works again as soon as it does."
    return render_error(503, "The database is away", sentence)
