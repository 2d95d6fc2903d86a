"""The table as a picture."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import pytest

from qrlifecycle import diagram
from qrlifecycle.diagram import (
    FORMATS,
    IMAGE_FORMATS,
    TEXT_FORMATS,
    difference,
    draw,
    paint,
    render,
)
from qrlifecycle.errors import InvalidValue, MissingExtra
from qrlifecycle.states import INITIAL, SOCKET_OWNER, TABLE, Event, Row, State, single_rows

Triples = set[tuple[str, str, str | None]]

MAGIC = {"svg": b"<?xml", "png": b"\x89PNG\r\n\x1a\n", "pdf": b"%PDF-"}


needs_pygraphviz = pytest.mark.skipif(
    find_spec("pygraphviz") is None, reason="images need qrlifecycle[diagram]"
)


def every(formats: tuple[str, ...]) -> list[Any]:
    """Each format as a parameter; those that need pygraphviz are skipped without it."""
    return [
        pytest.param(each, marks=needs_pygraphviz if each in IMAGE_FORMATS else ())
        for each in formats
    ]


def changed(event: Event, target: State | None, why: str = "changed") -> tuple[Row, ...]:
    """The table with another target in the displayed row of this event."""
    return tuple(
        replace(row, target=target, why=why)
        if row.event is event and SOCKET_OWNER in row.sources
        else row
        for row in TABLE
    )


TABLES = {
    "the table": TABLE,
    "another target": changed(Event.EXPIRED, State.FAILED),
    "an internal row made external": changed(Event.SCANNED, State.DISPLAYED),
    "an external row made internal": changed(Event.EXPIRED, None),
    "a row less": TABLE[:-2] + TABLE[-1:],
    "no reset": TABLE[:-1],
}


def triples(table: tuple[Row, ...]) -> Triples:
    """What a picture of the table has to say, no less and no more."""
    return {(source, row.event, row.target) for source, row in single_rows(table)}


def in_mermaid(text: str) -> Triples:
    """The rows that a Mermaid diagram draws."""
    arrows = re.findall(r"^  (\w+) --> (\w+) : (.+)$", text, re.MULTILINE)
    found: Triples = {(a, event, b) for a, b, label in arrows for event in label.split(" / ")}
    inside = re.findall(r"^  (\w+) : (\w+) / internal$", text, re.MULTILINE)
    return found | {(state, event, None) for state, event in inside}


def in_dot(text: str) -> Triples:
    """The rows that a DOT graph draws."""
    arrows = re.findall(r'^  (\w+) -> (\w+) \[label="([^"]+)"', text, re.MULTILINE)
    found: Triples = {
        (a, event.strip(), b) for a, b, label in arrows for event in label.split(r"\n")
    }
    for state, box in re.findall(r"^  (\w+) \[fillcolor.*? label=<(.*)>\]$", text, re.MULTILINE):
        found |= {(state, event, None) for event in re.findall(r">(\w+) / internal<", box)}
    return found


def in_text(text: str) -> Triples:
    """The rows that the table for the terminal lists."""
    found: Triples = set()
    state = ""
    for block in text.split("\n\n")[1:]:
        for line in block.splitlines():
            first, event, target, *_ = [line[a:b].strip() for a, b in columns(text)]
            if re.match(r"[> ] \w", line):
                state = first.removeprefix("> ")
            if target and event != "event" and not event.startswith("--"):
                found.add((state, event, None if target == "(internal)" else target))
    return found


def columns(text: str) -> list[tuple[int, int | None]]:
    """Where the columns of the table for the terminal begin and end."""
    rule = next(line for line in text.splitlines() if line.startswith("---"))
    starts = [found.start() for found in re.finditer("-+", rule)]
    return list(zip(starts, [*starts[1:], None], strict=True))


def in_json(text: str) -> Triples:
    """The rows that the JSON object holds."""
    return {(row["source"], row["event"], row["target"]) for row in json.loads(text)["rows"]}


READERS: dict[str, Callable[[str], Triples]] = {
    "mermaid": in_mermaid,
    "dot": in_dot,
    "text": in_text,
    "json": in_json,
}


class TestRows:
    """What is drawn of the rows."""

    @pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
    @pytest.mark.parametrize("state", [None, *State])
    @pytest.mark.parametrize("kind", TEXT_FORMATS)
    def test_exactly_those_of_the_table_are_drawn(
        self, kind: str, state: State | None, table: tuple[Row, ...]
    ) -> None:
        """Each row of the table is in each picture, and no other row is."""
        assert READERS[kind](draw(kind, state=state, table=table)) == triples(table)

    @pytest.mark.parametrize("table", list(TABLES.values())[1:], ids=list(TABLES)[1:])
    @pytest.mark.parametrize("kind", every(FORMATS))
    def test_another_table_is_another_picture(self, kind: str, table: tuple[Row, ...]) -> None:
        """A changed row changes the picture in every format."""
        assert render(kind, table=table) != render(kind)

    @pytest.mark.parametrize("kind", ["mermaid", "dot"])
    def test_an_internal_row_is_no_arrow(self, kind: str) -> None:
        """Internal rows stand inside the box, not as arrows from a state to itself."""
        loops = re.findall(r"(\w+) --?> \1\b", draw(kind))
        assert loops == []
        assert "scanned / internal" in draw(kind)

    @pytest.mark.parametrize("kind", ["mermaid", "dot"])
    def test_a_state_may_lead_to_itself(self, kind: str) -> None:
        """An external row to its own source is an arrow: it leaves and enters again."""
        picture = draw(kind, table=changed(Event.SCANNED, State.DISPLAYED))
        assert re.findall(r"(\w+) --?> \1\b", picture) == ["displayed"]

    @pytest.mark.parametrize("kind", ["mermaid", "dot"])
    def test_parallel_rows_share_one_arrow(self, kind: str) -> None:
        """Two states have at most one arrow in each direction."""
        arrows = re.findall(r"^  (\w+) --?> (\w+)", draw(kind), re.MULTILINE)
        assert len(arrows) == len(set(arrows)) > len(State)

    def test_the_terminal_is_told_why(self) -> None:
        """The table for the terminal gives each row's reason in full, within 80 columns."""
        text = draw("text")
        assert max(map(len, text.splitlines())) <= 80
        start = columns(text)[-1][0]
        reasons = " ".join(line[start:] for line in text.splitlines())
        assert [row.why for row in TABLE if row.why not in reasons] == []


