"""`qrlifecycle audit`: which line of a journal breaks which promise, and what was counted."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from operator import attrgetter, itemgetter
from pathlib import Path

import pytest

from qrlifecycle import Event, State
from qrlifecycle.cli import main
from qrlifecycle.monitoring.journal import format_record

from . import journals
from .records import Story, healthy


def write(path: Path, *stories: Story, before: bytes = b"", after: bytes = b"") -> str:
    """A journal of these stories, their records in the order of time."""
    lines = journals.write(path, journals.together(*stories)).read_bytes()
    path.write_bytes(before + lines + after)
    return str(path)


def leaky() -> Story:
    """A round that leaves before its socket is closed."""
    story = Story("p-2", at=100).display().leave(Event.PAIRED)
    return story.change(Event.PAIRED, State.CONNECTED).close().end()


def test_a_healthy_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its figures are told, and that every promise held; the exit code is 0."""
    assert main(["audit", write(tmp_path / "j", healthy())]) == 0
    told = capsys.readouterr().out
    assert "11: 11 records of 1 processes" in told
    assert "connected 1" in told
    assert "graceful 1" in told
    assert "mean 5,000.0 ms, longest 5,000.0 ms" in told
    assert told.endswith("Every promise held.\n")


def test_a_whole_line_behind_half_a_line_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is accused because another process died in the middle of a line."""
    journal = write(tmp_path / "j", healthy(), before=b'{"qrlif')
    assert main(["audit", journal]) == 0
    assert "11: 11 records of 1 processes" in capsys.readouterr().out


def test_two_sockets_for_one_user_are_told_with_the_user_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence names whom."""
    stories = [Story(f"c0ffee0001-{n}", at=n).display().pair() for n in (1, 2)]
    assert main(["audit", write(tmp_path / "j", *stories)]) == 1
    first = capsys.readouterr().out.splitlines()[0]
    assert first.count("bot-7 user-123") == 1


def test_the_line_that_breaks_a_promise_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the promise, the lifecycle, and whose socket it was; the exit code is 1."""
    journal = write(tmp_path / "j", healthy(), leaky(), before=b"hello\n")
    assert main(["audit", journal]) == 1
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == (
        "line 20: promise 1: a socket was open in state 'connected' "
        "(lifecycle p-2, attempt 1, bot-7 user-123)"
    )
    assert last == "1 found."
    assert b'"paired"' in Path(journal).read_bytes().splitlines()[19]


def test_other_lines_and_a_torn_one_are_no_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines of other programs are counted, and so is what a process that died left of one."""
    torn = format_record(Story("p-3", at=200).begin().records[0])[:50]
    journal = write(tmp_path / "j", healthy(), before=b"hello\nworld\n", after=torn)
    assert main(["audit", journal]) == 0
    told = capsys.readouterr().out.split()
    assert told[told.index("programs") + 1] == "2"
    assert told[told.index("torn") + 1] == "1"


