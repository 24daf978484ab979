"""Compute the scores of posts anew: one query, then updates in short transactions.

Apart from `app.ranking`, which is the formula, and from the job, which only decides when.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, func, or_, select, update

from app.database import now
from app.extensions import db
from app.models import Comment, Post
from app.ranking import SETTLED_SCORE, score

COMMENTED_LATELY = timedelta(days=1)  # long enough for the job to have been away over night
BATCH_SIZE = 500  # rows updated at a time; SQLite has one writer, and pages want to write too


def recompute_scores() -> int:
    """Give every post that still moves the score of this moment. Returns how many there were."""
    moment = now()
    scores = [{"id": row.id, "score": score(row.voices, moment - row.created_at)} for row in _moving(moment)]
    for start in range(0, len(scores), BATCH_SIZE):
        db.session.execute(update(Post), scores[start : start + BATCH_SIZE])
        db.session.commit()
    return len(scores)


def _moving(moment: datetime) -> list[Row[Any]]:
    """Posts that have not settled or were commented on lately, with the number of people who commented."""
    lately = select(Comment.post_id).where(Comment.created_at >= moment - COMMENTED_LATELY)
    posts = (
        select(Post.id, Post.created_at, func.count(Comment.author_id.distinct()).label("voices"))
        .outerjoin(Comment, and_(Comment.post_id == Post.id, Comment.author_id != Post.author_id))
        .where(or_(Post.score >= SETTLED_SCORE, Post.id.in_(lately)))
        .group_by(Post.id, Post.created_at)
    )
    return list(db.session.execute(posts))
