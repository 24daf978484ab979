"""What people say about a post."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Select, Text, select
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from app.database import Moment, now
from app.extensions import db
from app.models.user import User

if TYPE_CHECKING:
    from app.models.post import Post


class Comment(db.Model):  # type: ignore[name-defined]
    """One comment, below one post."""

    __tablename__ = "comments"
    __table_args__ = (
        CheckConstraint("body <> ''", name="body"),
        Index(None, "post_id", "created_at"),
        Index(None, "author_id"),
        Index(None, "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id", ondelete="CASCADE"))
    author_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment, default=now)

    post: Mapped[Post] = relationship(back_populates="comments")
    author: Mapped[User] = relationship()

    @classmethod
    def below(cls, post_id: int) -> Select[Any]:
        """The comments of a post, in the order they were made."""
        return select(cls).where(cls.post_id == post_id).options(joinedload(cls.author)).order_by(cls.created_at, cls.id)
