"""Replication to S3, played by moto on this machine: it works, it breaks in known ways, and every wait has an end."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import boto3
import pytest
from moto.server import ThreadedMotoServer

from flask_litestream.dashboard.overview import gather
from flask_litestream.errors import CommandTimedOut

from ..harness.waiting import eventually
from .stage import Stage, writer

CREDENTIALS = {"LITESTREAM_ACCESS_KEY_ID": "somebody", "LITESTREAM_SECRET_ACCESS_KEY": "hush"}


@dataclass
class S3:
    """A server of S3 and a bucket on it."""

    server: ThreadedMotoServer
    endpoint: str
    bucket: str = "backups"

    @property
    def client(self) -> object:
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )

    def url(self, path: str, bucket: str | None = None) -> str:
        return s3_url(self.endpoint, bucket or self.bucket, path)


def s3_url(endpoint: str, bucket: str, path: str) -> str:
    return f"s3://{bucket}/{path}?endpoint={endpoint}&region=us-east-1&forcePathStyle=true"


def new_server(port: int = 0) -> S3:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    host, bound = server.get_host_and_port()
    return S3(server, f"http://{host}:{bound}")


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    made = new_server()
    made.client.create_bucket(Bucket=made.bucket)  # type: ignore[attr-defined]
    yield made
    made.server.stop()


@pytest.fixture
def on_s3(make_stage: Callable[..., Stage], s3: S3, request: pytest.FixtureRequest) -> Stage:
    """An application whose replicas are on S3, in a folder of this test's own."""
    stage = make_stage(LITESTREAM_REPLICA=s3.url(request.node.name), **CREDENTIALS)
    stage.create()
    return stage


def test_a_backup_on_s3_is_proved_and_complete(on_s3: Stage) -> None:
    with on_s3.running(), writer(on_s3.path("primary"), 100) as committed:
        eventually(lambda: len(committed) > 50)
        result = on_s3.verify()
    assert result.ok, result.message
    assert on_s3.left_behind() == []
    assert on_s3.rows(on_s3.backups.restore_to_new_file("primary").path) == [1, *committed]


def test_the_credentials_are_in_no_file(on_s3: Stage) -> None:
    with on_s3.running():
        assert on_s3.verify().ok
    assert not any("hush" in path.read_text() for path in on_s3.backups.directory.rglob("*.json"))


def test_a_certificate_bundle_meant_for_others_does_not_break_it(on_s3: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    with on_s3.running():
        assert on_s3.verify().ok


def test_a_replica_emptied_on_s3_is_found(on_s3: Stage, s3: S3, request: pytest.FixtureRequest) -> None:
    def reason_when_emptied() -> str | None:
        listed = s3.client.list_objects_v2(Bucket=s3.bucket, Prefix=f"{request.node.name}/primary/")  # type: ignore[attr-defined]
        for found in listed.get("Contents", []):
            s3.client.delete_object(Bucket=s3.bucket, Key=found["Key"])  # type: ignore[attr-defined]
        return on_s3.verify().reason

    with on_s3.running():
        assert on_s3.verify().ok
        # A snapshot that Litestream was sending meanwhile arrives after the files before it went, and is a whole backup.
        eventually(lambda: reason_when_emptied() == "restore_failed", timeout=60)
        assert on_s3.verify("queue").ok


def test_a_bucket_that_is_not_there_is_found(make_stage: Callable[..., Stage], s3: S3) -> None:
    stage = make_stage(LITESTREAM_REPLICA=s3.url("x", bucket="no-such-bucket"), **CREDENTIALS)
    stage.create()
    with stage.running():
        result = stage.verify()
    assert result.reason in ("sync_failed", "restore_failed")
    assert "NoSuchBucket" in result.message
    assert stage.left_behind() == []


# --- S3 is down ---


@pytest.fixture
def nowhere() -> str:
    """An address where nobody listens."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture
def cut_off(make_stage: Callable[..., Stage], nowhere: str) -> Stage:
    """An application whose S3 does not answer, with short patience."""
    stage = make_stage(
        LITESTREAM_REPLICA=s3_url(nowhere, "backups", "x"),
        LITESTREAM_VERIFY_WAIT=1,
        LITESTREAM_RESTORE_TIMEOUT=1,
        LITESTREAM_STOP_TIMEOUT=1,
        **CREDENTIALS,
    )
    stage.create()
    return stage


def test_with_s3_down_a_verification_fails_in_time_and_so_does_the_stop(cut_off: Stage) -> None:
    with cut_off.running():
        results = cut_off.backups.verify_all()
        began = time.monotonic()
    assert time.monotonic() - began < 1 + 2.5, "LITESTREAM_STOP_TIMEOUT is 1"
    assert [result.reason for result in results] == ["sync_timeout", "sync_timeout"]
    assert all(result.duration < 5 for result in results)
    assert cut_off.left_behind() == []


def test_with_s3_down_a_restore_is_given_up(cut_off: Stage) -> None:
    with pytest.raises(CommandTimedOut, match="Does the replica answer"):
        cut_off.backups.restore_to_new_file("primary")
    ended = cut_off.flask("restore", "primary", "-o", str(cut_off.folder / "copy.sqlite3"))
    assert ended.exit_code == 1
    assert "did not end within 1 s" in ended.output
    assert list(cut_off.folder.glob("copy*")) == []


def test_with_s3_down_the_page_is_still_gathered(cut_off: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_litestream.dashboard.overview.LISTING_TIMEOUT", 1.5)
    began = time.monotonic()
    overview = gather(cut_off.backups, cut_off.folder)
    assert time.monotonic() - began < 2.8, "both replicas are asked at once, and given up"
    assert ["did not end within" in (one.listing.error or "") for one in overview.databases] == [True, True]


def test_after_s3_was_down_for_a_while_a_restart_proves_the_backup_again(make_stage: Callable[..., Stage]) -> None:
    server = new_server()
    server.client.create_bucket(Bucket="comes-back")  # type: ignore[attr-defined]
    port = int(server.endpoint.rpartition(":")[2])
    stage = make_stage(
        LITESTREAM_REPLICA=server.url("x", "comes-back"), LITESTREAM_VERIFY_WAIT=2, LITESTREAM_STOP_TIMEOUT=1, **CREDENTIALS
    )
    stage.create()
    with stage.running():
        assert stage.verify().ok
        server.server.stop()
        stage.write("primary", "while S3 is down")
        assert stage.verify().reason == "sync_timeout"
    again = new_server(port)
    try:
        with stage.running():
            eventually(lambda: stage.verify().ok)
        assert stage.rows(stage.backups.restore_to_new_file("primary").path) == [1, 2]
    finally:
        again.server.stop()
