"""Where a database is copied to: read a replica as people write it, keep its secrets apart, say it without them.

A replica is written as an absolute folder (``/mnt/backup``), as a URL (``s3://bucket/path``) or as a mapping of
Litestream's own keys. Apart because every kind of replica has rules of its own and nothing else needs to know them.
"""

from __future__ import annotations

import difflib
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, urlsplit

from .values import a_duration

#: Replica types of Litestream 0.5; a URL's scheme says the same (``webdavs`` is WebDAV over TLS).
KINDS = ("file", "s3", "gs", "abs", "sftp", "webdav", "webdavs", "nats", "oss")

#: Litestream ignores keys it does not know without a word, so that a typing error would go unnoticed.
_KEYS = """
    type name path url sync-interval validation-interval access-key-id secret-access-key region bucket endpoint
    force-path-style sign-payload require-content-md5 skip-verify part-size concurrency sse-customer-algorithm
    sse-customer-key sse-customer-key-path sse-kms-key-id storage-class sign-accept-encoding account-name account-key
    sas-token host user password key-path concurrent-writes host-key webdav-url webdav-username webdav-password jwt
    seed creds nkey username token tls root-cas client-cert client-key max-reconnects reconnect-wait timeout age
    auto-recover
    """
KNOWN_KEYS = frozenset(_KEYS.split())

_SECRETS = """
    access-key-id secret-access-key sse-customer-key account-key sas-token password webdav-password jwt seed nkey token
    """
SECRET_KEYS = frozenset(_SECRETS.split())


@dataclass(frozen=True)
class Replica:
    """One database's replica.

    :param kind: file, s3, gs, abs, sftp, webdav, nats or oss.
    :param target: where it is, for people to read; never with a secret. Two replicas of one target are one place.
    :param settings: Litestream's ``replica:`` mapping, with ``${VARIABLE}`` in place of every secret.
    :param secrets: the values of those variables, ready for the environment.
    """

    kind: str
    target: str
    settings: Mapping[str, object]
    secrets: Mapping[str, str]


def parse_replica(value: object, *, database: str) -> Replica:
    """Read one database's replica.

    :raises ValueError: with the end of a sentence that begins with the setting's name.
    """
    if isinstance(value, str):
        return _from_text(value.strip(), database)
    if isinstance(value, Mapping):
        return _from_mapping({str(key): item for key, item in value.items()}, database)
    raise ValueError("must be a folder, a URL or a mapping of Litestream's replica settings.")


def below(value: object, name: str) -> object:
    """Return the replica for one database inside the place that is common to all: the same place, one level deeper."""
    if isinstance(value, str):
        return _text_below(value.strip(), name)
    if not isinstance(value, Mapping):
        return value
    if value.get("type") == "nats":
        raise ValueError(NATS_ADVICE)
    if "url" in value:
        return {**value, "url": _text_below(str(value["url"]), name)}
    return {**value, "path": posixpath.join(str(value.get("path", "")), name)}


NATS_ADVICE = "cannot be shared, because NATS knows no folders: give each database its bucket in LITESTREAM_DATABASES."


def describe(settings: Mapping[str, object]) -> tuple[str, str]:
    """Return kind and target of a ``replica:`` mapping from a file that is Litestream's own business to judge."""
    url = settings.get("url")
    if isinstance(url, str) and url:
        parts = urlsplit(url)
        return _kind(parts.scheme), _url_target(parts, settings)
    kind = str(settings.get("type") or "file")
    return kind, _mapping_target(kind, settings)


def misspelt(keys: Mapping[str, object], known: frozenset[str]) -> Iterator[tuple[str, str | None]]:
    """Give the keys that are not known, each with the known one it resembles."""
    for key in keys:
        if key not in known:
            resembling = difflib.get_close_matches(str(key).replace("_", "-").lower(), known, n=1, cutoff=0.75)
            yield key, (resembling[0] if resembling else None)


