"""Let posts rise and sink. `config/recurring.yml` runs it every 10 minutes."""

from datetime import timedelta

from app.extensions import queue
from app.posts.rankings import recompute_scores
from flask_queue import Concurrency


@queue.job(
    queue="maintenance",
    priority=10,
    # Two at once would write the same rows, and the second would find nothing to change: one is enough.
    concurrency=Concurrency(to=1, duration=timedelta(minutes=10), on_conflict="discard"),
)
def recompute_rankings() -> None:
    recompute_scores()
