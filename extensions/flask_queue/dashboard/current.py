"""The queue of the application that answers this request: all that views know of it is its public interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from ..extension import FlaskQueue


def current_queue() -> FlaskQueue:
    """This application's `FlaskQueue`."""
    return cast("FlaskQueue", current_app.extensions["queue"])
