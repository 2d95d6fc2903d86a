"""Misbehaving peers against cancelled transports, at random, for as many runs as asked.

Each run has a seed of its own, one after another from `--seed`, which says all of it: the event
loop, the transport, the peer, and what befalls it when. After each nothing may be left, and nothing
may have come out that the docs do not name. It ends with 1 if anything was; each fault says how to
have its run again.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .run import run

EVERY = 500
"""Runs after which a word is said."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--seed", type=int, help="the first run's seed (default: random)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    given = parser.parse_args(arguments)
    seed = random.randrange(10**9) if given.seed is None else given.seed
    gc.collect()
    gc.freeze()  # or each run would look through all that was imported
    began, faults, of_uvloop = time.monotonic(), 0, 0
    done, came_out = Counter[str](), Counter[str]()
    for number in range(given.runs):
        verdict = run(seed + number)
        plan = verdict.plan
        done.update([plan.loop.value, plan.kind.value, plan.subject.value])
        came_out.update(verdict.came_out)
        of_uvloop += verdict.of_uvloop
        if verdict.faults:
            faults += 1
            print(verdict, flush=True)
        if (number + 1) % EVERY == 0:
            print(f"{number + 1} runs, {faults} with faults", file=sys.stderr, flush=True)
    took = time.monotonic() - began
    counted = ", ".join(f"{name} {count}" for name, count in sorted(done.items()))
    python = ".".join(map(str, sys.version_info[:3]))
    print(f"{given.runs} runs in {took:.0f} s from seed {seed}, Python {python}: {counted}")
    print("; ".join(f"{words} {count}" for words, count in came_out.most_common()))
    print(f"complaints that are uvloop's own (see run.py): {of_uvloop}")
    print(f"{faults} with faults" if faults else "Nothing was left, and nothing else came out.")
    if given.json is not None:
        figures = {"runs": given.runs, "seed": seed, "seconds": took, "faults": faults, **done}
        given.json.write_text(json.dumps(figures) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
