"""Fill the database with a site that looks lived in: all rows of a kind in one statement per batch.

Apart from the command, which talks to whoever calls it.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from app.database import now
from app.extensions import db
from app.lorem import Lorem
from app.models import Comment, Post, User
from app.models.user import UNUSABLE_PASSWORD

ADMIN = "admin"
SPAN = timedelta(days=30)  # how far back the oldest post lies
BATCH_SIZE = 500
MOST_LIVELY = 50  # times as many comments as the quietest post

Advance = Callable[[int], None]
Row = dict[str, Any]


def is_seeded() -> bool:
    """Whether there are posts."""
    return db.session.scalar(select(Post.id).limit(1)) is not None


def clear() -> None:
    """Delete all accounts, posts and comments. The caller commits."""
    for model in (Comment, Post, User):
        db.session.execute(delete(model))


def fill(users: int, posts: int, comments: int, *, advance: Advance) -> None:
    """Add that many of each. The caller commits: until then nothing is there.

    :param advance: Called with the number of rows each time some have been made.
    """
    last_user, last_post = _last_id(User), _last_id(Post)
    lorem = Lorem(seed=last_user)
    _insert(User, _users(lorem, users), advance)
    authors = _ids_after(User, last_user)
    _insert(Post, _posts(lorem, posts, authors), advance)
    _insert(Comment, _comments(lorem, comments, _ids_after(Post, last_post), authors), advance)
    _count_comments(last_post)


def _users(lorem: Lorem, number: int) -> Iterator[Row]:
    """People who cannot log in, as they have no password."""
    names = lorem.usernames(taken=set(db.session.scalars(select(User.username))))
    for name in islice(names, number):
        joined = now() - SPAN - SPAN * lorem.random.random()
        email = f"{name}@lorem.example"
        yield {"username": name, "email": email, "password_hash": UNUSABLE_PASSWORD, "created_at": joined}


def _posts(lorem: Lorem, number: int, authors: Sequence[int]) -> Iterator[Row]:
    """Posts of the past weeks, the older the lower the id, more of them lately. Four of five are links."""
    end = now()
    for age in sorted((lorem.random.random() ** 2 for _ in range(number)), reverse=True):
        kind = lorem.random.random()
        yield {
            "author_id": lorem.random.choice(authors),
            "title": lorem.title(),
            "url": lorem.url() if kind < 0.8 else None,
            "body": lorem.text() if kind > 0.7 else None,
            "created_at": end - SPAN * age,
        }


def _comments(lorem: Lorem, number: int, posts: Sequence[int], authors: Sequence[int]) -> Iterator[Row]:
    """Comments from when their post was made until now: few posts have many, many have few."""
    if not posts:
        return
    rows = db.session.execute(select(Post.id, Post.created_at).where(Post.id >= posts[0]))
    made = {row.id: row.created_at for row in rows}
    liveliness = [min(lorem.random.paretovariate(1.2), MOST_LIVELY) for _ in posts]
    end = now()
    drawn = lorem.random.choices(posts, liveliness, k=number)
    moments = sorted((made[post] + (end - made[post]) * lorem.random.random() ** 3, post) for post in drawn)
    for moment, post in moments:
        author = lorem.random.choice(authors)
        yield {"post_id": post, "author_id": author, "body": lorem.paragraph(), "created_at": moment}


def _insert(model: type[Any], rows: Iterator[Row], advance: Advance) -> None:
    while batch := list(islice(rows, BATCH_SIZE)):
        db.session.execute(insert(model), batch)
        advance(len(batch))


def _count_comments(last_post: int) -> None:
    comments = select(func.count()).where(Comment.post_id == Post.id).scalar_subquery()
    db.session.execute(
        update(Post).where(Post.id > last_post).values(comment_count=comments),
        execution_options={"synchronize_session": False},
    )


def _last_id(model: type[Any]) -> int:
    return db.session.scalar(select(func.max(model.id))) or 0


def _ids_after(model: type[Any], last: int) -> Sequence[int]:
    return db.session.scalars(select(model.id).where(model.id > last).order_by(model.id)).all()