def test_a_broken_line_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What claims to be a record and is none is no healthy journal."""
    line = format_record(healthy().records[1]).replace(b'"idle"', b'"asleep"')
    assert main(["audit", write(tmp_path / "j", after=line + b"\n")]) == 1
    assert "line 1: a line of a journal, but its 'source' cannot be" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("--success=0.0005", "success 0.010 s after the signal; the limit is 0.0005 s"),
        ("--scan-to-success=4", "success 5.000 s after the scan; the limit is 4 s"),
        ("--openings-per-attempt=0.5", "openings per attempt: 1; the limit is 0.5"),
        ("--socket-seconds-per-success=5", "socket seconds per success: 8.11; the limit is 5"),
        ("--codes-per-success=0.5", "codes per success: 1; the limit is 0.5"),
    ],
)
def test_a_limit_of_ones_own(
    limit: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is beyond it is found, in a journal that keeps every promise."""
    assert main(["audit", write(tmp_path / "j", healthy()), "--window=1", limit]) == 1
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("limit", ["--success=0", "--window=0", "--success=nan"])
def test_a_limit_that_cannot_be(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is a usage error, before anything is read."""
    assert main(["audit", "-", limit]) == 2
    assert f"error: {limit.partition('=')[0]} must be" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nowhere.jsonl", "."])
def test_a_file_that_cannot_be_read(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says which and why; the exit code is 2."""
    assert main(["audit", name]) == 2
    assert f"cannot read '{name}': " in capsys.readouterr().err


def test_nothing_to_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty journal is not said to have kept promises."""
    assert main(["audit", write(tmp_path / "j")]) == 0
    assert capsys.readouterr().out.endswith("There was nothing to judge.\n")


@pytest.mark.parametrize("content", [b"hello\n", gzip.compress(b"hello\n", mtime=0), b'{"qrlifec'])
def test_a_file_that_is_no_journal(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A job that is given the wrong path is not green for ever: the exit code is 2."""
    assert main(["audit", write(tmp_path / "j", before=content)]) == 2
    assert "no line is a journal's" in capsys.readouterr().err


def test_a_socket_of_a_process_that_died_was_open_until_its_last_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is accused, and its seconds count."""
    assert main(["audit", write(tmp_path / "j", Story().display().scan(5.0))]) == 0
    told = capsys.readouterr().out
    assert re.search(r"without an end +1\n", told)
    assert "1, at most 1 at once; 1 of them never closed\n" in told
    assert re.search(r"socket-seconds +5\.1\n", told)


def two_machines(path: Path) -> list[str]:
    """The journals of two processes, each with a socket for one user, for five seconds at once."""
    one, two = Story("c0ffee0001-1", at=1).display(), Story("beef000002-1", at=2).display()
    stories = one.scan(6.0).pair(), two.scan(7.0).pair()
    return [write(path / name, story) for name, story in zip(("one", "two"), stories, strict=True)]


def test_several_journals_are_judged_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In order of time, in whichever order they are named; a finding names file and line."""
    files = two_machines(tmp_path)
    for order in (files, files[::-1]):
        assert main(["audit", *order]) == 1
        told = " ".join(capsys.readouterr().out.split())
        assert re.match(r"line \d+ of .*/one: .*other processes opened 1 more", told), told
        assert "records of 2 processes" in told


def test_journals_that_were_put_one_behind_the_other_are_not_judged_as_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever forgets to sort them is told so, and not that every promise held."""
    together = tmp_path / "both"
    together.write_bytes(b"".join(Path(name).read_bytes() for name in two_machines(tmp_path)))
    assert main(["audit", str(together)]) == 2
    printed = capsys.readouterr()
    assert "Every promise held" not in printed.out
    assert printed.out.endswith("In each process by itself every promise held.\n")
    assert re.search(r"error: line \d+ goes back in time, .*: give their files", printed.err)


def days(path: Path) -> list[str]:
    """The journals of two days of one process; the second begins in the middle of an attempt."""
    lines = Path(write(path / "all", healthy())).read_bytes().splitlines(keepends=True)
    names = [path / "day-1", path / "day-2"]
    for name, part in zip(names, (lines[:6], lines[6:]), strict=True):
        name.write_bytes(b"".join(part))
    return [str(name) for name in names]


@pytest.mark.parametrize("order", [1, -1])
def test_days_of_one_process_are_put_in_order(
    order: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In whatever order they are named, compressed or not."""
    first, second = days(tmp_path)
    Path(first).write_bytes(gzip.compress(Path(first).read_bytes()))
    assert main(["audit", *(first, second)[::order]]) == 0
    assert "11: 11 records of 1 processes" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["audit", "timeline"])
