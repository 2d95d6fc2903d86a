"""One dashboard day, lived by a socket per page, by polling, and by this library.

The whole study takes some minutes: a day is lived moment by moment against the real pairing server,
and the time between its moments is jumped over. What was measured can be written as JSON and drawn
again from it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from .study import Study, measure, plans, this_machine
from .tables import Table, tables

DOCS = Path(__file__).parents[3] / "docs"

FORMATS = (".svg", ".png", ".pdf")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or read what was measured; print, draw and write it."""
    given = _parse(arguments)
    if given.read is None:
        study = asyncio.run(_measure(given.seed, given.runs, given.share))
    else:
        study = Study.from_json(json.loads(given.read.read_text()))
    if given.json is not None:
        given.json.write_text(json.dumps(study.to_json()) + "\n")
    for table in tables(study):
        _print(table)
    if given.plot is not None:
        from .plot import draw

        draw(study, given.plot)
    if given.docs:
        from .page import write

        write(study, DOCS)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.dashboard", description=__doc__
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it: .svg, .png or .pdf")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing: read such JSON")
    parser.add_argument(
        "--docs", action="store_true", help="fill docs/measured.md and draw its picture"
    )
    parser.add_argument("--seed", type=int, default=7, help="what the days are drawn from (7)")
    parser.add_argument("--runs", type=int, default=1, help="lives of the two kinds of day (1)")
    parser.add_argument("--share", type=float, default=1.0, help="of the visits to live (1)")
    given = parser.parse_args(arguments)
    if given.plot is not None and given.plot.suffix not in FORMATS:
        parser.error(f"--plot draws {', '.join(FORMATS)}, not {given.plot.name}")
    if (given.plot or given.docs) and find_spec("matplotlib") is None:
        parser.error("drawing needs matplotlib: pip install '.[plot]'")
    return given


async def _measure(seed: int, runs: int, share: float) -> Study:
    planned, days, began = list(plans(share)), [], time.monotonic()
    async for day in measure(planned, seed, runs):
        days.append(day)
        took = time.monotonic() - began
        print(f"{len(days)} of {len(planned)} days, {took:.0f} s: {day.name}", file=sys.stderr)
    return Study(seed, runs, this_machine(), tuple(days))


def _print(table: Table) -> None:
    if not (sys.stdout.isatty() and find_spec("rich")):
        print(table.plain(), end="\n\n")
        return
    from rich.console import Console
    from rich.table import Table as RichTable

    drawn = RichTable(title=table.title, title_justify="left")
    for column, title in enumerate(table.head):
        drawn.add_column(title, justify="right" if column else "left")
    for row in table.rows:
        drawn.add_row(*row)
    Console().print(drawn, end="\n\n")


if __name__ == "__main__":
    sys.exit(main())
