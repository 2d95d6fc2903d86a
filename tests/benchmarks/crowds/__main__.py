"""Many codes displayed in one process, beside as many bare clients: what each costs.

The crowd has a process and a core of its own, and so has the server. A size is a multiple of 100.
Of a socket each there are more than a process may usually have: the limit is raised as far as it
may be (``ulimit -Hn``), and a size beyond it is refused. By hand: ``--sizes 9500``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import product
from pathlib import Path

from ..affinity import keep_apart
from ..page import fill_page, this_machine
from ..processes import line_of, running
from ..seldom import add_seldom
from .crowd import HUNDRED, KINDS
from .figures import Figures, best
from .limits import SPARE, raise_limit, urgent
from .server import HEARTBEAT
from .table import Run, markdown, plain

SIZES = (100, 1000, 3000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or read what was measured; print it, and write it."""
    given = _parse(arguments)
    if given.read is not None:
        run = Run.from_json(json.loads(given.read.read_text()))
    else:
        run = measure(given)
    if given.json is not None:
        given.json.write_text(json.dumps(run.to_json()) + "\n")
    print(plain(run))
    if given.docs:
        fill_page({"crowds": markdown(run)})
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.crowds", description=__doc__)
    parser.add_argument("--sizes", type=_size, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument(
        "--over", type=_seconds, nargs="+", default=[1.0], metavar="S",
        help="seconds within which all are told, one after another (1)",
    )  # fmt: skip
    parser.add_argument(
        "--runs", type=int, default=1, metavar="R",
        help="measure each so often, and take the best of each figure (1)",
    )  # fmt: skip
    parser.add_argument(
        "--idle", type=float, default=HEARTBEAT, metavar="S",
        help="seconds to be left alone for (25: as often as the server pings)",
    )  # fmt: skip
    add_seldom(parser)
    parser.add_argument(
        "--urgent", action="store_true",
        help="tell them at real-time priority: others on this machine then wait (for root)",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing: read such JSON")
    parser.add_argument("--docs", action="store_true", help="fill docs/measured.md")
    given = parser.parse_args(arguments)
    if (limit := raise_limit()) < max(given.sizes) + SPARE:
        parser.error(f"this process may have {limit} descriptors (ulimit -Hn): too few for that")
    return given


def _size(text: str) -> int:
    if (size := int(text)) <= 0 or size % HUNDRED:
        raise argparse.ArgumentTypeError(f"a size is a multiple of {HUNDRED}")
    return size


def _seconds(text: str) -> float:
    if (seconds := float(text)) <= 0:
        raise argparse.ArgumentTypeError("a time is longer than nothing")
    return seconds


def measure(given: argparse.Namespace) -> Run:
    """Each size at each pace, ours and then bare, and all of it again for each run.

    Only before the first pace is each left alone: that is the same for all of them.
    """
    measured: dict[str, dict[tuple[int, float], list[Figures]]] = {kind: {} for kind in KINDS}
    sizes: Sequence[int] = given.sizes
    over: Sequence[float] = given.over
    for number, size, seconds, kind in product(range(given.runs), sizes, over, KINDS):
        alone = given.idle if seconds == over[0] else 0.0
        figures = measure_one(kind, size, seconds, alone, given.seldom, urgently=given.urgent)
        measured[kind].setdefault((size, seconds), []).append(figures)
        text = f"{size:,} {kind} within {seconds:g} s: p99 {figures.p99:.1f} ms, run {number + 1}"
        print(text, file=sys.stderr, flush=True)
    crowds = {kind: [best(each) for each in by.values()] for kind, by in measured.items()}
    arguments = ["--sizes", *map(str, sizes), "--over", *(f"{each:g}" for each in over)]
    arguments += ["--runs", given.runs] * (given.runs > 1)
    arguments += ["--seldom", given.seldom] * bool(given.seldom)
    arguments += ["--urgent"] * given.urgent
    return Run(this_machine(), " ".join(map(str, arguments)), crowds)


def measure_one(
    kind: str, size: int, seconds: float, idle: float, seldom: int = 0, *, urgently: bool = False
) -> Figures:
    """One crowd, with a server of its own, which tells all of them within these seconds."""
    with (
        running(f"{__package__}.server") as server,
        running(f"{__package__}.crowd", kind, size, line_of(server), idle, seldom) as crowd,
    ):
        keep_apart(crowd.pid, server.pid)
        took, line = 0.0, line_of(crowd)
        while line == "told?":
            with urgent(crowd.pid, server.pid) if urgently else nullcontext():
                assert server.stdin is not None
                server.stdin.write(f"{seconds}\n")
                server.stdin.flush()
                took, line = float(line_of(server)), line_of(crowd)
        return replace(Figures.from_json(json.loads(line)), over=seconds, took=took)


if __name__ == "__main__":
    sys.exit(main())
