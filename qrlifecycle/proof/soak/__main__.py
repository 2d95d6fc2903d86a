"""``python -m qrlifecycle.proof.soak``: lifecycles under fire, for as long as asked."""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Sequence

import anyio

from . import Soak

DESCRIPTION = """\
Many lifecycles at a time against real and misbehaving servers, for as long as asked. It ends with
1 if a promise was broken.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Soak, print a summary, and say by the exit code whether every promise held."""
    parser = argparse.ArgumentParser(
        prog="python -m qrlifecycle.proof.soak", description=DESCRIPTION
    )
    parser.add_argument("--seconds", type=float, help="how long (default: 60, if no number given)")
    parser.add_argument("--lifecycles", type=int, help="how many (default: no limit)")
    parser.add_argument("--seed", type=int, help="draws the same plans again (default: random)")
    parser.add_argument("--at-once", type=int, default=40, help="at a time (default: 40)")
    given = parser.parse_args(argv)
    seconds = given.seconds
    if seconds is None:
        seconds = 60.0 if given.lifecycles is None else math.inf
    soak = Soak(
        lifecycles=math.inf if given.lifecycles is None else given.lifecycles,
        seconds=seconds,
        seed=random.randrange(2**32) if given.seed is None else given.seed,  # noqa: S311
        at_once=given.at_once,
    )
    report = anyio.run(soak.run)
    out = sys.stdout
    out.writelines(f"{line}\n" for line in [*report.summary(), *report.breaches])
    out.write("Every promise held.\n" if not report.breaches else "A promise was broken.\n")
    return 1 if report.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
