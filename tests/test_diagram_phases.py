"""The picture of what goes on inside the states."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from qrlifecycle import diagram
from qrlifecycle.cli import main
from qrlifecycle.diagram import IMAGE_FORMATS, TEXT_FORMATS, Inside, difference, draw, paint, render
from qrlifecycle.errors import InvalidValue
from qrlifecycle.states import (
    DEADLINE_OF,
    PHASE_ROWS,
    REGIONS,
    TABLE,
    Deadline,
    Event,
    Phase,
    Region,
    Row,
    State,
    Step,
    single_phase_rows,
    single_rows,
)

from .test_diagram import every, needs_pygraphviz

Fact = tuple[str | None, ...]
Data = tuple[tuple[Row, ...], Inside]

HOW_LONG = {
    Deadline.ATTEMPT: "attempt_timeout",
    Deadline.LEASE: "lease_timeout",
    Deadline.REQUEST: "generate_timeout",
    Deadline.CODE: "the code's lifetime + expiry_grace",
    Deadline.APPROVAL: "approval_timeout",
    Deadline.ACTION: "action_timeout",
}
"""What a picture says of a deadline, written down once more by hand."""


# What a picture has to say


def facts(table: tuple[Row, ...], inside: Inside) -> set[Fact]:
    """What a picture of the data has to say, no less and no more."""
    found: set[Fact] = set()
    for source, row in single_rows(table):
        found.add(("row", source, row.event, row.target))
        found |= {("replaces", source, row.event, event) for event in row.replaces}
    for state, regions in inside.regions.items():
        for region, phases in regions.items():
            found |= {("region", state, region), ("initial", region, phases[0])}
            found |= {("phase", region, phase) for phase in phases}
            found |= {
                ("phase row", source, row.by, row.target)
                for source, row in single_phase_rows(inside.rows)
                if source in phases and row.target in phases
            }
            found |= {
                ("deadline", phase, HOW_LONG[inside.deadline_of[phase]])
                for phase in phases
                if phase in inside.deadline_of
            }
    return found


def in_mermaid(text: str) -> set[Fact]:
    """What a Mermaid diagram says."""
    found: set[Fact] = set()
    within: list[str] = []
    for line in text.splitlines():
        if opened := re.fullmatch(r" +state (\w+) \{", line):
            within.append(opened[1])
            found |= {("region", *within)} if len(within) == 2 else set()
        elif line.strip() == "}":
            within.pop()
        elif arrow := re.fullmatch(r" +(\S+) --> (\w+)(?: : (.+))?", line):
            found |= mermaid_arrow(arrow, within)
        elif described := re.fullmatch(r" +(\w+) : (.+)", line):
            found |= mermaid_line(described, within)
    assert within == []
    return found


def mermaid_arrow(arrow: re.Match[str], within: list[str]) -> set[Fact]:
    """What one arrow says."""
    source, target, label = arrow.groups()
    if source == "[*]":
        return {("initial", within[-1], target)} if within else set()
    return set(arrow_facts(source, target, labels(label, " / "), within))


def mermaid_line(described: re.Match[str], within: list[str]) -> set[Fact]:
    """What one line in a box says."""
    name, words = described.groups()
    if stays := re.fullmatch(r"(\w+) / internal", words):
        return {("row", name.removesuffix("_itself"), stays[1], None)}
    if len(within) < 2:
        return set()
    if words.startswith("ends after "):
        return {("deadline", name, words.removeprefix("ends after "))}
    return {("phase", within[-1], words)}


def arrow_facts(
    source: str, target: str, events: Iterator[tuple[str, list[str]]], within: list[str]
) -> Iterator[Fact]:
    """The rows of an arrow, and what each of them replaces."""
    for event, replaced in events:
        yield ("phase row" if within else "row", source, event, target)
        yield from (("replaces", source, event, each) for each in replaced)


def labels(label: str, between: str) -> Iterator[tuple[str, list[str]]]:
    """Each event of an arrow, with those that it replaces."""
    for each in label.split(between):
        read = re.fullmatch(r"(\w+)(?: \(replaces pending ([\w, ]+)\))?", each.strip())
        assert read is not None, each
        yield read[1], read[2].split(", ") if read[2] else []


def in_dot(text: str) -> set[Fact]:
    """What a DOT graph says."""
    found: set[Fact] = set()
    within: list[str] = []
    for line in text.replace("&#x27;", "'").splitlines():
        stays = re.findall(r">(\w+) / internal<", line)
        if opened := re.fullmatch(r" +subgraph cluster_(\w+) \{", line):
            within.append(opened[1])
            if len(within) == 2:
                found.add(("region", *within))
        elif line.strip() == "}" and within:
            within.pop()
        elif arrow := re.match(r" +(\w+) -> (\w+) \[(.*)\]", line):
            found |= dot_arrow(arrow, within)
        elif stays:
            box = re.match(r" +(\w+) \[", line)
            state = within[-1] if within else box[1] if box else ""
            found |= {("row", state, event, None) for event in stays}
        elif len(within) == 2 and (box := re.match(r" +(\w+) \[fillcolor.*<table.*>\]", line)):
            name, *timed = re.findall(r'<font point-size="\d+">([^<]+)</font>', box[0])
            found.add(("phase", within[-1], name))
            found |= {("deadline", name, words.removeprefix("ends after ")) for words in timed}
    return found


def dot_arrow(arrow: re.Match[str], within: list[str]) -> set[Fact]:
    """What one arrow says; one that leads up is drawn backwards."""
    source, target, attributes = arrow.groups()
    if "style=invis" in attributes or source == "start":
        return set()
    if within and source == within[-1]:
        return {("initial", source, target)}
    if "dir=back" in attributes:
        source, target = target, source
    label = re.search(r'label="([^"]+)"', attributes)
    assert label is not None
    replaces = r" *\\n *replaces pending *\\n *([\w, ]+?) *(?=\\n|$)"
    words = re.sub(replaces, r" (replaces pending \1)", label[1])
    source, target = source.removesuffix("_exit"), target.removesuffix("_exit")
    return set(arrow_facts(source, target, labels(words, r"\n"), within))


def in_text(text: str) -> set[Fact]:
    """What the tables for the terminal say."""
    found: set[Fact] = set()
    whole, *inside = re.split(r"^  Inside ", text, flags=re.MULTILINE)
    for state, cells in entries(whole):
        event, target, why = cells
        if target:
            found.add(("row", state, event, None if target == "(internal)" else target))
        if replaced := re.search(r"replaces a pending (.+)", why):
            found |= {("replaces", state, event, each) for each in replaced[1].split(" or ")}
    for part in inside:
        head = re.match(r"(\w+), region (\w+):\n", part)
        assert head is not None
        found.add(("region", head[1], head[2]))
        for phase, (by, target, why) in entries(part):
            found.add(("phase", head[2], phase))
            if by == "deadline":
                found.add(("deadline", phase, why.removeprefix("ends after ")))
            elif by:
                found.add(("phase row", phase, by, target))
        found |= {("initial", head[2], phase) for phase in initial_ones(part)}
    return found


def entries(table: str) -> list[tuple[str, list[str]]]:
    """Each row of a table for the terminal: its first column, and the others unwrapped."""
    lines = table.splitlines()
    rule = next(at for at, line in enumerate(lines) if line.startswith("---"))
    starts = [dashes.start() for dashes in re.finditer("-+", lines[rule])]
    found: list[tuple[str, list[str]]] = []
    name = ""
    for line in lines[rule + 1 :]:
        first, *cells = (
            line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)
        )
        named = re.match(r"(?:> )?(\w+)", first)
        if named:
            name = named[1]
        if named or cells[0]:
            found.append((name, cells))
        elif any(cells):
            found[-1][1][-1] += f" {cells[-1]}"
    return found


def initial_ones(table: str) -> list[str]:
    """The phases that are marked as the first of their region."""
    found: list[str] = []
    name = ""
    for line in table.splitlines():
        if phase := re.match(r"  (\w+)", line):
            name = phase[1]
        if line.startswith("  (initial)"):
            found.append(name)
    return found


def in_json(text: str) -> set[Fact]:
    """What the JSON object says."""
    picture = json.loads(text)
    found: set[Fact] = set()
    for row in picture["rows"]:
        found.add(("row", row["source"], row["event"], row["target"]))
        found |= {("replaces", row["source"], row["event"], each) for each in row["replaces"]}
    for region in picture["regions"]:
        found.add(("region", region["state"], region["name"]))
    times = {each["name"]: each["meaning"] for each in picture["deadlines"]}
    for phase in picture["phases"]:
        found.add(("phase", phase["region"], phase["name"]))
        if phase["initial"]:
            found.add(("initial", phase["region"], phase["name"]))
        if phase["deadline"] is not None:
            words = times[phase["deadline"]].split(": ")[1].replace("`", "").rstrip(".")
            found.add(("deadline", phase["name"], words))
    rows = picture["phase_rows"]
    return found | {("phase row", row["source"], row["by"], row["target"]) for row in rows}


READERS: dict[str, Callable[[str], set[Fact]]] = {
    "mermaid": in_mermaid,
    "dot": in_dot,
    "text": in_text,
    "json": in_json,
}


# The data, and the data with one datum changed


def without_region(state: State, region: Region) -> Inside:
    """What goes on inside, but for one region."""
    rest = {each: phases for each, phases in REGIONS[state].items() if each is not region}
    return Inside(regions={**REGIONS, state: rest})


def with_phases(state: State, region: Region, phases: tuple[Phase, ...]) -> Inside:
    """What goes on inside, with other phases in one region."""
    return Inside(regions={**REGIONS, state: {**REGIONS[state], region: phases}})


def variants() -> Iterator[tuple[str, Data]]:
    """The data with each datum taken away, one at a time; the first is the data as it is."""
    yield "as it is", (TABLE, Inside())
    for at, row in enumerate(TABLE):
        name = f"{row.sources[0]} on {row.event}"
        yield f"without {name}", ((*TABLE[:at], *TABLE[at + 1 :]), Inside())
        for gone in row.replaces:
            kept = tuple(each for each in row.replaces if each is not gone)
            other = replace(row, replaces=kept)
            yield f"{name} replaces no {gone}", ((*TABLE[:at], other, *TABLE[at + 1 :]), Inside())
    for at, phase_row in enumerate(PHASE_ROWS):
        for source in phase_row.sources:
            kept_sources = tuple(each for each in phase_row.sources if each is not source)
            fewer = replace(phase_row, sources=kept_sources)
            rows = (*PHASE_ROWS[:at], fewer, *PHASE_ROWS[at + 1 :])
            yield f"without {source} by {phase_row.by}", (TABLE, Inside(rows=rows))
    for phase in DEADLINE_OF:
        rest = {each: deadline for each, deadline in DEADLINE_OF.items() if each is not phase}
        yield f"{phase} without deadline", (TABLE, Inside(deadline_of=rest))
    for state, regions in REGIONS.items():
        for region, phases in regions.items():
            yield f"without {region}", (TABLE, without_region(state, region))
            for gone_phase in phases if len(phases) > 1 else ():
                fewer_phases = tuple(each for each in phases if each is not gone_phase)
                yield f"without {gone_phase}", (TABLE, with_phases(state, region, fewer_phases))


VARIANTS = dict(variants())


class TestData:
    """What is drawn of the data."""

    @pytest.mark.parametrize("kind", TEXT_FORMATS)
    @pytest.mark.parametrize("data", VARIANTS.values(), ids=VARIANTS.keys())
    def test_exactly_the_data_is_drawn(self, kind: str, data: Data) -> None:
        """Each datum is in each picture, and what is taken away is gone from it."""
        table, inside = data
        text = draw(kind, phases=True, table=table, inside=inside)
        assert READERS[kind](text) == facts(table, inside)

    def test_each_variant_says_something_else(self) -> None:
        """Taking a datum away changes what has to be said: none of them is taken in vain."""
        assert len({frozenset(facts(*data)) for data in VARIANTS.values()}) == len(VARIANTS)

    @pytest.mark.parametrize("kind", TEXT_FORMATS)
    @pytest.mark.parametrize("state", State)
    def test_a_lit_state_says_the_same(self, kind: str, state: State) -> None:
        """Highlighting changes the looks, not what is said."""
        lit = draw(kind, phases=True, state=state)
        assert lit != draw(kind, phases=True)
        assert READERS[kind](lit) == facts(TABLE, Inside())

    @pytest.mark.parametrize("kind", TEXT_FORMATS)
    def test_without_phases_nothing_of_them_is_drawn(self, kind: str) -> None:
        """The picture of the table alone is the same whatever goes on inside."""
        nothing = Inside(regions={}, rows=(), deadline_of={})
        assert draw(kind, inside=nothing) == draw(kind, phases=False) == draw(kind)
        assert "scanning" not in draw(kind)
        assert "replaces" not in draw(kind)

    @pytest.mark.parametrize("kind", TEXT_FORMATS)
    def test_the_attempts_deadline_is_told(self, kind: str) -> None:
        """The one deadline that runs in no phase of its own stands beside them all."""
        assert "attempt_timeout" in draw(kind, phases=True)

    def test_no_two_things_in_a_picture_have_one_name(self) -> None:
        """States, regions and phases have names of their own: Mermaid and DOT tell by the name."""
        names = [*State, *Region, *Phase]
        assert len(set(map(str, names))) == len(names)

    @pytest.mark.parametrize("deadline", Deadline)
    def test_a_deadline_says_how_long(self, deadline: Deadline) -> None:
        """Behind the colon of a deadline's meaning stands its time, which pictures take over."""
        words = deadline.meaning.split(": ")[1]
        assert words.replace("`", "") == f"{HOW_LONG[deadline]}."

    def test_the_terminal_is_told_why(self) -> None:
        """The tables for the terminal give each reason in full, within 80 columns."""
        text = draw("text", phases=True)
        assert max(map(len, text.splitlines())) <= 80
        told = " ".join(cells[-1] for _, cells in every_entry(text))
        reasons = [*(row.why for row in TABLE), *(row.why for row in PHASE_ROWS)]
        assert [why for why in reasons if why not in told] == []
        assert [region for region in Region if f"{region}:\n  {region.meaning}\n" not in text] == []

    def test_json_holds_what_is_documented(self) -> None:
        """The JSON object has the documented fields and no others."""
        picture = json.loads(draw("json", phases=True))
        assert set(picture) == {
            "initial", "socket_owner", "states", "rows",
            "regions", "phases", "phase_rows", "steps", "deadlines",
        }  # fmt: skip
        assert [row["replaces"] for row in picture["rows"] if row["source"] == "generating"] == [
            [], [], ["qr_ready"], ["qr_ready"]
        ]  # fmt: skip
        assert picture["regions"][0] == {
            "state": "generating",
            "name": "request",
            "meaning": Region.REQUEST.meaning,
            "phases": ["acquiring", "requesting"],
        }
        assert picture["phases"][2] == {
            "name": "absent",
            "meaning": Phase.ABSENT.meaning,
            "region": "transport",
            "initial": True,
            "deadline": None,
        }
        assert picture["phase_rows"][1] == {
            "source": "absent",
            "by": "make",
            "step": True,
            "target": "opening",
            "why": PHASE_ROWS[1].why,
        }
        assert picture["steps"] == named(Step)
        assert picture["deadlines"] == named(Deadline)


