"""The form for a comment."""

from flask_wtf import FlaskForm
from wtforms import TextAreaField
from wtforms.validators import DataRequired, Length

from app.text import paragraphs


class CommentForm(FlaskForm):
    """A text."""

    body = TextAreaField(
        "Your comment", filters=[paragraphs], validators=[DataRequired("Write something first."), Length(max=5_000)]
    )
