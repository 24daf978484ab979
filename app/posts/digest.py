"""The weekly digest: what was discussed most from a Monday to the Sunday after it, in UTC."""

from datetime import UTC, date, datetime, time, timedelta

from app.mail import send_mail
from app.models import Post, User

POSTS_IN_DIGEST = 10


def last_week(today: date) -> date:
    """The Monday on which the last complete week began."""
    return today - timedelta(days=today.weekday() + 7)


def posts_of_week(monday: date, limit: int = POSTS_IN_DIGEST) -> list[Post]:
    """The most discussed posts of the week that begins on this day."""
    start = datetime.combine(monday, time.min, UTC)
    return Post.most_discussed(start, start + timedelta(days=7), limit=limit)


def has_news(monday: date) -> bool:
    """Whether anything was posted in that week. Nobody needs a mail that says nothing."""
    return bool(posts_of_week(monday, limit=1))


def send_digest_to(user: User, monday: date) -> None:
    """Mail a user the digest of the week that begins on this day."""
    year, week, _ = monday.isocalendar()
    send_mail(
        user,
        f"Lorem News, week {week} of {year}",
        "weekly_digest",
        mail_id=f"digest-{year}-{week:02}-user-{user.id}",
        monday=monday,
        posts=posts_of_week(monday),
    )
