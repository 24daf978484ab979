"""The form for a new post."""

from flask_wtf import FlaskForm
from wtforms import StringField, TextAreaField, ValidationError
from wtforms.validators import DataRequired, Length, Optional

from app.text import WebAddress, line, paragraphs


class PostForm(FlaskForm):
    """A title with a link, a text, or both."""

    title = StringField("Title", filters=[line], validators=[DataRequired("A post needs a title."), Length(max=200)])
    url = StringField("Link", filters=[line], validators=[Optional(), WebAddress(), Length(max=2000)])
    body = TextAreaField("Text", filters=[paragraphs], validators=[Length(max=10_000)])

    def validate_body(self, field: TextAreaField) -> None:
        if not field.data and not self.url.data:
            raise ValidationError("Give a link, a text, or both.")
