"""The benchmark of a shared socket: small, with a real service."""

from __future__ import annotations

import pytest

from .shared import __main__ as command


@pytest.mark.parametrize("given", [["--codes", "5"], ["--successes", "0"], ["--idle", "0"]])
def test_what_cannot_be_measured_is_refused(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is."""
    with pytest.raises(SystemExit):
        command.main(given)
    assert "two successes and more" in capsys.readouterr().err


@pytest.mark.slow
def test_a_small_crowd_shares_a_socket(capsys: pytest.CaptureFixture[str]) -> None:
    """All that is measured is told, with and without a status to read; one socket, two openings."""
    assert command.main(["--codes", "60", "--successes", "20", "--idle", "0.1"]) == 0
    said = capsys.readouterr().out
    assert "60 codes over one socket" in said
    for row in ("memory each, kB", "one alone", "all hear again", "busiest 0.1 s"):
        assert row in said
    assert said.count("2, 1, 0") == 2