def every_entry(text: str) -> Iterator[tuple[str, list[str]]]:
    """The rows of all tables for the terminal."""
    for part in re.split(r"^  Inside ", text, flags=re.MULTILINE):
        yield from entries(part)


def named(words: Any) -> list[Mapping[str, str]]:
    """Words as the JSON object lists them."""
    return [{"name": word, "meaning": word.meaning} for word in words]


class TestLooks:
    """How it is drawn."""

    def test_regions_are_parallel_in_mermaid(self) -> None:
        """Between the regions of a state, and before what it does in every phase, is a `--`."""
        mermaid = draw("mermaid", phases=True)
        assert len(re.findall(r"^    --$", mermaid, re.MULTILINE)) == 2
        alone = draw("mermaid", phases=True, inside=without_region(State.DISPLAYED, Region.PERSON))
        assert len(re.findall(r"^    --$", alone, re.MULTILINE)) == 1

    @pytest.mark.parametrize("state", [None, *State])
    def test_every_class_is_defined_once(self, state: State | None) -> None:
        """Mermaid knows the colours of each class that a state, region or phase is given."""
        mermaid = draw("mermaid", phases=True, state=state)
        defined = re.findall(r"^  classDef (\w+) ", mermaid, re.MULTILINE)
        assert sorted(defined) == sorted(set(re.findall(r"  class \w+ (\w+)\n", mermaid)))

    @pytest.mark.parametrize("state", [None, *State])
    def test_mermaid_s_titles_have_the_readers_theme(self, state: State | None) -> None:
        """What surrounds a title or an arrow in a theme's colours sets no colour of text."""
        mermaid = draw("mermaid", phases=True, state=state)
        around = re.findall(r"^  classDef (?:\w+Around\w*|region) (.+)", mermaid, re.MULTILINE)
        assert len(around) == 3
        assert [style for style in around if re.search(r"(^|,)color:", style)] == []

    def test_regions_are_clusters_with_a_dashed_border(self) -> None:
        """In DOT each region is a dashed cluster inside the cluster of its state."""
        dot = draw("dot", phases=True)
        assert re.findall(r"^  subgraph cluster_(\w+)", dot, re.MULTILINE) == [
            state for state in State if REGIONS[state]
        ]
        regions = re.findall(r"^    subgraph cluster_(\w+) \{\n.*dashed", dot, re.MULTILINE)
        assert regions == [*Region]

    def test_no_other_colours_are_used(self) -> None:
        """Every colour of the pictures is one whose contrast is tested."""
        boxes = (*diagram.UNLIT.values(), *diagram.LIT.values())
        tested = {colour for box in boxes for colour in box}
        tested |= {diagram.PAPER, diagram.INK, *diagram.ARROWS.values()}
        for state in (None, *State):
            pictures = [draw(kind, state=state, phases=True) for kind in ("dot", "mermaid")]
            assert set(re.findall(r"#\w{6}", "".join(pictures))) <= tested

    @pytest.mark.parametrize("kind", TEXT_FORMATS)
    def test_text_is_plain(self, kind: str) -> None:
        """Text has no trailing white space, ends in one newline and never varies."""
        text = draw(kind, phases=True)
        assert text.isascii()
        assert not re.search(r"[ \n]\n\Z|[ \t]$", text, re.MULTILINE)
        assert text.endswith("\n")
        assert draw(kind, phases=True) == text == render(kind, phases=True)

    @pytest.mark.parametrize("kind", every(IMAGE_FORMATS))
    def test_images_show_the_phases(self, kind: str) -> None:
        """An image with phases is unlike the one without."""
        assert render(kind, phases=True) != render(kind)

    @needs_pygraphviz
    def test_the_svg_holds_every_word(self) -> None:
        """Whatever the graph says is in the image, and Graphviz complains of nothing."""
        svg = paint("svg", phases=True, state=State.DISPLAYED).decode().replace("&#39;", "'")
        words = {*State, *Region, *Phase, *Step, *Event}
        words |= {f"ends after {HOW_LONG[deadline]}" for deadline in DEADLINE_OF.values()}
        assert {word for word in words if word not in svg.replace("&#45;", "-")} == set()
        assert "<title>QR pairing: displayed now</title>" in svg


