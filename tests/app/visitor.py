"""Someone with a browser, for tests that use the application through its pages."""

import re
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

PASSWORD = "a good password"


class Visitor:
    """Opens pages, and sends forms with the token that was in them."""

    def __init__(self, app: Flask) -> None:
        self.client = app.test_client()

    def open(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, **options)

    def send(self, path: str, *, form_on: str | None = None, **fields: str) -> TestResponse:
        """Fill in the form on a page and send it to `path`."""
        return self.client.post(path, data={"csrf_token": self.token(form_on or path), **fields})

    def token(self, page: str) -> str:
        token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', self.open(page).text)
        assert token, f"there is no form on {page}"
        return token[1]

    def log_in(self, username: str, password: str = PASSWORD) -> TestResponse:
        return self.send("/login", username=username, password=password)

    def is_logged_in(self) -> bool:
        return "Log out" in self.open("/").text
