"""The application's commands: `flask seed` fills a new site, `flask set-password` lets an account in again."""

import secrets

import click
from flask import Flask
from flask.cli import with_appcontext

from app import seeding
from app.extensions import db
from app.models import User
from app.posts.rankings import recompute_scores
from app.readiness import require_tables


def init_app(app: Flask) -> None:
    app.cli.add_command(seed)
    app.cli.add_command(set_password)


@click.command()
@click.option("--users", type=click.IntRange(1), default=100, show_default=True)
@click.option("--posts", type=click.IntRange(0), default=1_000, show_default=True)
@click.option("--comments", type=click.IntRange(0), default=10_000, show_default=True)
@click.option("--force", is_flag=True, help="Add more, even though there are posts already.")
@click.option("--reset", is_flag=True, help="Delete all accounts, posts and comments first.")
@with_appcontext
def seed(users: int, posts: int, comments: int, *, force: bool, reset: bool) -> None:
    """Fill the site with people, posts and comments, and make an admin account.

    Does nothing where there are posts already, so that it can be part of every start.
    """
    require_tables()
    if reset:
        seeding.clear()
    elif seeding.is_seeded() and not force:
        click.echo("There are posts already. Add more with --force, or start anew with --reset.")
        return
    with click.progressbar(length=users + posts + comments, label="Seeding") as bar:
        seeding.fill(users, posts, comments, advance=bar.update)
    db.session.commit()
    recompute_scores()
    click.echo(f"Made {users} users, {posts} posts and {comments} comments.")
    _make_admin()


@click.command("set-password")
@click.argument("username")
@with_appcontext
def set_password(username: str) -> None:
    """Give an account a new password, and print it."""
    require_tables()
    user = User.named(username)
    if user is None:
        raise click.ClickException(f"There is no account named {username!r}.")
    _renew_password(user)


def _make_admin() -> None:
    admin = User.named(seeding.ADMIN)
    if admin is not None:
        click.echo(f"The admin is {admin.username}, as before. Forgot the password? flask set-password {admin.username}")
        return
    admin = User(username=seeding.ADMIN, email=f"{seeding.ADMIN}@lorem.example", is_admin=True)
    db.session.add(admin)
    _renew_password(admin)


def _renew_password(user: User) -> None:
    password = secrets.token_urlsafe(12)
    user.set_password(password)
    db.session.commit()
    click.echo(f"Log in as {user.username} with the password {password}")
