"""The benchmark of crowds: its figures are what they say, and its command does what it says."""

from __future__ import annotations

import gc
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from .crowds import __main__ as command
from .crowds.__main__ import main, measure_one
from .crowds.crowd import noting_passes
from .crowds.figures import Figures, best
from .crowds.limits import urgent
from .crowds.table import Run, markdown, plain
from .page import MARKS, PAGE, fill

FIGURES = Figures(
    size=1000,
    opening=(100.0, 100.0, 900.0, 100.0, 100.0, 110.0, 110.0, 990.0, 110.0, 110.0),
    memory=15.0,
    objects=108.0,
    idle=4.0,
    told=200.0,
    latencies=tuple(range(1, 1001)),
    waited=0.1,
    over=1.0,
    took=0.999,
)

RUN = Run("a machine", "--sizes 1000", {"ours": [FIGURES], "bare": [replace(FIGURES, memory=30.0)]})


def test_growth_is_the_last_hundreds_to_the_first() -> None:
    """By medians: a hundred in which the collector ran decides nothing."""
    assert FIGURES.growth == pytest.approx(1.1)
    assert replace(FIGURES, opening=(5.0,)).growth == 1
    assert replace(FIGURES, opening=(4.0, 5.0)).growth == 1.25


def test_the_pace_is_what_the_server_reached() -> None:
    """From the first that was told to the last."""
    assert FIGURES.pace == 1000
    assert replace(FIGURES, took=1.998).pace == 500


def test_of_several_runs_the_best_of_each_figure_counts() -> None:
    """What is above it is others' work; but the latencies are those of one run."""
    slow = replace(FIGURES, opening=(50.0,) + (200.0,) * 9, memory=14.0, told=300.0, idle=3.0)
    slow = replace(slow, latencies=tuple(range(2, 1002)), took=2.0)
    found = best([slow, FIGURES])
    assert found == replace(
        FIGURES,
        opening=(
            50.0,
            *FIGURES.opening[1:2],
            200.0,
            *FIGURES.opening[3:7],
            200.0,
            *FIGURES.opening[8:],
        ),
        memory=14.0,
        idle=3.0,
    )
    assert best([replace(FIGURES, lost=1), slow]).latencies == slow.latencies


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
    assert "| 1,000 within 1 s | 1,000 | 500 | 990 | 500 | 990 |" in text
    assert "`.venv/bin/python -m tests.benchmarks.crowds --sizes 1000`, on a machine;" in text
    assert "others had a crowd's core for up to 10.0 % of its telling." in text


def test_what_says_nothing_is_not_told() -> None:
    """A few take the memory that importing left free, and have no last hundred."""
    few = [replace(FIGURES, size=100)]
    text = plain(replace(RUN, crowds={"ours": few, "bare": few}))
    assert "memory" not in text
    assert "last / first" not in text
    assert "to open, CPU us, 100 at once" in text


def test_costs_are_told_once_for_each_size_and_latencies_for_each_pace() -> None:
    """At the first pace: the others change nothing but how soon each knows."""
    paces = [FIGURES, replace(FIGURES, over=4.0, took=3.996, told=900.0)]
    text = markdown(replace(RUN, crowds={"ours": paces, "bare": paces}))
    assert text.count("| success, CPU us, 1,000 at once | 200 | 200 | 1.00 |") == 1
    assert text.count("success, CPU us") == 1
    assert text.count("1,000 within") == 2


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
        "pieces",
        "shared",
        "simulation",
    }
    filled = fill(page, {"crowds": "a table\n"})
    assert "<!-- printed: crowds -->\n\na table\n\n<!-- end -->" in filled
    assert fill(filled, {"crowds": "another\n"}) == fill(page, {"crowds": "another\n"})
    assert MARKS.sub("", filled) == MARKS.sub("", page)
    with pytest.raises(ValueError, match="no mark for nothing"):
        fill(page, {"nothing": ""})


def test_each_size_is_measured_at_each_pace_and_in_each_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """They are left alone at the first pace only; and the command that is told does it again."""
    measured: list[tuple[object, ...]] = []

    def note(kind: str, size: int, seconds: float, *rest: float, urgently: bool) -> Figures:
        assert urgently
        measured.append((kind, size, seconds, *rest))
        return replace(FIGURES, size=size, over=seconds, took=seconds)

    monkeypatch.setattr(command, "measure_one", note)
    told = "--sizes 100 200 --over 1 0.5 --runs 2 --seldom 1000 --urgent"
    file = tmp_path / "run.json"
    assert main([*told.split(), "--idle", "7", "--json", str(file)]) == 0
    once = [
        (kind, size, seconds, idle, 1000)
        for size in (100, 200)
        for seconds, idle in ((1, 7), (0.5, 0))
        for kind in ("ours", "bare")
    ]
    assert measured == once * 2
    assert json.loads(file.read_text())["arguments"] == told
    assert "200 within 0.5 s" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may have a core before others")
def test_who_is_urgent_is_so_for_a_while() -> None:
    """And as before afterwards."""
    before = os.sched_getscheduler(0)
    with urgent(0):
        assert os.sched_getscheduler(0) == os.SCHED_FIFO
    assert os.sched_getscheduler(0) == before


def test_a_pass_of_the_collector_is_noted() -> None:
    """As long as it is asked for, and no longer."""
    passes: list[float] = []
    with noting_passes(passes):
        gc.collect()
    gc.collect()
    assert len(passes) == 1
    assert passes[0] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ours", "bare"])
def test_a_small_crowd_is_measured(kind: str) -> None:
    """All of it, in processes of its own; everybody hears of a success."""
    figures = measure_one(kind, 200, 0.5, 0.1)
    assert figures.size == len(figures.latencies) == 200
    assert len(figures.opening) == 2
    assert min(figures.opening) > 0
    assert figures.over == 0.5
    assert figures.took >= 199 / 200 * 0.5
    assert figures.waited >= 0
    assert figures.idle > 0
