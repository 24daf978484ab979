"""Read a YAML file and find the section of the environment in it. Nothing here raises: what is wrong becomes a problem."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

#: Tells an entry of a section, by its key and value, from a section.
EntryTest = Callable[[str, Any], bool]


@dataclass
class Findings:
    """What was found to be wrong, or strange, while the files were read."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """The part of a file that is for this environment, and where to complain about it."""

    #: How to call the file in a message.
    file: str
    findings: Findings
    content: Mapping[str, Any] = field(default_factory=dict)
    #: The sections there are, if none of them is for this environment.
    others: tuple[str, ...] = ()

    def problem(self, where: str, what: str) -> None:
        self.findings.problems.append(f"{self.file}: {where}: {what}")

    def warning(self, where: str, what: str) -> None:
        self.findings.warnings.append(f"{self.file}: {where}: {what}")


def read_section(path: Path, shown: str, environment: str, is_entry: EntryTest, findings: Findings) -> Section:
    """The section for `environment`, or the whole file if it has no sections.

    :param shown: how to call the file in messages
    """
    empty = Section(shown, findings)
    try:
        content = _load(path.read_bytes())
    except OSError as error:
        findings.problems.append(f"{shown}: cannot be read: {error.strerror}")
        return empty
    except ValueError as error:
        findings.problems.append(f"{shown}: {error}")
        return empty
    if content is not None and not isinstance(content, Mapping):
        findings.problems.append(f"{shown}: must have sections or options, not just {_kind(content)}")
        return empty
    return _choose(_with_text_keys(content or {}), environment, is_entry, empty)


def _load(text: bytes) -> Any:
    """Read YAML, but let not the second of two equal keys silently replace the first.

    :raises ValueError: saying what is wrong with it, in one line.
    """
    import yaml  # half a megabyte, of no use where there is no file

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if isinstance(key.value, str) and key.value != "<<":
                    if key.value in seen:
                        raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands here twice", key.start_mark)
                    seen.add(key.value)
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(_explanation(error)) from error


def _choose(content: Mapping[str, Any], environment: str, is_entry: EntryTest, empty: Section) -> Section:
    """A section named like the environment is it; else the file is for all environments, if it does not look like sections."""
    if environment in content and not is_entry(environment, content[environment]):
        for key in (key for key, value in content.items() if is_entry(key, value)):
            empty.warning(key, f"stands beside the section {environment} and is ignored; move it in there")
        return _section(content[environment], environment, empty)
    has_entries = any(is_entry(key, value) for key, value in content.items())
    if not has_entries and all(value is None or isinstance(value, Mapping) for value in content.values()):
        return replace(empty, others=tuple(content))
    return replace(empty, content=content)


def _section(content: Any, environment: str, empty: Section) -> Section:
    if content is not None and not isinstance(content, Mapping):
        empty.problem(environment, f"must have options, not just {_kind(content)}")
        return empty
    return replace(empty, content=_with_text_keys(content or {}))


def _with_text_keys(content: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in content.items()}


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else repr(value)


def _explanation(error: Exception) -> str:
    """What is wrong with the YAML, in one line."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    what = getattr(error, "problem", None) or str(error)
    return f"{where}not valid YAML: {' '.join(what.split())}"