def test_days_of_one_process_in_the_wrong_order_are_refused(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is accused by it without being told that the order may be all that is wrong."""
    first, second = days(tmp_path)
    together = tmp_path / "both"
    together.write_bytes(Path(second).read_bytes() + Path(first).read_bytes())
    assert main([command, str(together)]) == 2
    printed = capsys.readouterr()
    assert "held" not in printed.out
    assert re.search(r"error: line 6 goes back in time, .*: give their files", printed.err)


def test_lines_of_threads_that_overtook_one_another_are_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A thread that was held up before its write is late by less than clocks differ."""
    late, other = (
        Story("p-1", at=0).display().pair(),
        Story("p-2", at=0.3, subject=None).display().pair(),
    )
    records = [(record.monotonic + 0.9, record) for record in late.records]
    records += [(record.monotonic, record) for record in other.records]
    in_turn = [record for _, record in sorted(records, key=itemgetter(0))]
    assert in_turn != sorted(in_turn, key=attrgetter("monotonic"))
    assert main(["audit", str(journals.write(tmp_path / "j", in_turn))]) == 0
    assert capsys.readouterr().out.endswith("Every promise held.\n")


@pytest.mark.parametrize("command", ["audit", "timeline"])
def test_a_file_that_is_named_twice_is_refused(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything in it would have been done twice."""
    name = write(tmp_path / "j", healthy())
    again = tmp_path / "again"
    again.symlink_to(name)
    for other in (name, str(again)):
        assert main([command, name, other]) == 2
        assert f"'{name}' and '{other}' are one file" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["audit", "timeline"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"hello\n", "no line of '{}' is a journal's"),
        (
            gzip.compress(b"hello\n" * 99, mtime=0)[:-12],
            "cannot read '{}': it is compressed, and damaged",
        ),
    ],
)
def test_a_file_among_several_that_is_no_journal_is_named(
    command: str,
    content: bytes,
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is not passed over as some other program's lines; an empty one is."""
    good, empty, bad = write(tmp_path / "j", healthy()), write(tmp_path / "e"), tmp_path / "bad"
    assert main([command, good, empty]) == 0
    bad.write_bytes(content)
    assert main([command, good, str(bad)]) == 2
    assert says.format(bad) in capsys.readouterr().err


def test_a_closing_that_is_missing_is_not_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the attempt leaves out is accused; what it has is told, its end too."""
    story = Story().display().leave(Event.PAIRED).change(Event.PAIRED, State.CONNECTED).end()
    assert main(["audit", write(tmp_path / "j", story)]) == 1
    told = capsys.readouterr().out
    assert "without an end" not in told
    assert re.search(r"signal to closed +none\n", told)


@pytest.mark.parametrize("window", [1, 2])
def test_a_limit_that_too_few_attempts_are_judged_by_is_told(
    window: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever gave it does not read that it held."""
    limits = ["--codes-per-success=9", f"--window={window}"]
    assert main(["audit", write(tmp_path / "j", healthy()), *limits]) == 0
    told = capsys.readouterr().out
    said = re.search(r"not judged +--codes-per-success: 1 of 2 attempts \(--window\)", told)
    assert (said is not None) is (window == 2)


def test_many_findings_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first are told in full, the others are not printed without end."""
    stories = [Story(f"p-{n}", at=n * 100).display().end() for n in range(30)]
    assert main(["audit", write(tmp_path / "j", *stories)]) == 1
    told = capsys.readouterr().out
    assert told.count("line ") == 20
    assert "... and 69 more" in told
    assert "89 found." in told


def test_nothing_that_moves_a_cursor_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A journal may hold what somebody else wrote into it."""
    story = Story("p-\x1b[2J", subject=("\x1b]0;gotcha\x07",)).display().end()
    assert main(["audit", write(tmp_path / "j", story)]) == 1
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("columns", [60, 80])
def test_a_terminal_is_given_whole_words(
    columns: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is too long for a line goes on below where it began; in a pipe it is one line."""
    journal = write(tmp_path / "j", healthy(), leaky())
    assert main(["audit", journal]) == 1
    piped = capsys.readouterr().out
    assert max(map(len, piped.splitlines())) > 80
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["audit", journal]) == 1
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= columns
    assert told.split() == piped.split()


def test_the_standard_input(tmp_path: Path) -> None:
    """`-` reads what another program unpacks."""
    journal = Path(write(tmp_path / "j", healthy())).read_bytes()
    command = [sys.executable, "-m", "qrlifecycle", "audit", "-"]
    done = subprocess.run(command, input=journal, capture_output=True, check=True)
    assert b"Every promise held." in done.stdout


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A journal of many lifecycles takes no more memory than one of a few."""
    used = []
    for lifecycles in (10, 4_000):
        stories = (Story(f"p-{n}", at=n * 100, subject=(f"user-{n}",)) for n in range(lifecycles))
        path = tmp_path / f"{lifecycles}"
        with path.open("wb") as file:
            for story in stories:
                for record in story.display().pair().records:
                    file.write(format_record(record) + b"\n")
        script = (
            "import resource, sys; from qrlifecycle.cli import main; main(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        command = [sys.executable, "-c", script, "audit", str(path)]
        done = subprocess.run(command, capture_output=True, check=True)
        used.append(int(done.stdout.split()[-1]))
    few, many = used
    assert many < few * 1.25


@pytest.mark.slow
def test_the_page_on_watching_does_what_it_says(tmp_path: Path) -> None:
    """Its listings run as one program; the journal that it wrote is judged as the page shows."""
    page = Path(__file__).parent.parent / "docs" / "how-to" / "watch-in-production.md"
    listings = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    (judged,) = re.findall(r"^```text\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    command = [sys.executable, "-W", "error", "-c", "\n".join(listings)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    assert b"alert: " not in done.stdout
    command = [sys.executable, "-m", "qrlifecycle", "audit", "pairings.jsonl"]
    done = subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    assert judged in done.stdout.decode()
