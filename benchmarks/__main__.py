"""`python -m benchmarks`: see `--help`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import databases, page
from .arguments import parser
from .cases import OURS, Case
from .compare import Progress, Results, compare
from .figures import QUICK, Sizes
from .growth import FULL, SMALL, Growth, grow
from .growthtable import growth_report
from .machine import description
from .soak import SHORT, Length, Soak, soak, soak_report
from .table import report

NOT_INSTALLED = "not installed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for."""
    asked = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything is put away on the way out
    try:
        return {"compare": run_comparison, "growth": run_growth, "soak": run_soak, "page": write_page}[asked.what](asked)
    except KeyboardInterrupt:
        print("Stopped; nothing is left behind.", file=sys.stderr)
        return 130


def run_comparison(asked: argparse.Namespace) -> int:
    """Measure, print the table, and save what was measured if asked to."""
    sizes = QUICK if asked.quick else Sizes()
    results = Results(repetitions=asked.repetitions or (1 if asked.quick else 3), sizes=sizes.as_dict())
    cases = measurable(asked.cases, results)
    with tempfile.TemporaryDirectory(prefix="flask-queue-bench-", dir=asked.folder) as folder:
        packages = {package for case in cases for package in case.packages}
        results.machine = description({case.database for case in cases}, packages, folder)
        compare(cases, asked.figures, sizes, results, Path(folder), Progress())
    save(asked.save, results.as_dict())
    print(report(results.as_dict()))
    return 1 if results.errors else 0


def measurable(cases: Sequence[Case], results: Results) -> list[Case]:
    """The cases that can be measured here; of the others, why not, goes into the results."""
    found = []
    for case in cases:
        if not case.installed:
            results.leave_out(NOT_INSTALLED, " + ".join(case.packages))
        elif reason := databases.reason_against(case.database):
            results.leave_out(reason, case.key)
        else:
            found.append(case)
    return found


def run_growth(asked: argparse.Namespace) -> int:
    """Measure how cost grows, print it, and save it if asked to."""
    names = [name for name in ("sqlite", "postgresql", "mariadb") if not databases.reason_against(name)]
    with tempfile.TemporaryDirectory(prefix="flask-queue-bench-", dir=asked.folder) as folder:
        growth = Growth(machine=description(set(names), set(), folder))
        grow(names, SMALL if asked.quick else FULL, growth, Path(folder), Progress())
    save(asked.save, growth.as_dict())
    print(growth_report(growth.as_dict()))
    return 1 if growth.errors else 0


def run_soak(asked: argparse.Namespace) -> int:
    """Keep workers busy for long, print how it went, and save it if asked to."""
    cases = [case for case in asked.cases if case.name == OURS and not databases.reason_against(case.database)]
    with tempfile.TemporaryDirectory(prefix="flask-queue-bench-", dir=asked.folder) as folder:
        soaked = Soak(machine=description({case.database for case in cases}, set(), folder))
        length = SHORT if asked.quick else Length(steady=asked.minutes * 60)
        soak([case.database for case in cases], length, soaked, Path(folder), Progress())
    save(asked.save, soaked.as_dict())
    print(soak_report(soaked.as_dict()))
    return 0


def write_page(asked: argparse.Namespace) -> int:
    """Bring docs/performance.md and its plot up to date with what was saved."""
    for path in page.write():
        print(path)
    return 0


def save(path: str | None, results: object) -> None:
    """Write what was measured to a file, if there is to be one."""
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
