"""Pages about posts."""

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app.comments.forms import CommentForm
from app.extensions import db
from app.models import Comment, Post
from app.pagination import page_of
from app.posts.forms import PostForm

bp = Blueprint("posts", __name__)


@bp.get("/")
def index() -> ResponseReturnValue:
    """The front page."""
    return render_template("posts/index.html", page=page_of(Post.ranked(), size="POSTS_PER_PAGE"), ranked=True)


@bp.get("/newest")
def newest() -> ResponseReturnValue:
    return render_template("posts/index.html", page=page_of(Post.newest(), size="POSTS_PER_PAGE"), ranked=False)


@bp.get("/posts/<id:post_id>")
def show(post_id: int) -> ResponseReturnValue:
    post = db.get_or_404(Post, post_id)
    page = page_of(Comment.below(post_id), size="COMMENTS_PER_PAGE")
    return render_template("posts/show.html", post=post, page=page, form=CommentForm())


@bp.get("/posts/new")
@login_required
def new() -> ResponseReturnValue:
    return render_template("posts/new.html", form=PostForm())


@bp.post("/posts")
@login_required
def create() -> ResponseReturnValue:
    form = PostForm()
    if not form.validate():
        return render_template("posts/new.html", form=form), 422
    post = Post(author=current_user, title=form.title.data, url=form.url.data or None, body=form.body.data or None)
    db.session.add(post)
    db.session.commit()
    return redirect(url_for(".show", post_id=post.id))
