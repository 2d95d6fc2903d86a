"""The benchmark of crowds: its figures are what they say, and its command does what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from .crowds.__main__ import main, measure_one
from .crowds.crowd import Figures
from .crowds.table import Run, growth, markdown, plain
from .page import MARKS, PAGE, fill

FIGURES = Figures(
    size=1000,
    opening=(100.0, 100.0, 900.0, 100.0, 100.0, 110.0, 110.0, 990.0, 110.0, 110.0),
    memory=15.0,
    objects=108.0,
    idle=4.0,
    told=200.0,
    latencies=tuple(range(1, 1001)),
)

RUN = Run("a machine", "--sizes 1000", {"ours": [FIGURES], "bare": [replace(FIGURES, memory=30.0)]})


def test_growth_is_the_last_hundreds_to_the_first() -> None:
    """By medians: a hundred in which the collector ran decides nothing."""
    assert growth(FIGURES) == pytest.approx(1.1)
    assert growth(replace(FIGURES, opening=(5.0,))) == 1
    assert growth(replace(FIGURES, opening=(4.0, 5.0))) == 1.25


def test_what_was_measured_is_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From JSON, as it was written; and printed with its command's machine."""
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    first.write_text(json.dumps(RUN.to_json()))
    assert main(["--read", str(first), "--json", str(second)]) == 0
    assert Run.from_json(json.loads(second.read_text())) == RUN
    assert capsys.readouterr().out == plain(RUN) + "\n"


def test_the_table_has_ours_beside_the_bare_client() -> None:
    """Each figure at each size, with the ratio, the command and the machine."""
    text = markdown(RUN)
    assert "| memory, kB, 1,000 at once | 15 | 30 | 0.50 |" in text
    assert "| success p99, ms, 1,000 at once | 990 | 990 | 1.00 |" in text
    assert "`.venv/bin/python -m tests.benchmarks.crowds --sizes 1000`, on a machine." in text


def test_who_was_cut_off_is_told_of() -> None:
    """By a row of its own, which nobody sees where nobody was."""
    assert "cut off" not in plain(RUN)
    ours, bare = [FIGURES], [replace(FIGURES, lost=3)]
    text = markdown(replace(RUN, crowds={"ours": ours, "bare": bare}))
    assert "| cut off, and never told, 1,000 at once | 0 | 3 | 0.00 |" in text


@pytest.mark.parametrize("sizes", ["150", "0", "-100", "100000000"])
def test_a_size_that_cannot_be_is_refused(sizes: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it is given, and before anything is measured."""
    with pytest.raises(SystemExit):
        main(["--sizes", sizes])
    said = capsys.readouterr().err
    assert "multiple of 100" in said or "ulimit" in said or "expected" in said


def test_the_page_has_the_marks_and_other_text_stays() -> None:
    """What one command prints is put between its own marks, and nothing else changes."""
    page = PAGE.read_text()
    assert {mark["name"] for mark in MARKS.finditer(page)} == {
        "crowds",
        "costs",
        "replicas",
        "keeper",
        "leases",
        "simulation",
    }
    filled = fill(page, {"crowds": "a table\n"})
    assert "<!-- printed: crowds -->\n\na table\n\n<!-- end -->" in filled
    assert fill(filled, {"crowds": "another\n"}) == fill(page, {"crowds": "another\n"})
    assert MARKS.sub("", filled) == MARKS.sub("", page)
    with pytest.raises(ValueError, match="no mark for nothing"):
        fill(page, {"nothing": ""})


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ours", "bare"])
def test_a_small_crowd_is_measured(kind: str) -> None:
    """All of it, in processes of its own; everybody hears of a success."""
    figures = measure_one(kind, 200, 0.1)
    assert figures.size == len(figures.latencies) == 200
    assert len(figures.opening) == 2
    assert min(figures.opening) > 0
    assert figures.latencies == tuple(sorted(figures.latencies))
