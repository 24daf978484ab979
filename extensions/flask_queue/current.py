"""The queue of the application that a command, a page or a test is for: all that they know of it is its public interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app

from .errors import NotInitialized

if TYPE_CHECKING:
    from .extension import FlaskQueue


def current_queue() -> FlaskQueue:
    """The current application's queue.

    :raises NotInitialized: when it has none.
    """
    if "queue" not in current_app.extensions:
        raise NotInitialized
    return cast("FlaskQueue", current_app.extensions["queue"])