class TestStates:
    """What is drawn of the states."""

    @pytest.mark.parametrize("kind", ["mermaid", "dot", "text"])
    def test_the_socket_is_in_its_owner_s_box(self, kind: str) -> None:
        """Entry opens and exit closes the transport: once, and around the internal rows."""
        words = re.findall(r"open transport|qr_updated|close transport", draw(kind))
        assert words == ["open transport", "qr_updated", "close transport"]

    @pytest.mark.parametrize("state", State)
    @pytest.mark.parametrize("kind", every(FORMATS))
    def test_any_can_be_lit(self, kind: str, state: State) -> None:
        """A lit state makes a picture unlike the unlit one and unlike any other state's."""
        others = [render(kind, state=other) for other in (None, *State) if other is not state]
        assert render(kind, state=state) not in others

    @pytest.mark.parametrize("state", State)
    def test_the_lit_one_is_marked(self, state: State) -> None:
        """The lit state, and no other, has the mark, the colours or the field."""
        assert re.findall(r"^> (\w+)", draw("text", state=state), re.MULTILINE) == [state]
        marked = re.findall(r"^  class (\w+) \w+Now$", draw("mermaid", state=state), re.MULTILINE)
        assert marked == [state]
        bold = re.findall(r"^  (\w+) \[.* penwidth=4 ", draw("dot", state=state), re.MULTILINE)
        assert bold == [state]
        states = json.loads(draw("json", state=state))["states"]
        assert [each["name"] for each in states if each["lit"]] == [state]

    def test_ends_are_those_that_only_another_round_leaves(self) -> None:
        """Connected and failed are ends; a state with another way out is none."""
        assert ends(TABLE) == [State.CONNECTED, State.FAILED]
        way_out = Row((State.FAILED,), Event.CANCEL, State.IDLE, "another way out")
        assert ends((*TABLE, way_out)) == [State.CONNECTED]

    def test_where_the_socket_is_open_nothing_ends(self) -> None:
        """The socket's owner is no end, even if only another round leads out of it."""
        only_again = tuple(
            row for row in TABLE if SOCKET_OWNER not in row.sources or row.event is Event.GENERATE
        )
        assert ends(only_again) == [State.CONNECTED, State.FAILED]

    def test_success_and_failure_are_told_apart(self) -> None:
        """The end that `fail` leads to is the failure, in colour and in words."""
        mermaid = draw("mermaid")
        assert "class connected success\n" in mermaid
        assert "connected : ended in success\n" in mermaid
        assert "class failed failure\n" in mermaid
        assert "failed : ended in failure\n" in mermaid

    def test_every_class_is_defined_once(self) -> None:
        """Mermaid knows the colours of each class that a state is given."""
        mermaid = draw("mermaid", state=State.FAILED)
        defined = re.findall(r"^  classDef (\w+) ", mermaid, re.MULTILINE)
        assert sorted(defined) == sorted(set(re.findall(r"  class \w+ (\w+)\n", mermaid)))

    def test_the_start_is_marked(self) -> None:
        """One mark without a name leads to the initial state."""
        assert re.findall(r"\[\*\] --> (\w+)", draw("mermaid")) == [INITIAL]
        assert re.findall(r"start -> (\w+)", draw("dot")) == [INITIAL]

    def test_json_holds_what_is_documented(self) -> None:
        """The JSON object has the documented fields and no others."""
        picture = json.loads(draw("json"))
        assert picture["initial"] == INITIAL
        assert picture["socket_owner"] == SOCKET_OWNER
        assert picture["states"][0] == {
            "name": "idle",
            "meaning": State.IDLE.meaning,
            "ends": False,
            "lit": False,
        }
        assert picture["rows"][-1] == {
            "source": "failed",
            "event": "reset",
            "target": "idle",
            "internal": False,
            "why": "ready for another round",
        }
        assert set(picture) == {"initial", "socket_owner", "states", "rows"}


