"""The study on the page ``docs/measured.md``: its figures stand between marks, and are made here.

The page's own sentences hold no figure that another run could change. This room must never measure
anything.
"""

from __future__ import annotations

import re
from pathlib import Path

from .designs import OURS
from .plot import draw
from .study import Lived, Study
from .tables import assumptions_table, changes_table, kind_table, share, successes_table

__all__ = ["fill", "write"]

MARKS = re.compile(r"(?P<begin><!-- made: (?P<name>\w+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)


def write(study: Study, docs: Path) -> None:
    """Draw the picture, and fill the page."""
    page = docs / "measured.md"
    draw(study, docs / "images" / "measured.svg")
    page.write_text(fill(page.read_text(), study))


def fill(page: str, study: Study) -> str:
    """The page, with what stands between its marks made anew.

    Raises:
        KeyError: a mark asks for what is not made.
    """
    made = _made(study)
    return MARKS.sub(lambda mark: f"{mark['begin']}\n{made[mark['name']]}\n{mark['end']}", page)


def _made(study: Study) -> dict[str, str]:
    lives = "" if study.runs == 1 else f" The two days were lived {study.runs} times each."
    return {
        "finding": "".join(f"- {_finding(day)}\n" for day in study.kinds),
        "assumptions": assumptions_table(study).markdown(),
        "ordinary": kind_table(study.ordinary).markdown(),
        "pairing": kind_table(study.pairing).markdown(),
        "successes": successes_table(study).markdown(),
        "changes": changes_table(study).markdown(),
        "machine": f"Seed {study.seed}, {study.machine}.{lives}\n",
    }


def _finding(day: Lived) -> str:
    time = share(day.saved(lambda account: account.socket_seconds))
    connections = share(day.saved(lambda account: account.openings))
    lines = share(day.saved(lambda account: account.log_lines))
    return (
        f"**{day.name}** ({day.assumptions.visits} visits, {day.of(OURS).codes} codes): "
        f"**{time}** of the time with a socket open is saved, **{connections}** of the "
        f"connections, **{lines}** of the log lines"
    )
