"""Health, for machines: 200 or 503 for anyone; the reasons only for those who may see the dashboard or know the token."""

from __future__ import annotations

import logging

from flask import jsonify
from flask.typing import ResponseReturnValue

from ...current import current_queue
from ...database import DatabaseError
from ..access import current_role, has_bearer_token

logger = logging.getLogger("flask_queue.dashboard")


def show() -> ResponseReturnValue:
    """Whether the queue does its work."""
    problems = current_queue().health()
    answer: dict[str, object] = {"status": "unhealthy" if problems else "healthy"}
    if _may_see_reasons():
        answer["problems"] = problems
    return jsonify(answer), 503 if problems else 200


def _may_see_reasons() -> bool:
    if has_bearer_token(current_queue().settings.health_token):
        return True
    try:
        return current_role() is not None
    except DatabaseError:  # users are in a database too
        return False
    except Exception:  # the application's own code says who may what, and its mistakes are not the queue's health
        logger.exception("Health was asked for, and who may see the reasons could not be told:")
        return False
