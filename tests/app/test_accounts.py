"""Signing up, logging in and out."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.extensions import db
from app.models import User

from .visitor import PASSWORD, Visitor


def sign_up(visitor: Visitor, username: str = "ada", email: str = "ada@mail.example", password: str = PASSWORD) -> TestResponse:
    return visitor.send("/signup", username=username, email=email, password=password)


def usernames(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(select(User.username)))


def test_signing_up_makes_an_account_and_logs_in(app: Flask, visitor: Visitor) -> None:
    assert sign_up(visitor).status_code == 302
    assert usernames(app) == ["ada"]
    assert visitor.is_logged_in()


def test_a_password_is_never_stored_as_it_was_typed(app: Flask, visitor: Visitor) -> None:
    sign_up(visitor)
    with app.app_context():
        user = db.session.scalars(select(User)).one()
        assert PASSWORD not in user.password_hash
        assert User.authenticated("ada", PASSWORD) == user


def test_nobody_becomes_an_admin_by_asking_for_it(app: Flask, visitor: Visitor) -> None:
    fields = {"username": "eve", "email": "eve@mail.example", "password": PASSWORD, "is_admin": "1"}
    visitor.send("/signup", **fields)
    with app.app_context():
        assert not db.session.scalars(select(User)).one().is_admin


@pytest.mark.parametrize("username", ["ada", "ADA", "  Ada "])
def test_a_name_is_taken_however_it_is_cased(app: Flask, ada: Visitor, username: str) -> None:
    response = sign_up(Visitor(app), username=username, email="other@mail.example")
    assert response.status_code == 422
    assert "This name is taken." in response.text
    assert usernames(app) == ["ada"]


def test_an_address_is_taken_however_it_is_cased(app: Flask, ada: Visitor) -> None:
    response = sign_up(Visitor(app), username="other", email="ADA@Mail.Example")
    assert response.status_code == 422
    assert "There is an account with this address." in response.text


def test_two_who_want_the_same_name_at_once_do_not_both_get_it(
    app: Flask, visitor: Visitor, make_user: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user("ada")
    monkeypatch.setattr(User, "named", lambda _name: None)  # the form was checked before the other was committed
    response = sign_up(visitor, email="other@mail.example")
    assert response.status_code == 422
    assert "This name or address has just been taken." in response.text
    assert usernames(app) == ["ada"]


@pytest.mark.parametrize("username", ["", "ab", "-ada", "ada-", "a" * 31, "ad a", "adä", "ada@home", "<b>ada</b>"])
def test_names_that_would_not_fit_an_address_are_refused(app: Flask, visitor: Visitor, username: str) -> None:
    assert sign_up(visitor, username=username).status_code == 422
    assert usernames(app) == []


@pytest.mark.parametrize("email", ["", "ada", "ada@", "@mail.example", "a@b", "a b@c.de", "a@b.de\nBcc: c@d.de", "<a@b.de>"])
def test_what_cannot_be_an_email_address_is_refused(app: Flask, visitor: Visitor, email: str) -> None:
    assert sign_up(visitor, email=email).status_code == 422
    assert usernames(app) == []


@pytest.mark.parametrize("password", ["", "1234567", "x" * 201])
def test_passwords_are_8_to_200_characters_long(app: Flask, visitor: Visitor, password: str) -> None:
    assert sign_up(visitor, password=password).status_code == 422
    assert usernames(app) == []


def test_logging_in_takes_the_name_however_it_is_cased(app: Flask, make_user: Callable[..., int]) -> None:
    make_user("ada")
    visitor = Visitor(app)
    assert visitor.log_in(" ADA ").status_code == 302
    assert visitor.is_logged_in()


@pytest.mark.parametrize(("username", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("\x00", PASSWORD), ("ada", "")])
def test_a_wrong_name_and_a_wrong_password_look_the_same(
    app: Flask, make_user: Callable[..., int], username: str, password: str
) -> None:
    make_user("ada")
    visitor = Visitor(app)
    response = visitor.log_in(username, password)
    assert response.status_code == 422
    assert not visitor.is_logged_in()


def test_accounts_without_a_password_cannot_be_logged_in_to(app: Flask) -> None:
    with app.app_context():
        db.session.add(User(username="ghost", email="ghost@mail.example", password_hash="!"))
        db.session.commit()
    for password in ("!", "", "ghost"):
        assert Visitor(app).log_in("ghost", password).status_code == 422


def test_logging_out_is_a_post(ada: Visitor) -> None:
    assert ada.open("/logout").status_code == 405
    assert ada.is_logged_in()
    ada.send("/logout", form_on="/")
    assert not ada.is_logged_in()


def test_a_session_of_a_deleted_account_is_nobodys(app: Flask, ada: Visitor) -> None:
    with app.app_context():
        db.session.delete(db.session.scalars(select(User)).one())
        db.session.commit()
    assert not ada.is_logged_in()


@pytest.mark.parametrize("user_id", ["", "x", "-1", "9" * 30, "1 or 1=1"])
def test_a_session_with_a_strange_id_is_nobodys(app: Flask, visitor: Visitor, user_id: str) -> None:
    with visitor.client.session_transaction() as session:
        session["_user_id"] = user_id
    assert visitor.open("/").status_code == 200
    assert not visitor.is_logged_in()


def test_a_profile_shows_someones_posts(visitor: Visitor, make_user: Callable[..., int], make_post: Callable[..., int]) -> None:
    make_post("Mine", author_id=make_user("ada"))
    make_post("Another's")
    page = visitor.open("/users/ada").text
    assert "Mine" in page
    assert "Another&#39;s" not in page


@pytest.mark.parametrize("username", ["nobody", "%00", "a" * 300, "<script>", "..%2f.."])
def test_there_is_no_profile_of_who_does_not_exist(visitor: Visitor, username: str) -> None:
    assert visitor.open(f"/users/{username}").status_code == 404


def test_only_admins_see_the_way_to_the_jobs(app: Flask, ada: Visitor, make_user: Callable[..., int]) -> None:
    make_user("root", is_admin=True)
    admin = Visitor(app)
    admin.log_in("root")
    assert 'href="/jobs/"' in admin.open("/").text
    assert 'href="/jobs/"' not in ada.open("/").text
