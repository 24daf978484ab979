"""How posts rise and sink."""

from datetime import timedelta

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from app.database import now
from app.extensions import db
from app.models import Comment, Post
from app.posts.rankings import BATCH_SIZE, recompute_scores
from app.ranking import FRESH_SCORE, SETTLED_SCORE, score

voices = st.integers(0, 10_000)
ages = st.timedeltas(timedelta(0), timedelta(days=3650))


@given(voices, ages, st.timedeltas(timedelta(minutes=1), timedelta(days=365)))
def test_age_lets_a_post_sink(people: int, age: timedelta, later: timedelta) -> None:
    assert score(people, age + later) < score(people, age)


@given(voices, ages)
def test_every_voice_lifts_a_post(people: int, age: timedelta) -> None:
    assert score(people + 1, age) > score(people, age) > 0


def test_a_clock_that_runs_behind_makes_no_post_fly_away() -> None:
    assert score(0, timedelta(days=-1)) == FRESH_SCORE


def score_of(app: Flask, post_id: int) -> float:
    with app.app_context():
        return db.session.get_one(Post, post_id).score


def comment(app: Flask, post_id: int, *authors: int, ago: timedelta = timedelta(0)) -> None:
    with app.app_context():
        for author in authors:
            db.session.add(Comment(post_id=post_id, author_id=author, body="Text", created_at=now() - ago))
        db.session.commit()


def recompute(app: Flask) -> int:
    with app.app_context():
        return recompute_scores()


def test_recomputing_gives_each_post_the_score_of_its_age_and_voices(app: Flask, make_user, make_post) -> None:
    author, eve, bob = (make_user(name) for name in ("author", "eve", "bob"))
    post = make_post(author_id=author, created_at=now() - timedelta(hours=5))
    comment(app, post, eve, bob)
    assert recompute(app) == 1
    assert score_of(app, post) == pytest.approx(score(2, timedelta(hours=5)), rel=1e-3)


def test_nobody_is_counted_twice_and_no_author_lifts_their_own_post(app: Flask, make_user, make_post) -> None:
    author, eve = make_user("author"), make_user("eve")
    post = make_post(author_id=author)
    comment(app, post, eve, eve, eve, author, author)
    recompute(app)
    assert score_of(app, post) == pytest.approx(score(1, timedelta(0)), rel=1e-2)


def test_a_post_that_has_settled_is_left_alone_until_someone_comments_on_it(app: Flask, make_user, make_post) -> None:
    eve = make_user("eve")
    old = {"score": SETTLED_SCORE / 2, "created_at": now() - timedelta(days=60)}
    post, revived = make_post("Old", **old), make_post("Old, but lively", **old)
    comment(app, post, eve, ago=timedelta(days=30))
    comment(app, revived, eve)
    assert recompute(app) == 1
    assert score_of(app, post) == old["score"]
    assert score_of(app, revived) == pytest.approx(score(1, timedelta(days=60)), rel=1e-3)


def test_many_posts_are_recomputed_in_short_transactions(app: Flask, make_user, statements) -> None:
    author = make_user("author")
    with app.app_context():
        db.session.add_all([Post(title="T", body="B", author_id=author) for _ in range(BATCH_SIZE * 2 + 1)])
        db.session.commit()
    with statements() as sent:
        assert recompute(app) == BATCH_SIZE * 2 + 1
    assert len(sent) == 1 + 3  # what there is, and three batches


def test_recomputing_nothing_is_no_error(app: Flask) -> None:
    assert recompute(app) == 0
