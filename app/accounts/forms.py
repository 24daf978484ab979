"""The forms for signing up and logging in."""

from flask_wtf import FlaskForm
from sqlalchemy import select
from wtforms import PasswordField, StringField, ValidationError
from wtforms.validators import DataRequired, InputRequired, Length, Regexp

from app.extensions import db
from app.models import User
from app.models.user import USERNAME_PATTERN
from app.text import EmailAddress, line, lower

USERNAME_RULE = "3 to 30 letters (a to z), digits, hyphens or underscores, with a letter or digit at both ends."


class SignUpForm(FlaskForm):
    """Name, address and password of a new account."""

    username = StringField(
        "Name",
        filters=[lower],
        description=USERNAME_RULE,
        validators=[DataRequired("Choose a name."), Regexp(f"^{USERNAME_PATTERN}$", message=f"Use {USERNAME_RULE}")],
    )
    email = StringField(
        "Email",
        filters=[lower],
        description="For news about your posts and the weekly digest. Nobody else sees it.",
        validators=[DataRequired("Give your email address."), Length(max=254), EmailAddress()],
    )
    password = PasswordField(
        "Password",
        description="At least 8 characters.",
        validators=[InputRequired("Choose a password."), Length(8, 200, "Use 8 to 200 characters.")],
    )

    def validate_username(self, field: StringField) -> None:
        if User.named(field.data):
            raise ValidationError("This name is taken.")

    def validate_email(self, field: StringField) -> None:
        if db.session.scalar(select(User.id).where(User.email == field.data)):
            raise ValidationError("There is an account with this address. You can log in.")


class LogInForm(FlaskForm):
    """Name and password of an account."""

    username = StringField("Name", filters=[line], validators=[DataRequired("Give your name."), Length(max=254)])
    password = PasswordField("Password", validators=[InputRequired("Give your password."), Length(max=200)])
