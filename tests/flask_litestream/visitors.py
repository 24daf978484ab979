"""Who visits the page: anybody may come in by name, and the name is the role."""

from __future__ import annotations

from flask import Flask
from flask_login import LoginManager, UserMixin, login_user
from flask_wtf.csrf import generate_csrf


class User(UserMixin):
    """Somebody whose role is in the name: "admin", "viewer"…; "boss" has is_admin."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.is_admin = name == "boss"


def role(user: User) -> str | None:
    return {"viewer": "viewer", "operator": "operator", "admin": "admin"}.get(user.id)


def add_login(app: Flask) -> None:
    login_manager = LoginManager(app)
    login_manager.login_view = "login"
    login_manager.user_loader(User)

    @app.get("/login")
    def login() -> str:
        return "Who are you?"

    @app.get("/token")
    def token() -> str:
        return str(generate_csrf())

    @app.get("/in/<name>")
    def come_in(name: str) -> str:
        login_user(User(name))
        return '<link rel="icon" href="data:,">Welcome.'
