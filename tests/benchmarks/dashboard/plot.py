"""The study as a picture: where 99 per cent is saved, and where it is not.

Colours are Okabe and Ito's, which everybody can tell apart, and each stands beside its own words.
This room must never measure anything.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from .designs import COMPARED, OURS
from .living import Account
from .study import Lived, Study, value_of
from .tables import share

__all__ = ["draw"]

BEFORE, AFTER, LINES, INK, PALE = "#D55E00", "#0072B2", "#009E73", "#222222", "#8A8A8A"
SHADE = "#E4F0F8"

SAVED = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
"""What an upright axis of savings is labelled with. It is logarithmic in what is left."""

NINES = (0.5, 0.9, 0.99, 0.999)
"""The same for a lying one, which has less room."""

LIMITS = (0.62, 0.0003)
"""The share that is left, from one end of such an axis to the other."""

MEASURES: tuple[tuple[str, str, str, Callable[[Account], float]], ...] = (
    ("socket time", AFTER, "o", lambda account: account.socket_seconds),
    ("connections", BEFORE, "s", lambda account: account.openings),
    ("log lines", LINES, "^", lambda account: account.log_lines),
)

RANGES: dict[str, tuple[str, Callable[[float], str]]] = {
    "minutes_on_page": ("minutes on a page", lambda value: f"{value:g}"),
    "pages": ("pages of a visit", lambda value: f"{value:g}"),
    "scan_delay": ("seconds to the scan", lambda value: f"{value:g}"),
    "abandonment": ("codes never scanned", lambda value: f"{value * 100:g} %"),
    "codes_per_visit": ("codes in such a visit", lambda value: f"{value:g}"),
}
"""The other assumptions, as the picture says them."""


def draw(study: Study, path: Path) -> None:
    """Draw it into a file, in the format that its name says."""
    style: Any = {
        "font.size": 14,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": PALE,
        "text.color": INK,
        "svg.hashsalt": "qrlifecycle",
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(12, 11))
        grid = figure.add_gridspec(
            2, 2, height_ratios=(0.75, 1), hspace=0.4, wspace=0.5,
            left=0.085, right=0.97, top=0.815, bottom=0.075,
        )  # fmt: skip
        _title(figure, study)
        _draw_day(figure.add_subplot(grid[0, :]), study.ordinary)
        _draw_shares(figure.add_subplot(grid[1, 0]), study)
        _draw_ranges(figure.add_subplot(grid[1, 1]), study)
        metadata: Any = {"Date": None} if path.suffix == ".svg" else None
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110, metadata=metadata)


def _title(figure: Figure, study: Study) -> None:
    time, connections = (
        [share(day.saved(measure)) for day in (study.ordinary, study.pairing)]
        for _, _, _, measure in MEASURES[:2]
    )
    figure.text(
        0.03, 0.95,
        f"{time[0]} less socket time, {connections[0]} fewer connections",
        fontsize=24, weight="bold",
    )  # fmt: skip
    figure.text(
        0.03, 0.883,
        "An ordinary day on a dashboard: a socket only while a QR code is on screen, against a "
        "socket per\npage, dialog and code. People who come only to pair save less: "
        f"{time[1]} and {connections[1]}.",
        fontsize=15, linespacing=1.4,
    )  # fmt: skip


def _heading(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=15, weight="bold", pad=12)


# The day


def _draw_day(axes: Axes, day: Lived) -> None:
    before, ours = day.of(COMPARED), day.of(OURS)
    for account, colour, side in ((before, BEFORE, 1), (ours, AFTER, -1)):
        hours, counts = _steps(account, side)
        axes.fill_between(hours, counts, step="post", color=colour, linewidth=0.8)
    most, end = before.most, max(_steps(before, 1)[0])
    axes.axhline(0, color=INK, linewidth=1)
    axes.set(xlim=(0, end), ylim=(-0.45 * most, 1.25 * most))
    axes.yaxis.set_major_locator(FixedLocator(range(0, most + 1, 2 if most > 4 else 1)))
    axes.set_xlabel("hours since the day began")
    _heading(axes, f"Sockets open at once, the same {day.assumptions.visits} visits")
    axes.text(
        0.005, 0.97,
        f"a socket per page, dialog and code: {before.openings} opened, "
        f"{before.socket_seconds / 3600:.1f} hours in all",
        transform=axes.transAxes, color=BEFORE, weight="bold", va="top",
    )  # fmt: skip
    axes.text(
        0.005, 0.03,
        f"qrlifecycle: {ours.openings} opened, {ours.socket_seconds / 60:.1f} minutes in all",
        transform=axes.transAxes, color=AFTER, weight="bold", va="bottom",
    )  # fmt: skip


def _steps(account: Account, side: int) -> tuple[list[float], list[int]]:
    hours = [at / 3_600_000 for at, _ in account.open_sockets]
    return hours, [count * side for _, count in account.open_sockets]


# What is saved


def _saving_axis(axis: Any, ticks: tuple[float, ...]) -> None:
    """Ticks where a saving is a round figure."""
    axis.set_major_locator(FixedLocator([1 - saved for saved in ticks]))
    axis.set_minor_locator(NullLocator())
    axis.set_ticklabels([f"{saved * 100:.4g} %" for saved in ticks])


def _draw_shares(axes: Axes, study: Study) -> None:
    days = study.changes("code_share")
    shares = [value_of(day, "code_share") for day in days]
    axes.set(xscale="log", yscale="log", ylim=LIMITS)
    for name, colour, marker, measure in MEASURES:
        left = [1 - day.saved(measure) for day in days]
        axes.plot(shares, left, color=colour, marker=marker, markersize=8, linewidth=2.5)
        axes.annotate(
            name, (shares[-1], left[-1]), (11, 0), textcoords="offset points",
            color=colour, weight="bold", va="center", annotation_clip=False,
        )  # fmt: skip
    _saving_axis(axes.yaxis, SAVED)
    axes.xaxis.set_major_locator(FixedLocator(shares))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{value * 100:g} %" for value in shares])
    axes.set_xlabel("visits that show a code")
    axes.axhspan(0.01, LIMITS[1], color=SHADE, zorder=0)
    _heading(axes, "Saved, by how rare a code is")


def _draw_ranges(axes: Axes, study: Study) -> None:
    axes.set(xscale="log", xlim=LIMITS, ylim=(len(RANGES) + 0.55, -0.75))
    for place, (assumption, (name, words)) in enumerate(RANGES.items()):
        _row(axes, place, name)
        days = study.changes(assumption)
        _draw_range(axes, place, days, [words(value_of(day, assumption)) for day in days])
    _row(axes, len(RANGES), "only come to pair")
    _draw_range(axes, len(RANGES), [study.pairing], [""])
    axes.set_yticks([])
    _saving_axis(axes.xaxis, NINES)
    axes.axvspan(0.01, LIMITS[1], color=SHADE, zorder=0)
    axes.set_xlabel("in the shade: 99 % or more")
    _heading(axes, "Saved, by the other assumptions")


def _row(axes: Axes, place: int, name: str) -> None:
    axes.text(LIMITS[0] * 0.94, place - 0.36, name, va="center")
    axes.axhline(place - 0.6, color=PALE, linewidth=0.5)


def _draw_range(axes: Axes, place: int, days: list[Lived], words: list[str]) -> None:
    for height, (_, colour, marker, measure) in zip((0.0, 0.23), MEASURES, strict=False):
        left = [1 - day.saved(measure) for day in days]
        at = [place + height] * len(days)
        axes.plot(left, at, color=colour, marker=marker, markersize=8, linewidth=2.5)
        if max(left) < 1.05 * min(left):
            continue
        for end, shift, side in ((max(left), -9, "right"), (min(left), 9, "left")):
            axes.annotate(
                words[left.index(end)], (end, place + height), (shift, 0),
                textcoords="offset points", ha=side, va="center", fontsize=12,
            )  # fmt: skip
