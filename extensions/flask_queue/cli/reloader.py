"""The reloader of `flask run --debug`: one process watches the files, and runs another one anew when they change."""

from __future__ import annotations

import click
from flask.cli import ScriptInfo
from flask.helpers import get_debug_flag
from werkzeug.serving import is_running_from_reloader


def only_watches_files() -> bool:
    """Whether this is `flask run` and serves nothing: it imports the application too, and keeps the code it has for good."""
    context = click.get_current_context(silent=True)
    if context is None or context.find_object(ScriptInfo) is None or is_running_from_reloader():
        return False
    if context.command.name != "run" or "reload" not in context.params:
        return False
    reload = context.params["reload"]  # None if neither --reload nor --no-reload was given
    return get_debug_flag() if reload is None else bool(reload)
