"""Making a comment."""

from flask import Blueprint, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app.comments.forms import CommentForm
from app.extensions import db
from app.jobs.notify_author import notify_author
from app.models import Comment, Post
from app.pagination import last_page, page_of
from flask_queue.errors import EnqueueError

bp = Blueprint("comments", __name__)


@bp.post("/posts/<id:post_id>/comments")
@login_required
def create(post_id: int) -> ResponseReturnValue:
    """Add a comment. Its post's author hears of it once it is committed, and not at all if it is not."""
    post = db.get_or_404(Post, post_id)
    form = CommentForm()
    if not form.validate():
        page = page_of(Comment.below(post_id), size="COMMENTS_PER_PAGE")
        return render_template("posts/show.html", post=post, page=page, form=form), 422
    comment = post.add_comment(current_user, form.body.data)
    if comment.author_id != post.author_id:
        notify_author.enqueue(comment.id)
    comment_id = comment.id
    _commit()
    flash("Your comment is published.", "success")
    return redirect(_address(post_id, comment_id))


@bp.get("/posts/<id:post_id>/comments")
def index(post_id: int) -> ResponseReturnValue:
    """Where a login leads that a comment was the reason for: to the post."""
    return redirect(url_for("posts.show", post_id=post_id, _anchor="comments"))


def _commit() -> None:
    """Commit, with which the job is enqueued. A queue that is away costs the author the mail, and nobody the comment."""
    try:
        db.session.commit()
    except EnqueueError as error:
        current_app.logger.error("A comment is published, but nobody is told: %s", error, exc_info=error)


def _address(post_id: int, comment_id: int) -> str:
    """Where the newest comment of a post is."""
    page = last_page(Comment.below(post_id), size="COMMENTS_PER_PAGE")
    number = page if page > 1 else None
    return url_for("posts.show", post_id=post_id, page=number, _anchor=f"comment-{comment_id}")
