"""Mails: rendered from templates below `templates/mail/`, and handed to a backend that delivers them.

MAIL_BACKEND chooses it: "file" writes each mail into the folder MAIL_OUTBOX, "smtp" gives it to the server at
MAIL_SMTP_HOST.
"""

import os
import re
import smtplib
import tempfile
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from flask import Config, current_app, render_template

from app.database import now
from app.environment import ConfigurationError
from app.models import User

SMTP_TIMEOUT = 10  # seconds


class Backend(Protocol):
    """What delivers a mail, or raises OSError (of which smtplib's errors are a kind)."""

    def deliver(self, message: EmailMessage) -> None: ...


@dataclass(frozen=True)
class FileBackend:
    """Writes mails as .eml files, which mail programs open."""

    outbox: Path

    def deliver(self, message: EmailMessage) -> None:
        """Write the mail under the name of its id: whole or not at all, and once however often it is sent."""
        self.outbox.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^\w.-]", "-", message["Message-ID"].strip("<>").partition("@")[0])
        with tempfile.TemporaryDirectory(dir=self.outbox, prefix=".") as folder:
            draft = Path(folder, name)
            with draft.open("xb") as file:
                file.write(message.as_bytes())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.outbox / f"{name}.eml")


@dataclass(frozen=True)
class SmtpBackend:
    """Gives mails to an SMTP server, with TLS and a login where they are set."""

    host: str
    port: int
    starttls: bool = False
    username: str | None = None
    password: str | None = None

    def deliver(self, message: EmailMessage) -> None:
        with smtplib.SMTP(self.host, self.port, timeout=SMTP_TIMEOUT) as server:
            if self.starttls:
                server.starttls()
            if self.username:
                server.login(self.username, self.password or "")
            server.send_message(message)


def backend(config: Config) -> Backend:
    """The backend that the configuration names."""
    match config["MAIL_BACKEND"]:
        case "file":
            return FileBackend(Path(config["MAIL_OUTBOX"]))
        case "smtp":
            login = (config["MAIL_SMTP_USERNAME"], config["MAIL_SMTP_PASSWORD"])
            return SmtpBackend(config["MAIL_SMTP_HOST"], config["MAIL_SMTP_PORT"], config["MAIL_SMTP_STARTTLS"], *login)
        case other:
            raise ConfigurationError(f'MAIL_BACKEND is {other!r}: use "file" or "smtp".')


def send_mail(to: User, subject: str, template: str, *, mail_id: str, **context: Any) -> None:
    """Render a mail and deliver it.

    :param template: The name below `templates/mail/`, without `.txt`.
    :param mail_id: Says which mail this is. A job that runs again sends it under the same id, so that mail programs
        can tell it for the same.
    """
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = current_app.config["MAIL_FROM"]
    message["To"] = to.email
    message["Subject"] = subject
    message["Date"] = now()
    message["Message-ID"] = f"<{mail_id}@{urlsplit(current_app.config['PUBLIC_URL']).hostname}>"
    message.set_content(render_template(f"mail/{template}.txt", to=to, url=public_url, **context))
    backend(current_app.config).deliver(message)


def public_url(endpoint: str, **values: Any) -> str:
    """The full address of a page, also where there is no request, as in a job."""
    base = urlsplit(current_app.config["PUBLIC_URL"])
    urls = current_app.url_map.bind(base.netloc, script_name=base.path or "/", url_scheme=base.scheme)
    return urls.build(endpoint, values, force_external=True)
