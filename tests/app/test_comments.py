"""Comments below a post."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.extensions import db
from app.models import Comment, Post

from .visitor import Visitor


def bodies(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(Comment.body).order_by(Comment.id)))


def count(app: Flask, post_id: int) -> int:
    with app.app_context():
        return db.session.get_one(Post, post_id).comment_count


def test_a_comment_is_shown_below_its_post_and_counted(app: Flask, ada: Visitor, make_post: Callable[..., int]) -> None:
    post = make_post()
    response = ada.send(f"/posts/{post}/comments", form_on=f"/posts/{post}", body=" Well\r\nsaid. ")
    assert response.location == f"/posts/{post}#comment-1"
    assert "Well\nsaid." in ada.open(f"/posts/{post}").text
    assert count(app, post) == 1


@pytest.mark.parametrize("body", ["", " \n\t ", "x" * 5_001, "\x00"])
def test_a_comment_that_says_nothing_or_too_much_is_refused(
    app: Flask, ada: Visitor, make_post: Callable[..., int], body: str
) -> None:
    post = make_post()
    response = ada.send(f"/posts/{post}/comments", form_on=f"/posts/{post}", body=body)
    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.text
    assert bodies(app) == []
    assert count(app, post) == 0


def test_only_members_comment(app: Flask, visitor: Visitor, make_post: Callable[..., int]) -> None:
    post = make_post()
    assert "Log in" in visitor.open(f"/posts/{post}").text
    response = visitor.send(f"/posts/{post}/comments", form_on="/login", body="Hello")
    assert response.location.startswith("/login")
    assert bodies(app) == []


def test_who_had_to_log_in_to_comment_comes_back_to_the_post(visitor: Visitor, make_post: Callable[..., int]) -> None:
    post = make_post()
    assert visitor.open(f"/posts/{post}/comments").location == f"/posts/{post}#comments"


def test_a_comment_on_nothing_is_not_found(app: Flask, ada: Visitor) -> None:
    assert ada.send("/posts/1/comments", form_on="/posts/new", body="Hello").status_code == 404


def test_a_comment_is_text_and_never_markup(ada: Visitor, make_post: Callable[..., int]) -> None:
    post = make_post()
    ada.send(f"/posts/{post}/comments", form_on=f"/posts/{post}", body="<script>alert(1)</script>")
    page = ada.open(f"/posts/{post}").text
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_a_comment_leads_to_the_page_it_is_on(app: Flask, ada: Visitor, make_post: Callable[..., int]) -> None:
    app.config["COMMENTS_PER_PAGE"] = 2
    post = make_post()
    locations = [
        ada.send(f"/posts/{post}/comments", form_on=f"/posts/{post}", body=f"Number {number}.").location for number in (1, 2, 3)
    ]
    assert locations[1] == f"/posts/{post}#comment-2"
    assert locations[2] == f"/posts/{post}?page=2#comment-3"
    assert "Number 3." in ada.open(f"/posts/{post}?page=2").text
    assert "Number 3." not in ada.open(f"/posts/{post}").text


def test_comments_are_counted_by_the_database_and_not_from_what_was_read_before(
    app: Flask, make_user: Callable[..., int], make_post: Callable[..., int]
) -> None:
    author = make_user("bob")
    post_id = make_post(author_id=author)
    with app.app_context():
        post = db.session.get_one(Post, post_id)
        assert post.comment_count == 0  # read, and then someone else is faster
        with app.app_context():
            other = db.session.get_one(Post, post_id)
            other.add_comment(other.author, "First")
            db.session.commit()
        post.add_comment(post.author, "Second")
        db.session.commit()
    assert count(app, post_id) == 2


def test_a_post_takes_its_comments_along(app: Flask, ada: Visitor, make_post: Callable[..., int]) -> None:
    post = make_post()
    ada.send(f"/posts/{post}/comments", form_on=f"/posts/{post}", body="Hello")
    with app.app_context():
        db.session.delete(db.session.get_one(Post, post))
        db.session.commit()
    assert bodies(app) == []


@pytest.mark.parametrize("values", [{"body": ""}, {"post_id": 4711}, {"author_id": 4711}])
def test_the_database_refuses_what_the_form_should_have(
    app: Flask, make_user: Callable[..., int], make_post: Callable[..., int], values: dict[str, object]
) -> None:
    author = make_user("bob")
    post = make_post(author_id=author)
    with app.app_context():
        db.session.add(Comment(**{"body": "B", "post_id": post, "author_id": author, **values}))
        with pytest.raises(IntegrityError):
            db.session.commit()
