"""The application's jobs. Importing this package registers them all, so that a worker knows them by name."""

from app.jobs.notify_author import notify_author
from app.jobs.recompute_rankings import recompute_rankings
from app.jobs.send_digest import send_digest
from app.jobs.weekly_digest import weekly_digest

__all__ = ["notify_author", "recompute_rankings", "send_digest", "weekly_digest"]
