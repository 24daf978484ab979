"""Every address of the dashboard with the least role that may use it. What is not in these tables does not exist.

Changes are forms that are posted; asked for with GET their addresses answer 405.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from flask import Blueprint
from flask.sansio.blueprints import BlueprintSetupState

from .addresses import NameConverter
from .late import late
from .listings import LISTINGS
from .roles import Role

CONVERTER = "flask_queue_name"
#: Row ids are 64-bit integers; a longer number is no address.
ID = "int(max=9223372036854775807)"
NAME = f"{CONVERTER}:name"
KEY = f"{CONVERTER}:key"
ANY_LIST = f"any({', '.join(repr(listing.slug) for listing in LISTINGS.values())}):slug"

View = Callable[..., Any]
Table = tuple[tuple[str, str, View], ...]

PAGES: Table = (
    ("/", "overview", late("views.overview.show")),
    *((f"/{listing.slug}", listing.endpoint, partial(late("views.lists.show"), listing)) for listing in LISTINGS.values()),
    (f"/<{ID}:job_id>", "job", late("views.job.show")),
    ("/queues", "queues", late("views.queues.index")),
    (f"/queues/<{NAME}>", "queue", late("views.queues.show")),
    ("/processes", "processes", late("views.processes.index")),
    (f"/processes/<{ID}:process_id>", "process", late("views.processes.show")),
    ("/recurring", "recurring", late("views.recurring.index")),
    (f"/recurring/<{KEY}>", "recurring_task", late("views.recurring.show")),
)

ACTIONS: dict[Role, Table] = {
    Role.VIEWER: (("/theme", "choose_theme", late("views.theme.choose")),),
    Role.OPERATOR: (
        (f"/<{ID}:job_id>/retry", "retry_job", late("views.job.retry")),
        (f"/<{ID}:job_id>/discard", "discard_job", late("views.job.discard")),
        (f"/<{ID}:job_id>/run-now", "run_job_now", late("views.job.run_now")),
        (f"/queues/<{NAME}>/pause", "pause_queue", late("views.queues.pause")),
        (f"/queues/<{NAME}>/resume", "resume_queue", late("views.queues.resume")),
        (f"/recurring/<{KEY}>/run", "run_recurring_task", late("views.recurring.run")),
    ),
    Role.ADMIN: (
        ("/failed/retry-all", "retry_all", late("views.lists.retry_all")),
        (f"/<{ANY_LIST}>/discard-all", "discard_all", late("views.lists.discard_all")),
        (f"/queues/<{NAME}>/clear", "clear_queue", late("views.queues.clear")),
        (f"/recurring/<{KEY}>/pause", "pause_recurring_task", late("views.recurring.pause")),
        (f"/recurring/<{KEY}>/resume", "resume_recurring_task", late("views.recurring.resume")),
        (f"/recurring/<{KEY}>/unschedule", "unschedule_recurring_task", late("views.recurring.unschedule")),
    ),
}

#: For machines; they look after themselves who may see what.
OPEN: Table = (("/health", "health", late("views.health.show")), ("/metrics", "metrics", late("views.metrics.show")))


_enter = late("access.enter")


def _guarded(role: Role, view: View) -> View:
    @wraps(view)
    def guard(**arguments: Any) -> Any:
        return _enter(role, view, **arguments)

    return guard


def _add_converter(setup: BlueprintSetupState) -> None:
    setup.app.url_map.converters[CONVERTER] = NameConverter


def add_routes(blueprint: Blueprint) -> None:
    """Give a blueprint all addresses."""
    blueprint.record(_add_converter)
    for rule, endpoint, view in PAGES:
        # With and without the slash at the end: people type "/jobs".
        blueprint.add_url_rule(rule, endpoint, _guarded(Role.VIEWER, view), methods=["GET"], strict_slashes=rule != "/")
    for role, actions in ACTIONS.items():
        for rule, endpoint, view in actions:
            blueprint.add_url_rule(rule, endpoint, _guarded(role, view), methods=["POST"])
    for rule, endpoint, view in OPEN:
        blueprint.add_url_rule(rule, endpoint, view, methods=["GET"])
