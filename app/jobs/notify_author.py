"""Tell a post's author that somebody has commented."""

from sqlalchemy.exc import NoResultFound

from app.comments.notifications import notify_author_of
from app.extensions import db, queue
from app.models import Comment
from flask_queue import Retry


@queue.job(
    queue="mailers",
    retry=Retry(attempts=5, on=(OSError,), wait="polynomial"),  # the mail server is away; smtplib's errors are OSErrors
    discard_on=(NoResultFound,),  # the comment is gone, and with it the reason to write
    on_crash="retry",  # sent twice, the mail has the same id
    after_commit=True,  # enqueued in the transaction that makes the comment, which the worker must be able to see
)
def notify_author(comment_id: int) -> None:
    notify_author_of(db.session.get_one(Comment, comment_id))
