"""An attempt in a terminal: the code, and below it what happens, live.

It draws on the terminal's alternate screen, so that afterwards the code is neither visible nor in
the scroll-back, and the first screen is unchanged. A code that does not fit when it comes is
printed as plain lines instead; one that no longer fits because the window shrank is drawn again
when it fits. A hook never draws: that would delay the lifecycle.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, repeat
from textwrap import wrap
from typing import Self

from ..codes import PairingCode, QRCode
from ..engine.observers import Change
from ..errors import MissingExtra
from ..lifecycle import QRLifecycle
from ..outcome import Outcome
from ..states import Event, State
from .drawing import NARROW
from .plain_view import Hints, PlainView, sentences
from .stopping import Stop

try:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.style import Style
    from rich.text import Text
except ImportError:
    raise MissingExtra("the live view", "cli") from None

__all__ = ["LiveView"]

ENTER = b"\x1b[?1049h\x1b[?25l"
LEAVE = b"\x1b[?1049l\x1b[?25h"
"""To the alternate screen without a cursor and back, for when rich cannot write it."""

INK = "#000000 on #ffffff"
MARGIN = "  "
LINES_KEPT = 8
NARROWEST = 20
"""Columns for what stands at the right of a code; with fewer it is not put there."""


@dataclass(frozen=True, slots=True)
class LiveStyles:
    """The styles of the texts beside the code."""

    title: str = "bold"
    quiet: str = "dim"
    open: str = "bold green"
    good: str = "bold green"
    bad: str = "bold red"


COLOURLESS = LiveStyles(open="bold", good="bold", bad="bold")


class LiveView(PlainView):
    """The live view; a context manager around an attempt.

    Args:
        stop: asked to stop when the terminal is closed.
        hints: the lines to show beside a code.
        title: the first line.
        lifetime: seconds for which a code is valid when its service does not say.
    """

    def __init__(self, stop: Stop, hints: Hints, *, title: str, lifetime: float) -> None:
        super().__init__(stop, hints, title=title)
        self._lifecycle: QRLifecycle | None = None
        self._lifetime = lifetime
        self._styles = COLOURLESS if os.environ.get("NO_COLOR") else LiveStyles()
        # The code needs its two colours also with NO_COLOR; the rest obeys it by its styles.
        self._console = Console(no_color=False, force_terminal=True, highlight=False)
        self._live: Live | None = None
        self._screen = ExitStack()
        self._log: list[str] = []
        self._codes: list[list[str]] = []
        """The lines of the code, with a wide border and with a narrow one."""
        self._beside: tuple[str, ...] = ()
        self._valid_until: float | None = None
        self._drawn: object = None

    def __enter__(self) -> Self:
        self._screen.enter_context(self._stop.screen(ENTER, LEAVE))
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=lambda: Group(*self._lines()),
        )
        self._live.start()
        self.refresh()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._leave_screen()

    def watch(self, lifecycle: QRLifecycle) -> None:
        """The lifecycle whose state and socket are shown."""
        self._lifecycle = lifecycle

    def say(self, line: str) -> None:
        """Show one line of what happens."""
        self._log = [*self._log, line][-LINES_KEPT:]
        if self._live is None:
            super().say(line)

    def show(self, qr: QRCode) -> None:
        """Show a code to scan; if it does not fit, plain lines take over from here."""
        borders: tuple[dict[str, int], ...] = ({}, {"border": NARROW})
        self._codes = [qr.text(ink=True, **border).splitlines() for border in borders]
        self._beside = self._lines_beside(qr)
        self._valid_until = time.monotonic() + (qr.expires_in or self._lifetime)
        code, below, too_small = self._codes[-1], 1 + len(self._folded()), False
        if self._live is not None and not self._fits(code, below) and self._right_of(code) is None:
            self._leave_screen()
            too_small = True
        if self._live is None and self._print_code(qr) and too_small:
            size = self._console.size
            super().say(
                f"A live view of the code needs {len(code[0])} columns and {len(code) + below} "
                f"lines; this terminal has {size.width} and {size.height}."
            )

    def spell(self, code: PairingCode) -> None:
        """Show a code to type, in place of a picture."""
        self._codes, self._beside = [], ()
        self._valid_until = time.monotonic() + (code.expires_in or self._lifetime)
        super().spell(code)

    def changed(self, change: Change) -> None:
        """A row of the table was taken."""
        if change.event in (Event.SCANNED, Event.ACTION_REQUIRED):
            self._valid_until = None
        if not change.internal:
            self._codes, self._beside, self._valid_until = [], (), None
        super().changed(change)

    def refresh(self) -> None:
        """Draw, if anything has changed since it was drawn."""
        if self._live is None:
            super().refresh()
            return
        content = (
            self._stop.suspensions,
            self._console.size,
            [line.plain for line in self._lines()],
        )
        if content != self._drawn:
            self._drawn = content
            try:
                self._live.refresh()
            except OSError as error:
                self._stop.output_failed(error)

    def end(self, outcome: Outcome) -> None:
        """Show how it ended, on the first screen."""
        if self._live is None:
            super().end(outcome)
            return
        self._leave_screen()
        styles = self._styles
        first, *more = sentences(outcome)
        self._console.print(Text(first, styles.good if outcome.connected else styles.bad))
        for line in more:
            self._console.print(Text(line, styles.quiet))

    def note(self, line: str) -> None:
        """Show a line after the end."""
        self._console.print(Text(line, self._styles.quiet))

    # Drawing

    def _leave_screen(self) -> None:
        live, self._live, self._drawn = self._live, None, None
        assert live is not None
        live.stop()
        self._screen.close()
        for line in self._log:
            self._console.print(Text(line, self._styles.quiet))

    def _fits(self, code: list[str], below: int = 1) -> bool:
        """Whether a code fits, with some lines below it."""
        size = self._console.size
        return len(code[0]) <= size.width and len(code) + below <= size.height

    def _fitting(self, below: int) -> list[str]:
        """The code with the widest border that leaves room for some lines, else the smallest."""
        fitting = (code for code in self._codes if self._fits(code, below))
        return next(fitting, self._codes[-1] if self._codes else [])

    def _right_of(self, code: list[str]) -> list[Text] | None:
        """What stands beside the code, where there is no room below it; None if it does not fit."""
        width = self._console.size.width - len(code[0]) - 2 * len(MARGIN)
        if not self._fits(code) or width < NARROWEST:
            return None
        lines = self._folded(width)
        return lines if len(lines) <= len(code) else None

    def _folded(self, width: int | None = None) -> list[Text]:
        """What stands beside the code; an address that is too long goes on in the next line."""
        width = max(1, self._console.size.width - len(MARGIN)) if width is None else width
        lines = []
        for hint in self._beside:
            style = Style(link=hint) if hint.startswith(("http://", "https://")) else ""
            parts = wrap(hint, width, break_on_hyphens=False)
            lines += [self._text(part, style) for part in parts]
        return lines

    def _lines(self) -> list[Text]:
        """Everything on screen, from the top; a small screen lacks what matters least."""
        styles = self._styles
        hints = self._folded()
        modules = self._fitting(1 + len(hints))
        if modules and not self._fits(modules):
            size = f"{len(modules[0])} columns and {len(modules) + 1} lines"
            return [Text(f"The code needs {size}: make the window larger.", styles.bad)]
        right: list[Text] = []
        if modules and not self._fits(modules, 1 + len(hints)):
            right, hints = self._right_of(modules) or [], []
        free = self._console.size.height - len(modules)
        spacious = free > 6 + len(hints)
        gap = [self._text("")] if spacious else []
        head = [*gap, self._text(self._title, styles.title), *gap] if spacious else []
        beside = chain(right, repeat(Text()))
        code = [self._module_line(line).append_text(next(beside)) for line in modules]
        hints = [*(gap if code else []), *hints, *gap] if free > len(hints) else []
        left = free - len(head) - len(hints) - 1 - len(gap)
        latest = self._log[-left:] if left > 0 else []
        log = [*gap, *(self._text(line, styles.quiet) for line in latest)]
        return [*head, *code, *hints, self._status(), *log]

    def _status(self) -> Text:
        lifecycle, styles = self._lifecycle, self._styles
        state = State.IDLE if lifecycle is None else lifecycle.state
        socket = lifecycle is not None and lifecycle.socket_open
        parts = [f"state {state}", f"socket {'open' if socket else 'closed'}"]
        if self._valid_until is not None:
            left = round(self._valid_until - time.monotonic())
            parts.append(f"code valid for {left} s" if left > 0 else "code has run out")
        elif self._codes:
            parts.append("approve on the phone")
        text = self._text("● " if socket else "○ ", styles.open if socket else styles.quiet)
        return text.append("   ".join(parts))

    def _module_line(self, line: str) -> Text:
        margin = MARGIN if len(line) + len(MARGIN) <= self._console.size.width else ""
        return Text(margin, no_wrap=True, end="\n").append(line, INK)

    def _text(self, words: str, style: str | Style = "") -> Text:
        text = Text(MARGIN if words else "", no_wrap=True, overflow="ellipsis")
        return text.append(words, style)
