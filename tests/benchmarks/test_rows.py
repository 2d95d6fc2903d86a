"""The benchmarks' table: a row over several processes, and what the command makes of it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from . import __main__ as benchmarks
from .rows import Comparison, Row, markdown, median_of


def row(ours: float, other: float) -> Row:
    """What one process has measured."""
    return Row("a row", "ms", ours, other, "another", 1.5, (ours / other,))


def test_a_row_over_several_processes_has_their_medians_and_says_how_far_they_are_apart() -> None:
    """The ratio is the median of the processes' ratios; the lowest and the highest are said."""
    over = median_of([row(1.2, 1.0), row(6.0, 3.0), row(2.8, 2.0)])
    assert (over.ours, over.other, over.ratio) == (2.8, 2.0, 1.4)
    assert over.spread == "1.20 to 2.00"
    assert "1.20 to 2.00" in str(over)
    assert "| 1.40 | 1.20 to 2.00 | 1.5 |" in markdown([over], "command", "a machine")


def test_one_process_has_no_spread() -> None:
    """Where one process has measured, nothing is said of others."""
    assert row(1.2, 1.0).spread == ""


def test_each_row_is_measured_in_several_processes_and_can_be_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process has its part of the rounds; what was written is what was printed."""
    rounds: list[str] = []

    async def measured(url: str) -> float:
        rounds.append(url)
        return float(len(rounds))

    def run(command: Sequence[str], **_options: object) -> None:
        assert command[1:3] == ["-m", "tests.benchmarks"]
        with capsys.disabled(), redirect_stdout(None):
            benchmarks.main(command[3:])

    monkeypatch.setattr(
        benchmarks, "COMPARISONS", [Comparison("a row", "ms", measured, measured, "it", 1.5, 40)]
    )
    monkeypatch.setattr(benchmarks, "keep_apart", lambda *_processes: None)
    monkeypatch.setattr(subprocess, "run", run)
    file = tmp_path / "rows.json"
    assert benchmarks.main(["--share", "0.5", "--processes", "2", "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    [row], _ = benchmarks.read(file)
    assert len(rounds) == 2 * 20
    assert len(set(rounds)) == len(row.ratios) == 2
    assert benchmarks.main(["--read", str(file)]) == 0
    assert capsys.readouterr().out == printed
