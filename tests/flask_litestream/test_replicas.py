"""A replica as people write it becomes Litestream's mapping; its secrets go to the environment alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flask_litestream.configfile import expand
from flask_litestream.replicas import below, describe, parse_replica


def test_a_folder() -> None:
    replica = parse_replica("/mnt/backup/", database="primary")
    assert (replica.kind, replica.target) == ("file", "/mnt/backup")
    assert replica.settings == {"type": "file", "path": "/mnt/backup"}


def test_a_url_goes_to_litestream_as_it_is() -> None:
    url = "s3://bucket/path?endpoint=http://127.0.0.1:9000&region=us-east-1"
    replica = parse_replica(url, database="primary")
    assert replica.settings == {"url": url}
    assert replica.target == "s3://bucket/path at http://127.0.0.1:9000"


def test_a_mapping_goes_to_litestream_as_it_is() -> None:
    value = {"type": "s3", "bucket": "b", "path": "p", "region": "eu-west-1", "force-path-style": True}
    replica = parse_replica(value, database="primary")
    assert replica.settings == value
    assert (replica.kind, replica.target) == ("s3", "s3://b/p")


@pytest.mark.parametrize(
    ("shared", "own"),
    [
        ("/mnt/backup", "/mnt/backup/queue"),
        ("file:///mnt/backup/", "file:///mnt/backup/queue"),
        ("s3://bucket", "s3://bucket/queue"),
        ("s3://bucket/a?region=x", "s3://bucket/a/queue?region=x"),
        ({"type": "s3", "bucket": "b"}, {"type": "s3", "bucket": "b", "path": "queue"}),
        ({"type": "s3", "bucket": "b", "path": "a"}, {"type": "s3", "bucket": "b", "path": "a/queue"}),
        ({"url": "gs://b/a"}, {"url": "gs://b/a/queue"}),
    ],
)
def test_a_shared_place_has_a_folder_for_each_database(shared: object, own: object) -> None:
    assert below(shared, "queue") == own


@pytest.mark.parametrize("shared", ["nats://host/bucket", {"type": "nats", "bucket": "b"}])
def test_nats_has_no_folders(shared: object) -> None:
    with pytest.raises(ValueError, match="give each database its bucket"):
        below(shared, "queue")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("backups", "must be a URL"),
        ("s3:bucket", "must be a URL"),
        ("s4://bucket/x", "has the unknown scheme s4"),
        ("file://backups/x", "must name an absolute folder, with three slashes: file:///backups/x"),
        ("file://me:hush@backups/x", "file:///me@backups/x"),
        ("/mnt/$UNSET/x", r"must name a folder without a \$"),
        ("file:///mnt/${UNSET}/x", r"must name a folder without a \$"),
        ({"path": "/mnt/$UNSET/x"}, r"must name a folder without a \$"),
        ("s3://b/x?region=r&sseCustomerKey=hush", "has sseCustomerKey in its URL: write it as a mapping"),
        ("s3://b/x?secret-access-key=hush", "has secret-access-key in its URL: write it as a mapping"),
        ("s3:///x", "names no bucket or host"),
        (7, "must be a folder, a URL or a mapping"),
        ({"type": "s3", "bucket": "b", "sync_interval": "1s"}, r"unknown key sync_interval\. Did you mean sync-interval\?"),
        ({"type": "s3", "bucket": "b", "colour": "red"}, "unknown key colour. Litestream would ignore it"),
        ({"type": "s3", "bucket": "b", "sync-interval": 5}, "has sync-interval, which must be a duration with a unit"),
        ({"type": "s4", "bucket": "b"}, "unknown type s4"),
        ({"type": "s3", "path": "b"}, "of type s3 needs bucket"),
        ({"type": "sftp", "path": "b"}, "of type sftp needs host"),
        ({"type": "webdav", "webdav-url": "https://u:p@h"}, "has a password in webdav-url: give webdav-username"),
        ({"path": "backups"}, "must name an absolute folder, not backups"),
        ({"url": "s4://x/y"}, "unknown scheme s4"),
    ],
)
def test_replicas_that_cannot_be(value: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_replica(value, database="primary")


# --- secrets ---


def test_a_password_of_a_url_is_only_in_the_environment() -> None:
    replica = parse_replica("sftp://me:s3cret@host:22/path", database="primary")
    assert replica.settings == {"url": "sftp://me:${LITESTREAM_SECRET_PRIMARY_PASSWORD}@host:22/path"}
    assert replica.secrets == {"LITESTREAM_SECRET_PRIMARY_PASSWORD": "s3cret"}
    assert replica.target == "sftp://me@host:22/path"


def test_secrets_of_a_mapping_are_only_in_the_environment() -> None:
    value = {"type": "s3", "bucket": "b", "access-key-id": "AKIA", "secret-access-key": "hush"}
    replica = parse_replica(value, database="my-db")
    assert replica.settings["secret-access-key"] == "${LITESTREAM_SECRET_MY_DB_SECRET_ACCESS_KEY}"
    assert replica.secrets["LITESTREAM_SECRET_MY_DB_SECRET_ACCESS_KEY"] == "hush"
    assert "hush" not in repr((replica.settings, replica.target))
    assert "AKIA" not in repr((replica.settings, replica.target))


def test_a_secret_that_is_a_variable_already_stays_one() -> None:
    replica = parse_replica({"type": "sftp", "host": "h", "user": "u", "password": "${SFTP_PASSWORD}"}, database="primary")
    assert replica.settings["password"] == "${SFTP_PASSWORD}"
    assert replica.secrets == {}


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x7f\u2028\u2029\ufeff"), min_size=1))
def test_any_secret_arrives_as_it_was(secret: str) -> None:
    """Litestream puts the variables' text into the file before it reads the YAML: a quote in a password must not end it."""
    if secret.startswith("$"):
        return
    replica = parse_replica({"type": "sftp", "host": "h", "user": "u", "password": secret}, database="primary")
    text = json.dumps({"dbs": [{"replica": dict(replica.settings)}]})
    read: Any = yaml.safe_load(expand(text, replica.secrets))
    assert read["dbs"][0]["replica"] == {"type": "sftp", "host": "h", "user": "u", "password": secret}


# --- what people read ---


@pytest.mark.parametrize(
    ("settings", "described"),
    [
        ({"path": "/mnt/b"}, ("file", "/mnt/b")),
        ({"type": "s3", "bucket": "b", "path": "p", "endpoint": "http://x"}, ("s3", "s3://b/p at http://x")),
        ({"type": "sftp", "host": "h:22", "user": "u", "path": "/p"}, ("sftp", "sftp://u@h:22/p")),
        ({"type": "webdav", "webdav-url": "https://h", "path": "/p"}, ("webdav", "https://h/p")),
        ({"type": "webdav", "webdav-url": "https://u:p@h", "path": "/p"}, ("webdav", "https://u@h/p")),
        ({"url": "webdavs://u:p@h/p"}, ("webdav", "webdavs://u@h/p")),
        ({"url": "abs://account@container/p"}, ("abs", "abs://account@container/p")),
    ],
)
def test_a_target_is_said_without_secrets(settings: dict[str, object], described: tuple[str, str]) -> None:
    assert describe(settings) == described
