"""What the author of a post gets to read when somebody comments on it."""

from app.mail import send_mail
from app.models import Comment


def notify_author_of(comment: Comment) -> None:
    """Mail the comment to the author of its post."""
    send_mail(
        comment.post.author,
        f"{comment.author.username} commented on “{comment.post.title}”",
        "new_comment",
        mail_id=f"comment-{comment.id}",
        comment=comment,
        post=comment.post,
    )
