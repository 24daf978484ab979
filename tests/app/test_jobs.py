"""The application's jobs, through the queue's own public API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from app.config import ENVIRONMENTS
from app.database import now
from app.environment import ROOT
from app.extensions import db, queue
from app.jobs import notify_author, recompute_rankings, send_digest, weekly_digest
from app.models import Comment, Post
from app.posts.digest import has_news, last_week, posts_of_week
from flask_queue.testing import assert_enqueued, drain, inline

from .visitor import Visitor

MONDAY = date(2026, 11, 16)


@pytest.fixture
def outbox(tmp_path: Path) -> Callable[[], dict[str, EmailMessage]]:
    """The mails that were sent, by the name of their file."""

    def read() -> dict[str, EmailMessage]:
        paths = sorted((tmp_path / "outbox").glob("*.eml"))
        return {path.stem: message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths}  # type: ignore[misc]

    return read


def comment(visitor: Visitor, post: int, body: str = "Well said.") -> int:
    return visitor.send(f"/posts/{post}/comments", form_on=f"/posts/{post}", body=body).status_code


def waiting(app: Flask) -> int:
    with app.app_context():
        return queue.jobs.ready.count() + queue.jobs.scheduled.count() + queue.jobs.blocked.count()


# --- a mail to the author -------------------------------------------------------------------------


def test_a_comment_is_mailed_to_the_author_of_the_post(app: Flask, ada: Visitor, make_user, make_post, outbox) -> None:
    post = make_post("On lorem & ipsum", author_id=make_user("bob"))
    assert comment(ada, post, "Well <said>.\n\nBut why?") == 302
    with app.app_context():
        assert_enqueued(notify_author, 1)
        assert drain() == 1
    [mail] = outbox().values()
    assert mail["To"] == "bob@mail.example"
    assert mail["Subject"] == "ada commented on “On lorem & ipsum”"
    content = mail.get_content()
    assert "Hello bob," in content
    assert "> Well <said>." in content
    assert "> But why?" in content
    assert f"http://127.0.0.1:8000/posts/{post}#comments" in content


def test_with_inline_the_mail_is_there_when_the_page_is(app: Flask, ada: Visitor, make_post, outbox) -> None:
    post = make_post()
    with app.app_context():
        inlined = inline()
        inlined.__enter__()
    try:
        comment(ada, post)
    finally:
        with app.app_context():
            inlined.__exit__(None, None, None)
    assert list(outbox()) == ["comment-1"]


def test_nobody_is_told_of_their_own_comment(app: Flask, ada: Visitor, make_post) -> None:
    ada.send("/posts", form_on="/posts/new", title="Mine", body="Text")
    comment(ada, 1)
    assert waiting(app) == 0


def test_a_refused_comment_is_told_to_nobody(app: Flask, ada: Visitor, make_post) -> None:
    assert comment(ada, make_post(), "") == 422
    assert waiting(app) == 0


def test_the_job_waits_for_the_commit_and_is_forgotten_on_a_rollback(app: Flask, make_user, make_post) -> None:
    author, post_id = make_user("eve"), make_post()
    with app.app_context():
        post = db.session.get_one(Post, post_id)
        handle = notify_author.enqueue(post.add_comment(post.author, "Text").id)
        assert handle.id is None
        db.session.rollback()
        assert (handle.id, queue.jobs.ready.count()) == (None, 0)

        db.session.add(Comment(post_id=post_id, author_id=author, body="Text"))
        db.session.flush()
        handle = notify_author.enqueue(1)
        db.session.commit()
        assert handle.id is not None
        assert queue.jobs.ready.count() == 1


def test_a_comment_that_is_gone_is_no_failure(app: Flask) -> None:
    with app.app_context():
        handle = notify_author.enqueue(4711)
        drain()
        assert handle.refresh().status == "finished"


def test_a_mail_server_that_is_away_is_tried_again_later(app: Flask, ada: Visitor, make_post) -> None:
    app.config.update(MAIL_BACKEND="smtp", MAIL_SMTP_PORT=1)
    comment(ada, make_post())
    with app.app_context():
        drain()
        [job] = queue.jobs.scheduled.all()
        assert job.name == "app.jobs.notify_author.notify_author"
        assert job.queue == "mailers"


def test_running_twice_sends_one_mail(app: Flask, ada: Visitor, make_post, outbox) -> None:
    comment(ada, make_post())
    with app.app_context():
        notify_author.enqueue(1)
        assert drain() == 2
    assert list(outbox()) == ["comment-1"]


def test_a_queue_that_is_away_does_not_cost_anyone_their_comment(
    app: Flask, ada: Visitor, make_post, caplog: pytest.LogCaptureFixture
) -> None:
    post = make_post()
    with app.app_context(), db.engines["queue"].begin() as connection:
        connection.execute(text("DROP TABLE queue_jobs"))
    assert comment(ada, post, "Still here.") == 302
    assert "Still here." in ada.open(f"/posts/{post}").text
    assert "no such table" in caplog.text


# --- rankings -------------------------------------------------------------------------------------


def test_rankings_are_recomputed_once_however_often_it_is_asked_for(app: Flask, make_post) -> None:
    post = make_post(score=99.0, created_at=now() - timedelta(hours=10))
    with app.app_context():
        assert [recompute_rankings.enqueue().enqueued for _ in range(3)] == [True, False, False]
        assert drain() == 1
        assert db.session.get_one(Post, post).score < 1


# --- the weekly digest ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("today", "monday"),
    [
        (date(2026, 11, 23), date(2026, 11, 16)),
        (date(2026, 11, 24), date(2026, 11, 16)),
        (date(2026, 11, 29), date(2026, 11, 16)),
        (date(2026, 11, 30), date(2026, 11, 23)),
        (date(2026, 1, 1), date(2025, 12, 22)),
    ],
)
def test_last_week_is_the_last_one_from_monday_to_sunday(today: date, monday: date) -> None:
    assert last_week(today) == monday


def test_everyone_gets_a_digest_of_their_own(app: Flask, make_user, make_post, outbox) -> None:
    monday = last_week(now().date())
    author = make_user("ada")
    make_user("bob")
    make_post("Quiet", author_id=author, created_at=datetime.combine(monday, datetime.min.time(), UTC), comment_count=1)
    make_post("Loud", author_id=author, created_at=datetime.combine(monday, datetime.min.time(), UTC), comment_count=7)
    with app.app_context():
        weekly_digest.enqueue()
        assert drain() == 1 + 2
    mails = outbox()
    assert {mail["To"] for mail in mails.values()} == {"ada@mail.example", "bob@mail.example"}
    for mail in mails.values():
        content = mail.get_content()
        assert content.index("1. Loud") < content.index("2. Quiet")
        assert "7 comments, posted by ada" in content


def test_a_week_without_posts_makes_no_mails(app: Flask, make_user, make_post) -> None:
    make_post(created_at=now() - timedelta(days=60))
    with app.app_context():
        weekly_digest.enqueue()
        assert drain() == 1


def test_no_more_than_two_digests_are_sent_at_a_time(app: Flask, make_user, make_post) -> None:
    for name in ("ada", "bob", "eve", "sam"):
        make_user(name)
    make_post(created_at=datetime.combine(last_week(now().date()), datetime.min.time(), UTC))
    with app.app_context():
        weekly_digest()
        assert (queue.jobs.ready.count(), queue.jobs.blocked.count()) == (2, 3)
        assert drain() == 5


def test_a_digest_is_of_its_own_week_whenever_it_is_sent(app: Flask, make_user, make_post, outbox) -> None:
    user = make_user("ada")
    for title, day in (("Before", 15), ("First", 16), ("Last", 22), ("After", 23)):
        make_post(title, author_id=user, created_at=datetime(2026, 11, day, 23, 59, 59, 999_999, tzinfo=UTC))
    with app.app_context():
        assert {post.title for post in posts_of_week(MONDAY)} == {"First", "Last"}
        assert has_news(MONDAY)
        send_digest.enqueue(user, MONDAY)
        drain()
    assert outbox()["digest-2026-47-user-1"]["Subject"] == "Lorem News, week 47 of 2026"


def test_a_digest_for_a_closed_account_is_no_failure(app: Flask) -> None:
    with app.app_context():
        handle = send_digest.enqueue(4711, MONDAY)
        drain()
        assert handle.refresh().status == "finished"


# --- as a whole -----------------------------------------------------------------------------------


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_the_configuration_files_name_exists(make_app, environment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(QUEUE_ENVIRONMENT=environment, SECRET_KEY="a-secret-that-nobody-knows")
    with app.app_context():
        configuration = queue.configuration()
        assert configuration.problems == ()
        assert {task.key for task in configuration.recurring_tasks} >= {"recompute_rankings", "weekly_digest"}


def test_all_jobs_are_known_once_the_application_is() -> None:
    for name in ("notify_author", "recompute_rankings", "send_digest", "weekly_digest"):
        assert queue.find_definition(f"app.jobs.{name}.{name}")


def test_a_job_only_delegates() -> None:
    for path in (ROOT / "app" / "jobs").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 50, f"{path.name} does too much itself"
