"""Pages about accounts."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user
from sqlalchemy.exc import IntegrityError

from app.accounts.forms import LogInForm, SignUpForm
from app.accounts.redirects import next_page
from app.extensions import db, login_manager
from app.models import Post, User
from app.pagination import page_of

bp = Blueprint("accounts", __name__)

LARGEST_ID = 2**31 - 1


@login_manager.user_loader
def load_user(user_id: str) -> User | None:
    return db.session.get(User, int(user_id)) if user_id.isdecimal() and int(user_id) <= LARGEST_ID else None


@bp.route("/signup", methods=["GET", "POST"])
def sign_up() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(next_page())
    form = SignUpForm()
    if form.validate_on_submit() and (user := _created(form)):
        login_user(user)
        flash(f"Welcome to Lorem News, {user.username}.", "success")
        return redirect(next_page())
    return render_template("accounts/signup.html", form=form), 422 if form.errors else 200


@bp.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    if current_user.is_authenticated:
        return redirect(next_page())
    form = LogInForm()
    if form.validate_on_submit():
        if user := User.authenticated(form.username.data, form.password.data):
            login_user(user)
            return redirect(next_page())
        form.password.errors = ["Name and password do not match."]
    return render_template("accounts/login.html", form=form), 422 if form.errors else 200


@bp.post("/logout")
def logout() -> ResponseReturnValue:
    """A POST, so that no link or image on another site can log anyone out."""
    logout_user()
    flash("You are logged out.", "info")
    return redirect(url_for("posts.index"))


@bp.get("/users/<username>")
def profile(username: str) -> ResponseReturnValue:
    user = User.named(username) or abort(404)
    page = page_of(Post.newest().where(Post.author_id == user.id), size="POSTS_PER_PAGE")
    return render_template("accounts/profile.html", user=user, page=page)


def _created(form: SignUpForm) -> User | None:
    """The new account, or None if someone took its name or address since the form was checked."""
    user = User(username=form.username.data, email=form.email.data)
    user.set_password(form.password.data)
    db.session.add(user)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        form.username.errors = ["This name or address has just been taken."]
        return None
    return user
