"""The README is true: its application runs as it stands there, its commands exist, and its links lead somewhere."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .harness.commands import Command

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGES.md", *sorted((ROOT / "docs").glob("*.md"))]

Start = Callable[..., Command]


def blocks(language: str, text: str = README) -> list[str]:
    """The fenced blocks of a language, as they stand in the text."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Run a command line of the README in the folder with hello.py, until the test is over."""
    commands: list[Command] = []

    def start(line: str, *more: str) -> Command:
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        output = tmp_path / f"output-{len(commands)}.log"
        commands.append(Command([*line.split(), *more], environment=environment, output=output, directory=tmp_path))
        return commands[-1]

    yield start
    for command in commands:
        command.kill_everything()


def test_the_smallest_application_runs_as_it_stands_in_the_readme(tmp_path: Path, start: Start) -> None:
    [application] = [block for block in blocks("python") if "create_app" in block]
    (tmp_path / "hello.py").write_text(application)
    [queue_line, web_line, curl_line] = [line.removeprefix("$ ") for line in blocks("console")[1].splitlines()]

    queue = start(queue_line)
    queue.wait_for_output("Starting Worker")
    port = free_port()
    web = start(web_line, "--port", str(port))
    web.wait_for_output("Running on")
    address = curl_line.removeprefix("curl ").replace(":5000", f":{port}")
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.read() == b"Job 1 is on its way.\n"
    queue.wait_for_output(r"^Hello, world!$")
    assert queue.terminate() == 0


def test_the_snippet_beside_it_is_valid(tmp_path: Path) -> None:
    """Added to hello.py, with the imports it leaves to the reader, it declares its job and enqueues."""
    application, snippet = blocks("python")
    enqueuing, declaring = snippet.split("@queue.job", 1)
    indented = enqueuing.strip().replace("\n", "\n    ")
    (tmp_path / "hello.py").write_text(
        "from datetime import timedelta\nfrom flask_queue import Concurrency, Retry\n"
        f"{application}\n\n@queue.job{declaring}\n\nnames = ['a', 'b']\nwith create_app().app_context():\n    {indented}\n"
        "    welcome.enqueue(1)\n"
        "    print(queue.jobs.scheduled.count(), queue.jobs.ready.count())\n"
    )
    result = subprocess.run([sys.executable, "hello.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert result.stdout == "1 3\n", result.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_documents_is_python(document: Path) -> None:
    for number, block in enumerate(blocks("python", document.read_text())):
        compile(block, f"{document.name}, block {number}", "exec", flags=0x2000)  # top-level await is fine


def test_make_does_what_the_readme_says() -> None:
    lines = [line.removeprefix("$ make ") for line in blocks("console")[0].splitlines()]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert lines == ["run", "test"]
    assert set(lines) <= set(targets)
