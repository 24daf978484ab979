"""What became of a click: a line at the top of the next page for who clicked, and one in the log for who asks later."""

from __future__ import annotations

import logging

from flask import flash, redirect, request, url_for
from flask_login import current_user
from werkzeug import Response

from .addresses import way_back

logger = logging.getLogger("flask_queue.dashboard")

DONE = "queue-done"
REFUSED = "queue-refused"


def done(sentence: str) -> None:
    """Say that something was changed, and write down by whom."""
    flash(sentence, DONE)
    logger.info("User %s at %s: %s", current_user.get_id(), request.remote_addr, sentence)


def refused(sentence: str) -> None:
    """Say that nothing was changed, and why."""
    flash(sentence, REFUSED)


def not_found(noun: str, id_: object, listed_at: str) -> Response:
    """Back to the list where such a thing would be, if it were there.

    :param listed_at: the endpoint of that list
    """
    refused(f"{noun} with id '{id_}' not found")
    return redirect(way_back(url_for(listed_at)) if request.method == "POST" else url_for(listed_at))
