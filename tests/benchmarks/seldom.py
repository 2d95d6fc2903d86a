"""The garbage collector, as a process of ten thousand codes may have it."""

from __future__ import annotations

import argparse
import gc

__all__ = ["add_seldom", "collect_seldom"]


def add_seldom(parser: argparse.ArgumentParser) -> None:
    """The option ``--seldom``."""
    parser.add_argument(
        "--seldom", type=int, default=0, metavar="T",
        help="have the garbage collector look at everything seldom: its third threshold (10)",
    )  # fmt: skip


def collect_seldom(threshold: int) -> None:
    """Have it look at everything so seldom; as Python has it, if that is 0."""
    if threshold:
        gc.set_threshold(*gc.get_threshold()[:2], threshold)