def variable_part(name: str) -> str:
    """Return a database's or a key's name as it stands in the name of an environment variable."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _from_text(text: str, database: str) -> Replica:
    if text.startswith("/"):
        _check_folder(text)
        return Replica("file", _tidy(text), {"type": "file", "path": _tidy(text)}, {})
    settings, secrets = _url_without_secret(text, database)
    return Replica(_kind(urlsplit(text).scheme), _url_target(urlsplit(text), {}), settings, secrets)


def _from_mapping(value: dict[str, object], database: str) -> Replica:
    _check_keys(value)
    url_settings, secrets = _url_without_secret(str(value["url"]), database) if "url" in value else ({}, {})
    kind, target = describe(value)
    _check_place(kind, value)
    settings = {**value, **url_settings}
    for key in SECRET_KEYS & settings.keys():
        literal = str(settings[key])
        if not literal.startswith("$"):
            variable = _secret_variable(database, key)
            settings[key], secrets[variable] = f"${{{variable}}}", _inside_quotes(literal)
    return Replica(kind, target, settings, secrets)


def _check_keys(value: dict[str, object]) -> None:
    for key, resembling in misspelt(value, KNOWN_KEYS):
        advice = f" Did you mean {resembling}?" if resembling else " Litestream would ignore it without a word."
        raise ValueError(f"has the unknown key {key}.{advice}")
    for key in {"sync-interval", "validation-interval"} & value.keys():
        try:
            a_duration(value[key])
        except ValueError as error:
            raise ValueError(f"has {key}, which {error}") from error


def _check_place(kind: str, value: dict[str, object]) -> None:
    if urlsplit(str(value.get("webdav-url") or "")).password:
        raise ValueError("has a password in webdav-url: give webdav-username and webdav-password instead.")
    if kind not in KINDS:
        raise ValueError(f"has the unknown type {kind}: Litestream knows {', '.join(KINDS)}.")
    if "url" in value:
        return
    needed = {"file": "path", "sftp": "host", "webdav": "webdav-url"}.get(kind, "bucket")
    if not value.get(needed):
        raise ValueError(f"of type {kind} needs {needed}.")
    if kind == "file":
        _check_folder(str(value["path"]))


def _check_folder(path: str) -> None:
    if not path.startswith("/"):
        raise ValueError(f"must name an absolute folder, not {path}.")
    if "$" in path:  # an unset one is nothing, and two folders that differ by it would be the same
        raise ValueError("must name a folder without a $, which Litestream takes for a variable.")


def _url_without_secret(text: str, database: str) -> tuple[dict[str, object], dict[str, str]]:
    """Return the replica settings for a URL, its password replaced by a variable, and that variable."""
    parts = urlsplit(text)
    if not parts.scheme or "://" not in text:
        raise ValueError("must be a URL, like s3://bucket/path, or an absolute folder, like /mnt/backup.")
    if parts.scheme not in KINDS:
        raise ValueError(f"has the unknown scheme {parts.scheme}: Litestream knows {', '.join(KINDS)}.")
    if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
        raise ValueError(
            f"must name an absolute folder, with three slashes: file:///{_without_password(parts.netloc)}{parts.path}"
        )
    if parts.scheme == "file":
        _check_folder(parts.path)
    if parts.scheme not in ("file", "abs") and not parts.netloc:
        raise ValueError("names no bucket or host.")
    for key in parse_qs(parts.query):
        if re.sub(r"(?<=[a-z])(?=[A-Z])", "-", key).lower() in SECRET_KEYS:
            raise ValueError(f"has {key} in its URL: write it as a mapping instead, where secrets are kept apart.")
    user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
    if not colon or password.startswith("$"):
        return {"url": text}, {}
    variable = _secret_variable(database, "password")
    place = f"{user}:${{{variable}}}@{parts.netloc.rpartition('@')[2]}"
    return {"url": parts._replace(netloc=place).geturl()}, {variable: _inside_quotes(password)}


def _secret_variable(database: str, key: str) -> str:
    return f"LITESTREAM_SECRET_{variable_part(database)}_{variable_part(key)}"


def _inside_quotes(secret: str) -> str:
    """Escape a secret: Litestream puts the variable's text between the quotes of the file before it reads the YAML."""
    return json.dumps(secret, ensure_ascii=False)[1:-1]


def _text_below(text: str, name: str) -> str:
    if text.startswith("nats:"):
        raise ValueError(NATS_ADVICE)
    place, question_mark, query = text.partition("?")
    return f"{place.rstrip('/')}/{name}{question_mark}{query}"


def _kind(scheme: str) -> str:
    return "webdav" if scheme == "webdavs" else scheme


def _url_target(parts: SplitResult, settings: Mapping[str, object]) -> str:
    if parts.scheme == "file":
        return _tidy(parts.path)
    place = f"{parts.scheme}://{_without_password(parts.netloc)}{_tidy(parts.path)}"
    endpoint = parse_qs(parts.query).get("endpoint", [str(settings.get("endpoint") or "")])[0]
    return f"{place} at {endpoint}" if endpoint else place


def _without_password(netloc: str) -> str:
    user, at, host = netloc.rpartition("@")
    return f"{user.partition(':')[0]}{at}{host}"


def _mapping_target(kind: str, settings: Mapping[str, object]) -> str:
    path = str(settings.get("path") or "")
    if kind == "file":
        return _tidy(path)
    user = f"{settings['user']}@" if settings.get("user") else ""
    place = str(settings.get("bucket") or settings.get("host") or "")
    webdav = urlsplit(str(settings.get("webdav-url") or ""))
    address = webdav._replace(netloc=_without_password(webdav.netloc)).geturl()
    shown = (address or f"{kind}://{user}{place}").rstrip("/") + _tidy(f"/{path}")
    return f"{shown} at {settings['endpoint']}" if settings.get("endpoint") else shown


def _tidy(path: str) -> str:
    return re.sub(r"/+", "/", path).rstrip("/") or "/"
