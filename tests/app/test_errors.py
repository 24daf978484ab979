"""What someone sees when something goes wrong."""

from collections.abc import Callable

import pytest
from flask import Flask, abort
from sqlalchemy import text

from app.extensions import db

from .visitor import Visitor


@pytest.fixture
def broken(make_app: Callable[..., Flask]) -> Flask:
    """An application with pages that go wrong, and error pages as in production."""
    app = make_app(PROPAGATE_EXCEPTIONS=False)
    app.add_url_rule("/<int:code>", "fail", abort)
    app.add_url_rule("/bug", "bug", lambda: 1 / 0)
    app.add_url_rule("/said", "said", lambda: abort(403, "Only on Sundays."))
    with app.app_context():
        db.create_all()
    return app


@pytest.mark.parametrize("code", [400, 403, 404, 405, 413, 500, 503])
def test_every_error_has_a_page_that_says_what_to_do(broken: Flask, code: int) -> None:
    response = Visitor(broken).open(f"/{code}")
    assert response.status_code == code
    assert str(code) in response.text
    assert "To the front page" in response.text


def test_a_bug_is_logged_and_not_shown(broken: Flask, caplog: pytest.LogCaptureFixture) -> None:
    response = Visitor(broken).open("/bug")
    assert response.status_code == 500
    assert "ZeroDivisionError" not in response.text
    assert "ZeroDivisionError" in caplog.text


def test_what_the_code_that_refused_said_is_shown(broken: Flask) -> None:
    assert "Only on Sundays." in Visitor(broken).open("/said").text


@pytest.mark.parametrize("path", ["/", "/posts/1"])
def test_a_database_that_does_not_answer_is_a_503_that_needs_no_database(
    broken: Flask, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    visitor = Visitor(broken)
    with visitor.client.session_transaction() as session:
        session["_user_id"] = "1"  # who is logged in would have to be asked of the database
    with broken.app_context():
        db.session.execute(text("PRAGMA foreign_keys = OFF"))
        for table in ("comments", "posts", "users"):
            db.session.execute(text(f"DROP TABLE {table}"))
        db.session.commit()
    response = visitor.open(path)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "10"
    assert "no such table" in caplog.text
    assert "no such table" not in response.text


def test_a_request_that_is_too_large_is_refused(make_app: Callable[..., Flask]) -> None:
    app = make_app(MAX_CONTENT_LENGTH=1000)
    response = app.test_client().post("/login", data={"username": "x" * 2000})
    assert response.status_code == 413


def test_after_a_failed_statement_the_next_request_works(broken: Flask) -> None:
    def fail() -> str:
        db.session.execute(text("SELECT * FROM nowhere"))
        return ""

    broken.add_url_rule("/fail", "failing", fail)
    visitor = Visitor(broken)
    assert visitor.open("/fail").status_code == 503
    assert visitor.open("/").status_code == 200
