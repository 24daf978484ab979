"""Someone with an account: signs up, logs in, posts, comments, and may look at the jobs as an admin."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from flask_login import UserMixin
from sqlalchemy import CheckConstraint, Select, String, select
from sqlalchemy.orm import Mapped, mapped_column, relationship
from werkzeug.security import check_password_hash, generate_password_hash

from app.database import Moment, now
from app.extensions import db

if TYPE_CHECKING:
    from app.models.post import Post

USERNAME_PATTERN = r"[a-z0-9](?:[a-z0-9_-]{1,28})[a-z0-9]"
UNUSABLE_PASSWORD = "!"


class User(UserMixin, db.Model):  # type: ignore[name-defined]
    """An account. Names are lower case, so that no two differ by case alone."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("username = lower(username) AND username <> ''", name="username"),
        CheckConstraint("email <> ''", name="email"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(30), unique=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    is_admin: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)

    posts: Mapped[list[Post]] = relationship(back_populates="author", passive_deletes=True)

    @classmethod
    def named(cls, username: str) -> User | None:
        """The user with this name, however its letters are cased."""
        username = username.strip().lower()
        if not re.fullmatch(USERNAME_PATTERN, username):
            return None
        return db.session.scalar(select(cls).where(cls.username == username))

    @classmethod
    def authenticated(cls, username: str, password: str) -> User | None:
        """The user whose name and password these are."""
        user = cls.named(username)
        matches = check_password_hash(user.password_hash if user else _nobodys_hash(), password)
        return user if matches else None

    @classmethod
    def ids(cls) -> Select[Any]:
        """The ids of all users, to hand work out for each of them."""
        return select(cls.id).order_by(cls.id)

    def set_password(self, password: str) -> None:
        self.password_hash = generate_password_hash(password)


@cache
def _nobodys_hash() -> str:
    """What is compared when there is no such user, so that the time a refusal takes does not tell who has an account."""
    return generate_password_hash("nobody")
