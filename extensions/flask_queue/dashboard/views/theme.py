"""The colours that somebody prefers, in a cookie, so that the first byte of a page knows and nothing flashes."""

from __future__ import annotations

from flask import abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from ..addresses import way_back
from ..rendering import THEME_COOKIE, THEMES

ONE_YEAR = 365 * 86_400


def choose() -> ResponseReturnValue:
    """Remember light, dark, or as the system has it."""
    chosen = request.form.get("theme")
    if chosen not in THEMES:
        abort(400, f"The theme is one of {', '.join(THEMES)}.")
    response = redirect(way_back(url_for(".overview")))
    path = url_for(".overview").rstrip("/") or "/"  # of "/jobs" too, which is served as well
    response.set_cookie(THEME_COOKIE, chosen, max_age=ONE_YEAR, path=path, samesite="Lax", secure=request.is_secure)
    return response
