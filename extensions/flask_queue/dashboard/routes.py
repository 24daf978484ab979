"""Every address of the dashboard with the least role that may use it. What is not in these tables does not exist.

Changes are forms that are posted; asked for with GET their addresses answer 405.
"""

from __future__ import annotations

from functools import partial

from flask import Blueprint
from flask.sansio.blueprints import BlueprintSetupState

from .access import Role, View, guarded
from .addresses import NameConverter
from .listings import LISTINGS
from .views import health, job, lists, metrics, overview, processes, queues, recurring, theme

CONVERTER = "flask_queue_name"
#: Row ids are 64-bit integers; a longer number is no address.
ID = "int(max=9223372036854775807)"
NAME = f"{CONVERTER}:name"
KEY = f"{CONVERTER}:key"
ANY_LIST = f"any({', '.join(repr(listing.slug) for listing in LISTINGS.values())}):slug"

Table = tuple[tuple[str, str, View], ...]

PAGES: Table = (
    ("/", "overview", overview.show),
    *((f"/{listing.slug}", listing.endpoint, partial(lists.show, listing)) for listing in LISTINGS.values()),
    (f"/<{ID}:job_id>", "job", job.show),
    ("/queues", "queues", queues.index),
    (f"/queues/<{NAME}>", "queue", queues.show),
    ("/processes", "processes", processes.index),
    (f"/processes/<{ID}:process_id>", "process", processes.show),
    ("/recurring", "recurring", recurring.index),
    (f"/recurring/<{KEY}>", "recurring_task", recurring.show),
)

ACTIONS: dict[Role, Table] = {
    Role.VIEWER: (("/theme", "choose_theme", theme.choose),),
    Role.OPERATOR: (
        (f"/<{ID}:job_id>/retry", "retry_job", job.retry),
        (f"/<{ID}:job_id>/discard", "discard_job", job.discard),
        (f"/<{ID}:job_id>/run-now", "run_job_now", job.run_now),
        (f"/queues/<{NAME}>/pause", "pause_queue", queues.pause),
        (f"/queues/<{NAME}>/resume", "resume_queue", queues.resume),
        (f"/recurring/<{KEY}>/run", "run_recurring_task", recurring.run),
    ),
    Role.ADMIN: (
        ("/failed/retry-all", "retry_all", lists.retry_all),
        (f"/<{ANY_LIST}>/discard-all", "discard_all", lists.discard_all),
        (f"/queues/<{NAME}>/clear", "clear_queue", queues.clear),
        (f"/recurring/<{KEY}>/pause", "pause_recurring_task", recurring.pause),
        (f"/recurring/<{KEY}>/resume", "resume_recurring_task", recurring.resume),
        (f"/recurring/<{KEY}>/unschedule", "unschedule_recurring_task", recurring.unschedule),
    ),
}

#: For machines; they look after themselves who may see what.
OPEN: Table = (("/health", "health", health.show), ("/metrics", "metrics", metrics.show))


def _add_converter(setup: BlueprintSetupState) -> None:
    setup.app.url_map.converters[CONVERTER] = NameConverter


def add_routes(blueprint: Blueprint) -> None:
    """Give a blueprint all addresses."""
    blueprint.record(_add_converter)
    for rule, endpoint, view in PAGES:
        # With and without the slash at the end: people type "/jobs".
        blueprint.add_url_rule(rule, endpoint, guarded(Role.VIEWER, view), methods=["GET"], strict_slashes=rule != "/")
    for role, actions in ACTIONS.items():
        for rule, endpoint, view in actions:
            blueprint.add_url_rule(rule, endpoint, guarded(role, view), methods=["POST"])
    for rule, endpoint, view in OPEN:
        blueprint.add_url_rule(rule, endpoint, view, methods=["GET"])