class TestCommitted:
    """Whether a committed picture with phases is still true."""

    @pytest.mark.parametrize("kind", TEXT_FORMATS)
    def test_nothing_if_equal(self, kind: str) -> None:
        """A committed picture is compared with one that has phases if it has."""
        assert difference(draw(kind, phases=True), kind, f"inside.{kind}", phases=True) == ""
        assert difference(draw(kind, phases=True), kind, f"inside.{kind}") != ""

    def test_a_row_that_is_gone_is_shown(self) -> None:
        """An outdated picture gives a diff with the row that it lacks."""
        old = draw("mermaid", phases=True, inside=Inside(rows=PHASE_ROWS[1:]))
        diff = difference(old, "mermaid", "inside.mmd", phases=True)
        assert "+      acquiring --> requesting : leased\n" in diff

    def test_an_unknown_format_is_refused(self) -> None:
        """With phases, too, a format that nobody draws is refused."""
        with pytest.raises(InvalidValue, match="'gif'"):
            render("gif", phases=True)


class TestCommand:
    """`qrlifecycle diagram --phases`."""

    @pytest.mark.parametrize("name", ["inside.mmd", "inside.md", "inside.txt", "inside.json"])
    def test_it_checks_what_it_wrote(self, name: str, tmp_path: Any) -> None:
        """What is written with the phases is up to date with them, and without them is not."""
        path = str(tmp_path / name)
        assert main(["diagram", "--phases", "--output", path]) == 0
        assert main(["diagram", "--phases", "--check", path]) == 0
        assert main(["diagram", "--check", path]) == 1

    def test_it_lights_a_state(self, capsys: pytest.CaptureFixture[str]) -> None:
        """`--state` goes with `--phases`."""
        assert main(["diagram", "--phases", "--state", "displayed", "--format", "text"]) == 0
        assert capsys.readouterr().out == draw("text", phases=True, state=State.DISPLAYED)

    @needs_pygraphviz
    def test_it_writes_an_image(self, tmp_path: Any) -> None:
        """An image with phases is written by its suffix."""
        path = tmp_path / "inside.svg"
        assert main(["diagram", "--phases", "--output", str(path)]) == 0
        assert path.read_bytes() == paint("svg", phases=True)

    def test_help_has_an_example(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The help says what `--phases` does and shows how."""
        assert main(["diagram", "--help"]) == 0
        assert "qrlifecycle diagram --phases --output inside.svg" in capsys.readouterr().out
