"""Many codes displayed in one process over one `SharedSocket`: what each costs, and a break.

Everything is real: the service, a Socket.IO server in a process of its own that tells everybody
everything, and a lifecycle for each code. It is done twice, with a ``check_status`` that answers at
once and without one. Absolute times are this machine's and this minute's: beside each stands the
load at that moment. CPU is that of the process with the codes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from ..dashboard.tables import Table
from ..page import fill_page, this_machine
from ..processes import line_of, running
from ..seldom import add_seldom


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.shared", description=__doc__)
    parser.add_argument("--codes", type=int, default=10_000, metavar="N")
    parser.add_argument("--successes", type=int, default=500, help="whose time is taken")
    parser.add_argument("--idle", type=float, default=10, metavar="S", help="seconds of nothing")
    parser.add_argument(
        "--urgent", action="store_true",
        help="those whose time is taken at real-time priority: others then wait (for root)",
    )  # fmt: skip
    add_seldom(parser)
    parser.add_argument("--docs", action="store_true", help="fill docs/measured.md")
    given = parser.parse_args(arguments)
    if not 0 < 2 * given.successes < given.codes or given.idle <= 0:
        parser.error("two successes and more for each that is timed; and an idle time above 0")
    machine = this_machine()
    without, having = (
        measure_one(
            given.codes, given.successes, given.idle, given.seldom, reads=reads, urgent=given.urgent
        )
        for reads in (False, True)
    )
    plain = {title: (text, load) for title, text, load in without}
    rows = [(t, *plain.get(t, ("-", "-")), text, load) for t, text, load in having]
    head = (f"{given.codes:,} codes over one socket", "", "load", "with check_status", "load")
    table = Table("One shared socket", head, tuple(rows))
    print(f"{table.plain()}\n{machine}")
    if given.docs:
        command = f".venv/bin/python -m tests.benchmarks.shared --codes {given.codes}"
        command += " --urgent" * given.urgent
        command += f" --seldom {given.seldom}" if given.seldom else ""
        fill_page({"shared": f"{table.markdown()}\n`{command}`, on {machine}.\n"})
    return 0


def measure_one(
    codes: int, successes: int, idle: float, seldom: int = 0, *, reads: bool, urgent: bool
) -> list[list[str]]:
    """The rows of one crowd: what was measured, the figure, and the load at that moment."""
    arguments = codes, successes, idle, int(reads), int(urgent), seldom
    with running(f"{__package__}.crowd", *arguments) as crowd:
        rows: list[list[str]] = json.loads(line_of(crowd))
    return rows


if __name__ == "__main__":
    sys.exit(main())
