"""Send one user the digest of one week."""

from datetime import date

from sqlalchemy.exc import NoResultFound

from app.extensions import db, queue
from app.models import User
from app.posts.digest import send_digest_to
from flask_queue import Concurrency, Retry


@queue.job(
    queue="mailers",
    priority=20,  # after the notifications, which someone is waiting for
    retry=Retry(attempts=5, on=(OSError,), wait="polynomial"),
    discard_on=(NoResultFound,),  # the account was closed since
    concurrency=Concurrency(to=2),  # all of them together: be gentle with the mail server
    on_crash="retry",
)
def send_digest(user_id: int, monday: date) -> None:
    send_digest_to(db.session.get_one(User, user_id), monday)
