"""`flask seed` and `flask set-password`."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy import func, select

from app.database import now
from app.extensions import db
from app.models import Comment, Post, User

from .visitor import Visitor

FEW = ["seed", "--users", "5", "--posts", "20", "--comments", "60"]


def counts(app: Flask) -> tuple[int, ...]:
    with app.app_context():
        return tuple(db.session.scalar(select(func.count()).select_from(model)) or 0 for model in (User, Post, Comment))


def password(output: str) -> str:
    found = re.search(r"Log in as (\S+) with the password (\S+)", output)
    assert found, output
    return found[2]


def test_seeding_fills_the_site(app: Flask, runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=FEW)
    assert result.exit_code == 0, result.output
    assert counts(app) == (5 + 1, 20, 60)
    assert "Made 5 users, 20 posts and 60 comments." in result.output


def test_by_default_there_is_enough_to_look_at(app: Flask, runner: FlaskCliRunner) -> None:
    runner.invoke(args=["seed"])
    assert counts(app) == (100 + 1, 1_000, 10_000)


def test_the_admin_can_log_in_with_the_printed_password(app: Flask, runner: FlaskCliRunner) -> None:
    output = runner.invoke(args=FEW).output
    admin = Visitor(app)
    assert admin.log_in("admin", password(output)).status_code == 302
    with app.app_context():
        assert [user.username for user in db.session.scalars(select(User).where(User.is_admin))] == ["admin"]


def test_seeding_again_changes_nothing_and_says_so(app: Flask, runner: FlaskCliRunner) -> None:
    runner.invoke(args=FEW)
    result = runner.invoke(args=FEW)
    assert result.exit_code == 0
    assert "There are posts already." in result.output
    assert counts(app) == (6, 20, 60)


def test_force_adds_more_and_keeps_the_admin(app: Flask, runner: FlaskCliRunner) -> None:
    first = password(runner.invoke(args=FEW).output)
    result = runner.invoke(args=[*FEW, "--force"])
    assert result.exit_code == 0, result.output
    assert counts(app) == (11, 40, 120)
    assert "flask set-password admin" in result.output
    assert Visitor(app).log_in("admin", first).status_code == 302


def test_reset_starts_anew(app: Flask, runner: FlaskCliRunner, make_post: Callable[..., int]) -> None:
    make_post()
    result = runner.invoke(args=[*FEW, "--reset"])
    assert result.exit_code == 0, result.output
    assert counts(app) == (6, 20, 60)


def test_what_is_made_up_hangs_together(app: Flask, runner: FlaskCliRunner) -> None:
    runner.invoke(args=FEW)
    with app.app_context():
        posts = db.session.scalars(select(Post)).all()
        assert sum(post.comment_count for post in posts) == 60
        for post in posts:
            assert post.comment_count == len(post.comments)
            assert all(post.created_at <= comment.created_at <= now() for comment in post.comments)
            assert post.author.created_at <= post.created_at <= now()
        assert len({post.score for post in posts}) > 1
        assert [post.id for post in sorted(posts, key=lambda post: post.created_at)] == [post.id for post in posts]


def test_the_same_site_is_made_up_each_time(make_app: Callable[..., Flask], tmp_path) -> None:
    titles = []
    for name in ("a", "b"):
        app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / name}.sqlite3")
        with app.app_context():
            db.create_all()
        app.test_cli_runner().invoke(args=FEW)
        with app.app_context():
            titles.append(db.session.scalars(select(Post.title).order_by(Post.id)).all())
    assert titles[0] == titles[1]


def test_nobody_can_log_in_as_someone_made_up(app: Flask, runner: FlaskCliRunner) -> None:
    runner.invoke(args=FEW)
    with app.app_context():
        name = db.session.scalar(select(User.username).where(~User.is_admin))
    for guess in ("!", "password", "lorem", ""):
        assert Visitor(app).log_in(name, guess).status_code == 422


def test_a_seed_that_fails_leaves_nothing(app: Flask, runner: FlaskCliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_post: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.seeding._count_comments", fail)
    assert runner.invoke(args=FEW).exit_code != 0
    assert counts(app) == (0, 0, 0)


@pytest.mark.parametrize("command", [FEW, ["set-password", "ada"]])
def test_without_tables_a_command_says_what_to_do(make_app: Callable[..., Flask], command: list[str]) -> None:
    result = make_app().test_cli_runner().invoke(args=command)
    assert result.exit_code == 1
    assert result.output == "Error: The primary database has no tables yet. Make them with: flask db upgrade\n"


def test_a_new_password_replaces_the_old(app: Flask, runner: FlaskCliRunner, make_user: Callable[..., int]) -> None:
    make_user("ada")
    new = password(runner.invoke(args=["set-password", "ada"]).output)
    assert Visitor(app).log_in("ada").status_code == 422
    assert Visitor(app).log_in("ada", new).status_code == 302


def test_nobody_gets_a_password_who_has_no_account(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["set-password", "ada"])
    assert (result.exit_code, result.output) == (1, "Error: There is no account named 'ada'.\n")
