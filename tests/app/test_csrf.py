"""No form is taken that did not come from this site."""

import pytest
from flask import Flask

from .visitor import PASSWORD, Visitor

FORMS = ["/signup", "/login", "/logout", "/posts", "/posts/1/comments"]


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_a_token_is_refused(ada: Visitor, path: str) -> None:
    response = ada.client.post(path, data={"username": "ada", "password": PASSWORD, "title": "T", "body": "B"})
    assert response.status_code == 400
    assert "did not come from this site" in response.text
    assert ada.is_logged_in()


def test_the_token_of_another_session_is_refused(app: Flask, ada: Visitor) -> None:
    stolen = Visitor(app).open("/login").text.split('type="hidden" value="')[1].split('"')[0]
    response = ada.client.post("/posts", data={"csrf_token": stolen, "title": "T", "body": "B"})
    assert response.status_code == 400


def test_these_are_all_the_forms_of_the_application(app: Flask) -> None:
    own = ("posts.", "comments.", "accounts.")
    rules = [rule for rule in app.url_map.iter_rules() if "POST" in rule.methods and rule.endpoint.startswith(own)]
    assert {rule.rule.replace("<id:post_id>", "1") for rule in rules} == set(FORMS)
