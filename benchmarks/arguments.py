"""The command line: what may be asked for, and what is said when it is something else."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from .cases import CASES
from .figures import GROUPS

DESCRIPTION = """\
Measure Flask-Queue beside the database itself and beside those other queues that are installed.

  python -m benchmarks             compare, and print one table with the machine below it
  python -m benchmarks growth      how cost grows from 1,000 to 1,000,000 rows
  python -m benchmarks soak        whether it is as fast after half an hour at half its peak
  python -m benchmarks page        write what was saved into docs/performance.md

A peer takes part when this Python can import it: pip install huey procrastinate rq
PostgreSQL takes part when TEST_POSTGRESQL_URL names a server (`make bench` finds one on this machine);
MariaDB, in growth only, with TEST_MARIADB_URL; Redis when an unused numbered database of it is free.
Databases are created for the purpose and dropped. The machine should have nothing else to do.
"""


def parser() -> argparse.ArgumentParser:
    """What `python -m benchmarks` takes."""
    made = argparse.ArgumentParser("python -m benchmarks", None, DESCRIPTION, formatter_class=argparse.RawTextHelpFormatter)
    figures = "\n".join(f"  {name:15}{what}" for name, what in GROUPS.items())
    cases = ", ".join(case.key for case in CASES)
    made.add_argument(
        "what", nargs="?", default="compare", choices=("compare", "growth", "soak", "page"), help="default: compare"
    )
    made.add_argument("--quick", action="store_true", help="a little of everything, once: to see that it works, not how fast")
    made.add_argument(
        "--figures", type=_names_in(GROUPS), default=list(GROUPS), metavar="A,B", help=f"only these of\n{figures}"
    )
    made.add_argument(
        "--cases", type=_cases, default=list(CASES), metavar="A,B", help=f"only these; * stands for anything:\n{cases}"
    )
    made.add_argument("--repetitions", type=_at_least_one, metavar="N", help="how often, default 3; once with --quick")
    made.add_argument("--minutes", type=_at_least_one, metavar="N", default=30, help="of soak, on each database; default 30")
    made.add_argument(
        "--folder", type=_folder, metavar="DIR", help="an existing folder on the disk to measure; default: the temporary one"
    )
    made.add_argument("--save", metavar="FILE.json", help="write all that was measured to this file")
    return made


def _names_in(known: Collection[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        asked = [name.strip() for name in text.split(",")]
        unknown = [name for name in asked if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)!r}; there are {', '.join(known)}")
        return [name for name in known if name in asked]

    return names


def _cases(text: str) -> Sequence[object]:
    patterns = [pattern.strip() for pattern in text.split(",")]
    for pattern in patterns:
        if not any(fnmatchcase(case.key, pattern) for case in CASES):
            known = ", ".join(case.key for case in CASES)
            raise argparse.ArgumentTypeError(f"no case is called {pattern!r}; there are {known}")
    return [case for case in CASES if any(fnmatchcase(case.key, pattern) for pattern in patterns)]


def _folder(text: str) -> str:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text!r}")
    return text


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)
