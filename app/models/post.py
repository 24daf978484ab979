"""What people share: a link, a text, or both, and how high it stands on the front page."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import CheckConstraint, Double, ForeignKey, Index, Select, String, Text, select
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from app.database import Moment, now
from app.extensions import db
from app.models.comment import Comment
from app.models.user import User
from app.ranking import FRESH_SCORE


class Post(db.Model):  # type: ignore[name-defined]
    """A post. `score` orders the front page, highest first; the job `recompute_rankings` lets it sink with age."""

    __tablename__ = "posts"
    __table_args__ = (
        CheckConstraint("title <> ''", name="title"),
        CheckConstraint("url IS NOT NULL OR body IS NOT NULL", name="url_or_body"),
        CheckConstraint("comment_count >= 0", name="comment_count"),
        Index(None, "score", "id"),
        Index(None, "author_id", "created_at"),
        Index(None, "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    title: Mapped[str] = mapped_column(String(200))
    url: Mapped[str | None] = mapped_column(String(2000))
    body: Mapped[str | None] = mapped_column(Text)
    score: Mapped[float] = mapped_column(Double, default=FRESH_SCORE)
    comment_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)

    author: Mapped[User] = relationship(back_populates="posts")
    comments: Mapped[list[Comment]] = relationship(back_populates="post", passive_deletes=True)

    @classmethod
    def ranked(cls) -> Select[Any]:
        """All posts, those that are discussed now first."""
        return cls._listed().order_by(cls.score.desc(), cls.id.desc())

    @classmethod
    def newest(cls) -> Select[Any]:
        """All posts, the latest first."""
        return cls._listed().order_by(cls.created_at.desc(), cls.id.desc())

    @classmethod
    def most_discussed(cls, start: datetime, end: datetime, *, limit: int) -> list[Post]:
        """The posts of this span of time with most comments."""
        posts = cls._listed().where(cls.created_at >= start, cls.created_at < end)
        return list(db.session.scalars(posts.order_by(cls.comment_count.desc(), cls.id.desc()).limit(limit)))

    @classmethod
    def _listed(cls) -> Select[Any]:
        return select(cls).options(joinedload(cls.author))

    @property
    def site(self) -> str:
        """The host that the link leads to, as people say it."""
        return (urlsplit(self.url or "").hostname or "").removeprefix("www.")

    def add_comment(self, author: User, body: str) -> Comment:
        """Put a comment below this post. The caller commits."""
        comment = Comment(post_id=self.id, author_id=author.id, body=body)
        db.session.add(comment)
        # An expression, not `+= 1`: two people may comment at the same time.
        self.comment_count = Post.comment_count + 1
        db.session.flush()
        return comment