def ends(table: tuple[Row, ...]) -> list[str]:
    """The ends that the JSON object tells of."""
    return [
        each["name"] for each in json.loads(draw("json", table=table))["states"] if each["ends"]
    ]


class TestColours:
    """Colours that everybody can read."""

    @pytest.mark.parametrize("palette", [diagram.UNLIT, diagram.LIT], ids=["unlit", "lit"])
    @pytest.mark.parametrize("role", diagram.Role)
    def test_text_in_a_box_can_be_read(
        self, palette: dict[diagram.Role, diagram.Colours], role: diagram.Role
    ) -> None:
        """Text on a box has the contrast of WCAG AA, and its border stands out from paper."""
        assert contrast(palette[role].text, palette[role].fill) >= 4.5
        assert contrast(palette[role].border, diagram.PAPER) >= 3

    @pytest.mark.parametrize("colour", [*diagram.ARROWS.values(), diagram.INK])
    def test_text_on_paper_can_be_read(self, colour: str) -> None:
        """The title and the arrows' labels have the contrast of WCAG AA."""
        assert contrast(colour, diagram.PAPER) >= 4.5

    def test_no_other_colours_are_used(self) -> None:
        """Every colour of the pictures is one whose contrast is tested."""
        boxes = (*diagram.UNLIT.values(), *diagram.LIT.values())
        tested = {colour for box in boxes for colour in box}
        tested |= {diagram.PAPER, diagram.INK, *diagram.ARROWS.values()}
        for state in (None, *State):
            pictures = draw("dot", state=state) + draw("mermaid", state=state)
            assert set(re.findall(r"#\w{6}", pictures)) <= tested

    def test_the_measure_is_right(self) -> None:
        """Black on white is 21:1, and a colour on itself is 1:1."""
        assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
        assert contrast("#336699", "#336699") == pytest.approx(1)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of WCAG 2."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


