"""The benchmark of pieces: a few rounds, with the real server."""

from __future__ import annotations

import pytest

from qrlifecycle.transports.wire.stream import Stream

from . import pieces


@pytest.mark.slow
def test_each_piece_has_a_figure(capsys: pytest.CaptureFixture[str]) -> None:
    """No piece is passed over, on either way, and nothing of the library is left changed."""
    before = Stream.close
    assert pieces.main(["--rounds", "3"]) == 0
    assert Stream.close is before
    said = capsys.readouterr().out
    for piece in (*pieces.SUCCESS, *pieces.LISTENING, "the bare handler", "`pair()` returns"):
        assert piece in said


def test_a_piece_lasts_from_the_one_before_to_itself() -> None:
    """Of several moments of one piece the last counts; what came before the beginning does not."""
    taken = pieces.Pieces()
    moments = [("a", 0.5, 0.1), ("a", 1.0, 0.2), ("a", 3.0, 0.3), ("b", 4.0, 0.4)]
    taken.add(1.0, moments, ("rest", 4.5, 0.6))
    assert taken.clock == {"a": [2e6], "b": [1e6], "rest": [0.5e6]}
    assert [round(one) for one in taken.cpu["rest"]] == [200_000]
