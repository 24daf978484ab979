"""Bring docs/performance.md up to date: what was saved goes between pairs of comments, the rest is for people to write."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .growthtable import growth_report
from .plot import plot
from .processes import ROOT
from .soak import soak_report
from .table import report

#: What is in the page between `<!-- NAME -->` and `<!-- end of NAME -->`, made from results/NAME.json.
PARTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {"comparison": report, "growth": growth_report, "soak": soak_report}


def write(root: Path = ROOT) -> list[Path]:
    """Write the page and its plot anew, and give the files that are now up to date."""
    page, picture = root / "docs" / "performance.md", root / "docs" / "images" / "growth.svg"
    saved = {name: json.loads((root / "benchmarks" / "results" / f"{name}.json").read_text()) for name in PARTS}
    text = page.read_text()
    for name, make in PARTS.items():
        text = with_part(text, name, make(saved[name]))
    page.write_text(text)
    picture.write_text(plot(saved["growth"]))
    return [page, picture]


def with_part(text: str, name: str, part: str) -> str:
    """`text` with `part` between the two comments of that name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    changed, found = pattern.subn(lambda _: f"{begin}\n\n{part}\n\n{end}", text)
    if found != 1:
        raise SystemExit(f"The page needs the comments {begin} and {end}, once each and in this order.")
    return changed