class TestFormats:
    """Each format by itself."""

    @pytest.mark.parametrize("kind", TEXT_FORMATS)
    def test_text_ends_in_a_newline(self, kind: str) -> None:
        """Text is plain, without trailing white space, ends in one newline and never varies."""
        text = draw(kind)
        assert text.isascii()
        assert text.endswith("\n")
        assert not re.search(r"[ \n]\n\Z|[ \t]$", text, re.MULTILINE)
        assert draw(kind) == text == render(kind)

    @pytest.mark.parametrize("kind", every(IMAGE_FORMATS))
    def test_images_are_what_they_say(self, kind: str) -> None:
        """SVG, PNG and PDF begin with the bytes by which they are known."""
        assert paint(kind).startswith(MAGIC[kind])

    @needs_pygraphviz
    def test_svg_stands_alone(self) -> None:
        """The SVG has a title of its own and asks the network for nothing."""
        svg = paint("svg", state=State.DISPLAYED).decode()
        assert re.search(r"<svg[^>]*>\s*<title>QR pairing: displayed now</title>", svg)
        namespaces = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
        assert set(re.findall(r"https?://[^\"]+", svg)) <= namespaces
        assert not re.search(r"<!DOCTYPE|href|@import|@font-face|url\(", svg)
        assert paint("svg", state=State.DISPLAYED).decode() == svg

    def test_an_image_without_its_package_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without pygraphviz, images raise `MissingExtra` and text is drawn as ever."""
        monkeypatch.setitem(sys.modules, "pygraphviz", None)
        for kind in IMAGE_FORMATS:
            with pytest.raises(MissingExtra, match=r"pip install '\.\[diagram\]'"):
                render(kind)
        assert all(render(kind) for kind in TEXT_FORMATS)

    def test_importing_the_module_imports_no_drawing(self) -> None:
        """The package that draws images is imported when an image is asked for."""
        code = "import sys, qrlifecycle.diagram; sys.exit('pygraphviz' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

    @pytest.mark.parametrize(
        ("call", "kind"), [(render, "gif"), (draw, "svg"), (paint, "mermaid"), (render, "")]
    )
    def test_an_unknown_format_is_refused(
        self, call: Callable[[str], str | bytes], kind: str
    ) -> None:
        """A format that a function does not know is refused, and the text lists those it knows."""
        with pytest.raises(InvalidValue, match=rf"{kind!r}; there are: .*(mermaid|svg)"):
            call(kind)


class TestDifference:
    """Whether a committed diagram is still true."""

    @pytest.mark.parametrize("kind", TEXT_FORMATS)
    def test_nothing_if_equal(self, kind: str) -> None:
        """A committed diagram that is up to date has no difference."""
        assert difference(draw(kind), kind, f"states.{kind}") == ""

    @pytest.mark.parametrize("kind", TEXT_FORMATS)
    def test_white_space_does_not_matter(self, kind: str) -> None:
        """Line endings, trailing white space and blank lines around it are no difference."""
        committed = "\r\n" + draw(kind).replace("\n", " \t\r\n") + "\r\n\r\n"
        assert difference(committed, kind, f"states.{kind}") == ""

    @pytest.mark.parametrize("kind", TEXT_FORMATS)
    def test_a_changed_row_is_shown(self, kind: str) -> None:
        """An outdated diagram gives a unified diff that names the file and both versions."""
        committed = draw(kind, table=changed(Event.CANCEL, State.FAILED))
        diff = difference(committed, kind, f"docs/states.{kind}")
        assert diff.startswith(f"--- docs/states.{kind}\n+++ docs/states.{kind}")
        lines = diff.splitlines()[2:]
        assert any(line.startswith("-") and "failed" in line for line in lines)
        assert any(line.startswith("+") and "idle" in line for line in lines)

    @pytest.mark.parametrize("word", ["mermaid", "{mermaid}"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_of_markdown_the_first_block_counts(self, word: str, end: str) -> None:
        """Of a Markdown file the first Mermaid block is compared and all else is left alone."""
        outdated = draw("mermaid", table=TABLE[:-1])
        page = f"# States\n\n```python\nx = 1\n```\n\n```{word}\nHERE```\n\n```mermaid\nrest\n```\n"
        good = page.replace("HERE", draw("mermaid")).replace("\n", end)
        bad = page.replace("HERE", outdated).replace("\n", end)
        assert difference(good, "mermaid", "states.md") == ""
        assert "+  failed --> idle : reset\n" in difference(bad, "mermaid", "states.md")

    @pytest.mark.parametrize(
        "page", ["", "# States\n", "```python\nx\n```\n", "```mermaid\nnever closed\n"]
    )
    def test_markdown_without_a_block_is_refused(self, page: str) -> None:
        """A Markdown file without a Mermaid block raises, naming the file and what it lacks."""
        with pytest.raises(InvalidValue, match=r"docs/states\.md has no fenced ```mermaid block"):
            difference(page, "mermaid", "docs/states.md")

    def test_images_cannot_be_compared(self) -> None:
        """A difference is of text: an image format is refused."""
        with pytest.raises(InvalidValue, match="'png'"):
            difference("", "png", "states.png")
