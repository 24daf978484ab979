"""Send everyone the digest of the past week. `config/recurring.yml` runs it on Monday morning.

It only hands out the work, a job for each user: a mail that fails is sent again without the others.
"""

from app.database import now
from app.extensions import db, queue
from app.jobs.send_digest import send_digest
from app.models import User
from app.posts.digest import has_news, last_week


@queue.job
def weekly_digest() -> None:
    monday = last_week(now().date())
    if has_news(monday):
        queue.enqueue_all([send_digest.build(user_id, monday) for user_id in db.session.scalars(User.ids())])
