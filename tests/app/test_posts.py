"""The front page, posts, and what may be in them."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.database import now
from app.extensions import db
from app.models import Post, User

from .visitor import Visitor


def only_post(app: Flask) -> Post:
    with app.app_context():
        return db.session.scalars(select(Post)).one()


def posts(app: Flask) -> int:
    with app.app_context():
        return len(db.session.scalars(select(Post)).all())


def publish(visitor: Visitor, **fields: str):
    return visitor.send("/posts", form_on="/posts/new", **{"title": "", "url": "", "body": "", **fields})


def test_publishing_leads_to_the_new_post(app: Flask, ada: Visitor) -> None:
    response = publish(ada, title="  On   lorem \n ipsum ", url="https://example.org/a?b=c#d", body=" Dolor\r\n\r\nsit. ")
    post = only_post(app)
    assert response.location == f"/posts/{post.id}"
    assert (post.title, post.url, post.body) == ("On lorem ipsum", "https://example.org/a?b=c#d", "Dolor\n\nsit.")
    assert abs(now() - post.created_at) < timedelta(seconds=10)


def test_a_new_post_is_on_the_front_page_at_once(ada: Visitor) -> None:
    publish(ada, title="Fresh", body="Text")
    assert "Fresh" in ada.open("/").text


def test_publishing_needs_an_account(visitor: Visitor) -> None:
    assert visitor.open("/posts/new").location == "/login?next=%2Fposts%2Fnew"


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "", "body": "Text"},
        {"title": " \t ", "body": "Text"},
        {"title": "x" * 201, "body": "Text"},
        {"title": "Neither link nor text"},
        {"title": "Blank text", "body": " \n "},
        {"title": "Long", "body": "x" * 10_001},
        {"title": "Script", "url": "javascript:alert(1)"},
        {"title": "Script", "url": "javascript://example.org/%0aalert(1)"},
        {"title": "Data", "url": "data:text/html,<script>alert(1)</script>"},
        {"title": "No host", "url": "https://"},
        {"title": "No scheme", "url": "example.org"},
        {"title": "Broken", "url": "http://[::1"},
        {"title": "Long", "url": "https://example.org/" + "x" * 2000},
    ],
)
def test_what_makes_no_post_is_refused_and_kept_in_the_form(app: Flask, ada: Visitor, fields: dict[str, str]) -> None:
    response = publish(ada, **fields)
    assert response.status_code == 422
    assert 'aria-invalid="true"' in response.text
    assert posts(app) == 0


def test_what_people_write_is_text_and_never_markup(ada: Visitor) -> None:
    response = publish(ada, title="<script>alert(1)</script>", body='<img src=x onerror="alert(1)">')
    for page in (ada.open(response.location).text, ada.open("/").text):
        assert "<script>" not in page
        assert "<img" not in page
        assert "&lt;script&gt;" in page


def test_letters_of_all_the_world_come_back_and_control_characters_do_not(app: Flask, ada: Visitor) -> None:
    publish(ada, title="Ægir\x00 日本\x1b 🙂", body="a\x00b\x07c\x1b[31md")
    post = only_post(app)
    assert (post.title, post.body) == ("Ægir 日本 🙂", "abc[31md")


def test_the_front_page_shows_the_highest_score_first(visitor: Visitor, make_post: Callable[..., int]) -> None:
    for title, score in (("Second", 2.0), ("First", 3.0), ("Third", 1.0)):
        make_post(title, score=score)
    page = visitor.open("/").text
    assert page.index("First") < page.index("Second") < page.index("Third")


def test_the_newest_posts_have_a_page_of_their_own(visitor: Visitor, make_post: Callable[..., int]) -> None:
    make_post("Older but better", score=9.0, created_at=now() - timedelta(days=1))
    make_post("Newer", score=0.1)
    page = visitor.open("/newest").text
    assert page.index("Newer") < page.index("Older but better")


def test_each_post_is_on_exactly_one_page(app: Flask, visitor: Visitor, make_post: Callable[..., int], make_user) -> None:
    app.config["POSTS_PER_PAGE"] = 2
    author = make_user("bob")
    for number in range(5):
        make_post(f"Post number {number}.", author_id=author, score=1.0)
    pages = [visitor.open(f"/?page={page}").text for page in (1, 2, 3)]
    for number in range(5):
        assert sum(f"Post number {number}." in page for page in pages) == 1
    assert ['rel="next"' in page for page in pages] == [True, True, False]
    assert ['rel="prev"' in page for page in pages] == [False, True, True]


@pytest.mark.parametrize("page", ["0", "-1", "2", "x", "", "1.5", "1e3", "99999999999999999999", "0000000001" + "9" * 20, "٣"])
def test_a_page_that_does_not_exist_is_not_found(visitor: Visitor, make_post: Callable[..., int], page: str) -> None:
    make_post()
    assert visitor.open("/", query_string={"page": page}).status_code == 404


@pytest.mark.parametrize("post_id", ["0", "1", "-1", "x", "2147483648", "9" * 40])
def test_a_post_that_does_not_exist_is_not_found(visitor: Visitor, post_id: str) -> None:
    assert visitor.open(f"/posts/{post_id}").status_code == 404


def test_an_empty_site_invites_to_write(visitor: Visitor) -> None:
    assert "Nothing has been said yet" in visitor.open("/").text


def test_the_front_page_takes_the_same_number_of_statements_however_many_posts_there_are(
    app: Flask, visitor: Visitor, make_post: Callable[..., int], statements: Callable[[], list[str]]
) -> None:
    make_post()
    with statements() as few:
        visitor.open("/")
    for _ in range(5):
        make_post()
    with statements() as many:
        visitor.open("/")
    assert len(few) == len(many) == 1


@pytest.mark.parametrize(
    "values", [{"title": ""}, {"url": None, "body": None}, {"comment_count": -1}, {"author_id": 4711}, {"title": None}]
)
def test_the_database_refuses_what_the_forms_should_have(app: Flask, make_user: Callable[..., int], values: dict) -> None:
    author_id = make_user("bob")
    with app.app_context():
        db.session.add(Post(**{"title": "T", "body": "B", "author_id": author_id, **values}))
        with pytest.raises(IntegrityError):
            db.session.commit()


def test_who_leaves_takes_their_posts_along(app: Flask, make_user: Callable[..., int], make_post: Callable[..., int]) -> None:
    make_post(author_id=make_user("bob"))
    with app.app_context():
        db.session.delete(User.named("bob"))
        db.session.commit()
    assert posts(app) == 0


@pytest.mark.parametrize(
    ("url", "site"),
    [("https://www.example.org/a", "example.org"), ("http://example.org:8080", "example.org"), (None, "")],
)
def test_the_site_of_a_link_is_its_host(url: str | None, site: str) -> None:
    assert Post(url=url).site == site
