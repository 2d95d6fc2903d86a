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
from pathlib import Path

from ..affinity import keep_apart
from ..page import fill_page, this_machine
from ..processes import line_of, running
from .crowd import HUNDRED, KINDS, Figures
from .limits import SPARE, raise_limit
from .table import Run, markdown, plain

SIZES = (100, 1000, 3000)

HEARTBEAT = 25.0
"""Seconds between two pings of the server's."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or read what was measured; print it, and write it."""
    given = _parse(arguments)
    if given.read is not None:
        run = Run.from_json(json.loads(given.read.read_text()))
    else:
        run = measure(given.sizes, given.idle)
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
        "--idle", type=float, default=HEARTBEAT, metavar="S",
        help="seconds to be left alone for (25: as often as the server pings)",
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


def measure(sizes: Sequence[int], idle: float) -> Run:
    """Each size, ours and then bare."""
    crowds: dict[str, list[Figures]] = {kind: [] for kind in KINDS}
    for size in sizes:
        for kind, measured in crowds.items():
            measured.append(measure_one(kind, size, idle))
            print(f"{size} {kind}", file=sys.stderr, flush=True)
    return Run(this_machine(), " ".join(["--sizes", *map(str, sizes)]), crowds)


def measure_one(kind: str, size: int, idle: float) -> Figures:
    """One crowd, with a server of its own."""
    with (
        running(f"{__package__}.server") as server,
        running(f"{__package__}.crowd", kind, size, line_of(server), idle) as crowd,
    ):
        keep_apart(crowd.pid, server.pid)
        while (line := line_of(crowd)) == "told?":
            assert server.stdin is not None
            server.stdin.write("tell\n")
            server.stdin.flush()
            line_of(server)
        return Figures.from_json(json.loads(line))


if __name__ == "__main__":
    sys.exit(main())
