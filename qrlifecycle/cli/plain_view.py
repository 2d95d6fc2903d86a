"""An attempt as plain lines: for pipes, logs, and terminals that are too small.

`qrlifecycle.cli.live_view` builds on it. Each line is flushed at once. Foreign text is stripped of
control characters before it is shown. A payload is never written as text; a command that wants that
(the demo does, for its toy server) passes it as a hint.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Self

from ..codes import PairingCode, QRCode
from ..engine.observers import Change
from ..errors import UsageError
from ..lifecycle import QRLifecycle
from ..monitoring.printable import printable
from ..outcome import Connected, Outcome, Reason
from ..signals import ActionRequired
from ..states import Event
from .drawing import Drawing, can_draw, draw, draws_colours
from .output import folded, terminal_size
from .stopping import Stop

__all__ = ["CANNOT_DRAW", "Hints", "PlainView", "sentences"]

Hints = Callable[[QRCode], tuple[str, ...]]
"""The lines to show beside a code: what to do with it."""

CANNOT_DRAW = "the code cannot be drawn in {}; use UTF-8 (a locale like C.UTF-8 has it)"

LONGEST = 200
"""Characters of foreign text that are shown."""

LONGEST_FAILURE = 500
"""Characters of why there is no pairing: it ends with what to do."""

NEWS = {
    Event.SCANNED: "the phone has scanned the code; the approval is awaited",
    Event.EXPIRED: "the code expired, asking for another",
}


class PlainView:
    """Plain lines on standard output; a context manager around an attempt.

    Args:
        stop: asked to stop when the output has no reader any more.
        hints: the lines to show beside a code.
        title: the first line.
        invert: where there are no colours, draw for a light background.
    """

    def __init__(self, stop: Stop, hints: Hints, *, title: str, invert: bool = False) -> None:
        self._stop = stop
        self._title = title
        self._invert = invert
        self._hints = hints
        self._too_wide: QRCode | None = None
        self._unseen: QRCode | None = None
        """The last code, if it never fitted."""

    def __enter__(self) -> Self:
        self._print(self._title)
        return self

    def __exit__(self, *_error: object) -> None:
        """Restore the terminal; nothing to do here."""

    def watch(self, lifecycle: QRLifecycle) -> None:
        """The lifecycle that is shown; plain lines need only its hooks."""

    def say(self, line: str) -> None:
        """Show one line of what happens."""
        self._print(line)

    def show(self, qr: QRCode) -> None:
        """Show a code to scan, or the one that replaces it.

        What to do with it comes first, and last that it is higher than the screen: what came before
        such a code cannot be seen.
        """
        self._print_code(qr)

    def _print_code(self, qr: QRCode) -> bool:
        """Show a code; whether all of it is on screen, else that was said."""
        self._print(*self._lines_beside(qr))
        return self._draw(qr)

    def spell(self, code: PairingCode) -> None:
        """Show a code to type; it is meant to be read, so it is written as text."""
        self.say(f"type this code on the phone: {printable(code.reveal(), LONGEST)}")

    def require(self, action: ActionRequired) -> None:
        """The service requires one more step from the person."""
        code = action.data.get("code")
        detail = f": {printable(str(code), LONGEST)}" if isinstance(code, str | int) else ""
        self.say(f"the service requires an action, {printable(action.action, LONGEST)}{detail}")

    def changed(self, change: Change) -> None:
        """A row of the table was taken."""
        if change.event in NEWS:
            self.say(NEWS[change.event])
        if not change.internal:
            self._too_wide = None

    def refresh(self) -> None:
        """Called regularly; draws a code that did not fit, once it fits."""
        qr, size = self._too_wide, terminal_size()
        if qr is not None and self._drawing(qr).columns <= size.columns:
            self._draw(qr)

    def end(self, outcome: Outcome) -> None:
        """Show how it ended."""
        self._print(*sentences(outcome))

    def note(self, line: str) -> None:
        """Show a line after the end."""
        self._print(line)

    def _lines_beside(self, qr: QRCode) -> tuple[str, ...]:
        """What to do with a code, and what can be typed in its place."""
        return (*self._hints(qr), *self._typed(qr))

    @staticmethod
    def _typed(qr: QRCode) -> tuple[str, ...]:
        """What can be typed in its place, if anything can."""
        if qr.typed is None:
            return ()
        where = "" if qr.typed_at is None else f" at {printable(qr.typed_at, LONGEST)}"
        return (f"Or type {printable(qr.typed.reveal(), LONGEST)}{where}",)

    def _drawing(self, qr: QRCode) -> Drawing:
        return draw(qr, terminal_size(), invert=self._invert)

    def _draw(self, qr: QRCode) -> bool:
        """Draw the code; in a terminal that is too narrow it would be garbled, so say that.

        Returns:
            Whether all of it can be seen.
        """
        self._too_wide = None
        if not can_draw():
            self._cannot_draw(qr, CANNOT_DRAW.format(sys.stdout.encoding))
            return False
        drawing, size = self._drawing(qr), terminal_size()
        if drawing.columns > size.columns and draws_colours():
            why = f"the code is {drawing.columns} columns wide and this terminal has {size.columns}"
            if self._unseen is not None and self._unseen is not qr:
                self._cannot_draw(qr, why)  # nobody was there to make it wider for the one before
                return False
            self._too_wide = self._unseen = qr
            self._print(f"{why}: make it wider, or its letters smaller, and the code appears.")
            return False
        self._unseen = None
        self._write(*drawing.lines)
        too_high = len(drawing.lines) >= size.lines and draws_colours()
        if too_high:
            high = f"the code is {len(drawing.lines)} lines high and this terminal has {size.lines}"
            told = f"{high}: make it higher, or its letters smaller, and all of it is seen."
            self._print(told, *self._typed(qr))  # again: what came before it is out of sight
        return not too_high

    def _cannot_draw(self, qr: QRCode, why: str) -> None:
        """Say it, and go on only if the code can be read off a line beside it, or typed.

        Raises:
            UsageError: nobody can see the code, so nobody can scan it.
        """
        told = qr.has_text and any(qr.reveal() in hint for hint in self._hints(qr))
        if not told and qr.typed is None:
            raise UsageError(why)
        self._print(why)

    def _print(self, *lines: str) -> None:
        self._write(*map(folded, lines))

    def _write(self, *lines: str) -> None:
        try:
            print(*lines, sep="\n", flush=True)
        except OSError as error:
            self._stop.output_failed(error)


def sentences(outcome: Outcome) -> Iterator[str]:
    """How it ended: a sentence for the person; after a failure, also one for the developer."""
    if isinstance(outcome, Connected):
        already = " already" if outcome.already_paired else ""
        yield (
            f"paired{already}: {printable(outcome.identity, LONGEST)}"
            if outcome.identity
            else f"paired{already}"
        )
        return
    yield f"not paired: {outcome.person}"
    if outcome.reason is not Reason.CANCELLED:
        yield printable(str(outcome), LONGEST_FAILURE)
