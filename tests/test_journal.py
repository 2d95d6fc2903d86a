"""The journal: one line for each record, read back as it was, whatever else is in the file."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import stat
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrlifecycle import Event, InvalidValue, Paired, Reason, Scanned, State
from qrlifecycle.errors import Ending
from qrlifecycle.monitoring.journal import (
    KINDS,
    LONGEST_LINE,
    MARK,
    VERSION,
    Entry,
    Journal,
    Skipped,
    format_record,
    parse_record,
    read_journal,
)
from qrlifecycle.records import Closing, LeaseEnd, Opening, Record

from .pairing import Pairing
from .records import EPOCH, Story, healthy

TIMES = st.floats(0, 4e9).map(lambda seconds: round(seconds, 6))

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "lifecycle": st.text(max_size=30),
    "attempt": st.integers(0, 2**40),
    "monotonic": TIMES,
    "wall": TIMES,
    "close_timeout": TIMES,
    "key": st.none() | st.lists(st.text(max_size=30), max_size=3).map(tuple),
    "source": st.sampled_from(State),
    "event": st.sampled_from(Event),
    "target": st.sampled_from(State),
    "reason": st.none() | st.sampled_from(Reason),
    "subject": st.none() | st.lists(st.text(max_size=30), max_size=3).map(tuple),
    "shared": st.none() | st.text(max_size=30),
    "how": st.sampled_from(Closing),
    "ending": st.none() | st.sampled_from(Ending),
    "cause": st.text(max_size=30),
    "count": st.integers(0, 2**40),
    "waited": TIMES,
    "token": st.none() | st.integers(0, 2**60),
    "by": st.sampled_from(LeaseEnd),
}


def a_record(kind: type[Record]) -> st.SearchStrategy[Record]:
    """Any record of a kind."""
    return st.builds(kind, **{field.name: VALUES[field.name] for field in fields(kind)})


RECORDS = st.sampled_from(list(KINDS.values())).flatmap(a_record)


def entries(content: bytes) -> list[Entry]:
    """What a journal of this content holds."""
    return list(read_journal(io.BytesIO(content)))


def lines(*records: Record) -> bytes:
    """What a journal of these records holds."""
    return b"".join(format_record(record) + b"\n" for record in records)


@given(record=RECORDS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    """Of every kind, with any text in it, on one line."""
    line = format_record(record)
    assert b"\n" not in line
    read = parse_record(line)
    assert read.wall == pytest.approx(record.wall, abs=2e-6)
    assert format_record(read) == line
    for field in fields(record):
        if field.name != "wall":
            assert getattr(read, field.name) == getattr(record, field.name)


def test_the_format_is_what_the_docs_say() -> None:
    """A line, in full: other programs read it too."""
    line = json.loads(format_record(Story().begin().answer().records[-1]))
    assert line == {
        "qrlifecycle": VERSION,
        "at": "2026-11-23T08:00:00.300000Z",
        "monotonic": 5000.3,
        "lifecycle": "c0ffee0001-1",
        "attempt": 1,
        "what": "changed",
        "source": "generating",
        "event": "qr_ready",
        "target": "displayed",
    }


@pytest.mark.anyio
async def test_a_lifecycle_writes_its_journal(tmp_path: Path) -> None:
    """Each record is in the file the moment it was told, and the file is its owner's only."""
    path = tmp_path / "journal.jsonl"
    told: list[Record] = []
    with Journal(path) as journal:
        async with Pairing(recorders=[told.append, journal]) as pairing:
            assert path.read_bytes().count(b"\n") == len(told) == 6
            pairing.peer.send(Paired("me"))
    assert path.read_bytes() == lines(*told)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_journal_is_appended_to(tmp_path: Path) -> None:
    """What a program wrote yesterday is still there."""
    path = tmp_path / "journal.jsonl"
    first, second, *_ = healthy().records
    for record in (first, second):
        with Journal(path) as journal:
            journal(record)
    assert path.read_bytes() == lines(first, second)


def test_what_a_dead_process_left_of_a_line_spoils_no_other(tmp_path: Path) -> None:
    """The next journal begins a line of its own."""
    path = tmp_path / "journal.jsonl"
    first, second, *_ = healthy().records
    path.write_bytes(lines(first)[:-30])
    with Journal(path) as journal:
        journal(second)
    torn, whole = entries(path.read_bytes())
    assert torn.skipped is Skipped.TORN
    assert (whole.number, whole.record) == (2, second)


def test_a_disk_that_is_full_spoils_no_later_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could be written of a line is ended before the next one begins."""
    path = tmp_path / "journal.jsonl"
    first, second, third, *_ = healthy().records
    real = os.write
    space = [10_000, 40, 0, 10_000, 10_000]

    def write(file: int, data: bytes) -> int:
        if not (free := space.pop(0)):
            raise OSError(28, "No space left on device")
        return real(file, data[:free])

    monkeypatch.setattr(os, "write", write)
    with Journal(path) as journal:
        journal(first)
        journal(second)
        with pytest.raises(OSError, match="No space"):
            journal(third)
        journal(third)
        journal(third)
    read = entries(path.read_bytes())
    assert [entry.record for entry in read if entry.record] == [first, third, third]
    assert [entry.skipped for entry in read if entry.skipped] == [Skipped.TORN]


def test_a_closed_journal_is_silent(tmp_path: Path) -> None:
    """A lifecycle that outlives its journal is not disturbed; closing twice is fine."""
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.close()
    journal.close()
    journal(healthy().records[0])
    assert path.read_bytes() == b""


def test_a_journal_that_cannot_be_opened_says_so_at_once(tmp_path: Path) -> None:
    """A missing folder is found out when the program starts, not when somebody pairs."""
    with pytest.raises(FileNotFoundError):
        Journal(tmp_path / "nowhere" / "journal.jsonl")


def test_journals_in_several_threads_tear_no_line(tmp_path: Path) -> None:
    """Two journals on one file, each used from two threads: every line is whole."""
    path = tmp_path / "journal.jsonl"
    journals = [Journal(path), Journal(path)]
    records = healthy().records

    def work(journal: Journal) -> None:
        for _ in range(50):
            for record in records:
                journal(record)

    threads = [threading.Thread(target=work, args=(journal,)) for journal in journals * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for journal in journals:
        journal.close()
    read = entries(path.read_bytes())
    assert len(read) == 200 * len(records)
    assert all(entry.record is not None for entry in read)


# Reading


GOOD = format_record(healthy().records[1])


@pytest.mark.parametrize(
    ("line", "skipped"),
    [
        (b"GET / HTTP/1.1", Skipped.FOREIGN),
        (b"", Skipped.FOREIGN),
        (b"[1, 2]", Skipped.FOREIGN),
        (b'{"level": "info", "message": "hello"}', Skipped.FOREIGN),
        (b'{"message": "the \\"qrlifecycle\\" logger"}', Skipped.FOREIGN),
        (b'{"logger": "qrlifecycle"}', Skipped.FOREIGN),
        (b'"qrlifecycle"', Skipped.FOREIGN),
        (b'"qrlifecycle" and some text', Skipped.FOREIGN),
        (b"\xff\xfe\x00", Skipped.FOREIGN),
        (b"x" * (LONGEST_LINE + 10), Skipped.FOREIGN),
        (GOOD[:5], Skipped.TORN),
        (GOOD[:60], Skipped.TORN),
        (GOOD[:-1], Skipped.TORN),
        (b'{"qrlifecycle":' + b"[" * 5_000, Skipped.TORN),
        (b'{"qrlifecycle":2}', Skipped.BROKEN),
        (GOOD.replace(b'"qrlifecycle":1', b'"qrlifecycle":true'), Skipped.BROKEN),
        (GOOD.replace(b'"qrlifecycle":1', b'"qrlifecycle":1.0'), Skipped.BROKEN),
        (b'{"qrlifecycle":1}', Skipped.BROKEN),
        (GOOD.replace(b'"idle"', b'"asleep"'), Skipped.BROKEN),
        (GOOD.replace(b'"generate"', b"[]"), Skipped.BROKEN),
        (GOOD.replace(b'"changed"', b'"danced"'), Skipped.BROKEN),
        (GOOD.replace(b'"attempt":1', b'"attempt":-1'), Skipped.BROKEN),
        (GOOD.replace(b'"attempt":1', b'"attempt":' + b"9" * 4_000), Skipped.BROKEN),
        (GOOD.replace(b"c0ffee", b"c0ffee" * 100), Skipped.BROKEN),
        (b'{"qrlifecycle":1,"x":"' + b"x" * LONGEST_LINE, Skipped.BROKEN),
        (GOOD.replace(b'"attempt":1', b'"attempt":true'), Skipped.BROKEN),
        (GOOD.replace(b'"monotonic":5000.0', b'"monotonic":Infinity'), Skipped.BROKEN),
        (GOOD.replace(b"2026-", b"0000-"), Skipped.BROKEN),
        (GOOD.replace(b'"2026-11-23T08:00:00.000000Z"', b"5"), Skipped.BROKEN),
    ],
)
def test_a_line_that_is_no_record_is_told_apart(line: bytes, skipped: Skipped) -> None:
    """Another program's is passed over, a torn one is known as such, a broken one says why."""
    before, entry, after = entries(GOOD + b"\n" + line + b"\n" + GOOD)
    assert before.record == after.record
    assert (before.number, entry.number, after.number) == (1, 2, 3)
    assert entry.record is None
    assert entry.skipped is skipped
    assert bool(entry.text) is (skipped is Skipped.BROKEN)


def test_behind_a_torn_line_another_process_may_have_put_a_whole_one() -> None:
    """Nobody is accused because of a line that stands behind somebody else's half."""
    torn, whole, after = entries(GOOD[:60] + GOOD + b"\n" + GOOD)
    assert torn.skipped is Skipped.TORN
    assert whole.record == after.record
    assert (torn.number, whole.number, after.number) == (1, 1, 2)


@pytest.mark.parametrize(
    "before",
    [GOOD[:length] for length in (1, 5, 14, 15, 40)]
    + [b"2026 GET /x", b'{"level":"info","msg":"x', b"\0" * 500, b"\xef\xbb\xbf", GOOD],
)
def test_what_stands_before_a_whole_line_loses_it_not(before: bytes) -> None:
    """Half a line, a whole one without its end, zeros of a crashed disk, another program's half."""
    first, *held = entries(before + GOOD)
    assert first.skipped in (Skipped.TORN, Skipped.FOREIGN)
    assert [entry.record for entry in held] == [parse_record(GOOD)] * (1 + (before == GOOD))


def test_a_line_of_nothing_but_beginnings_is_torn() -> None:
    """However many there are."""
    (entry,) = entries(MARK * 4_000)
    assert entry.skipped is Skipped.TORN


def test_a_line_of_another_program_may_hold_what_looks_like_ours() -> None:
    """It stays the other program's."""
    (entry,) = entries(b'{"x":' + GOOD + b"}")
    assert entry.skipped is Skipped.FOREIGN


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_that_nobody_reads_is_an_error_and_no_endless_wait(tmp_path: Path) -> None:
    """Neither at the beginning nor when the reader has gone."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OSError, match=os.strerror(errno.ENXIO)):
        Journal(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with Journal(path) as journal:
        journal(healthy().records[0])
        assert os.read(reader, 10_000).endswith(b"\n")
        os.close(reader)
        with pytest.raises(BrokenPipeError):
            journal(healthy().records[0])


def test_a_file_that_can_only_be_written_may_end_in_half_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If nobody can see it, a line is begun."""
    path = tmp_path / "journal.jsonl"
    path.write_bytes(GOOD[:30])
    refuse = Mock(side_effect=PermissionError)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        journal = Journal(path)
    with journal:
        journal(healthy().records[0])
    assert [entry.record is None for entry in entries(path.read_bytes())] == [True, False]


def test_what_a_transport_says_is_written_in_bounds() -> None:
    """A subject without end makes no line that cannot be read."""
    story = Story(subject=("x" * 100_000,) * 50).begin().answer().open()
    (opening,) = (record for record in story.records if isinstance(record, Opening))
    read = parse_record(format_record(opening))
    assert isinstance(read, Opening)
    assert read.subject == ("x" * 200,) * 8


def test_a_field_more_is_read_over() -> None:
    """Later journals of the same version may tell more."""
    line = GOOD[:-1] + b',"mood":"good"}'
    assert parse_record(line) == parse_record(GOOD)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"5", b'{"a":1}', b'{"qrlifecycle":9}'])
def test_what_is_no_line_of_a_journal_is_refused(line: bytes) -> None:
    """One line, by itself, is a record or an error."""
    with pytest.raises(InvalidValue):
        parse_record(line)


@given(
    content=st.binary(max_size=300)
    | st.lists(st.sampled_from([GOOD, GOOD[:40], b"\n", b"{"])).map(b"".join)
)
def test_no_file_makes_the_reader_raise(content: bytes) -> None:
    """Whatever is in it, each line is accounted for."""
    for entry in entries(content):
        assert (entry.record is None) is (entry.skipped is not None)


class Endless(io.RawIOBase):
    """A file of one line that has no end, up to a limit."""

    chunk: ClassVar[bytes] = b"x" * 8192

    def __init__(self, size: int) -> None:
        self.left = size
        self.largest = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.largest = max(self.largest, len(buffer))
        count = min(len(buffer), self.left, len(self.chunk))
        buffer[:count] = self.chunk[:count]
        self.left -= count
        return count


def test_a_line_without_end_takes_no_memory() -> None:
    """It is read in pieces and passed over as a single line."""
    endless = Endless(20_000_000)
    (entry,) = read_journal(io.BufferedReader(endless, 8192))
    assert entry.skipped is Skipped.FOREIGN
    assert endless.left == 0
    assert endless.largest <= LONGEST_LINE


def test_the_epoch_of_stories_is_the_one_that_the_format_test_expects() -> None:
    """The time of day in a line is UTC."""
    assert parse_record(GOOD).wall == EPOCH


PAGE = Path(__file__).parent.parent / "docs" / "journal.md"


def test_the_page_on_the_format_names_every_kind_and_key() -> None:
    """What the docs say of the format is all there is to it."""
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]*\|(.*)\|$", PAGE.read_text(), re.MULTILINE))
    common = {field.name for field in fields(Record)}
    assert set(rows) >= set(KINDS)
    for name, kind in KINDS.items():
        own = {field.name for field in fields(kind)} - common
        assert own <= set(re.findall(r"`(\w+)`", rows[name]))
    line = json.loads(format_record(healthy().records[0]))
    keys = re.findall(r"^\| `(\w+)` \| [^|]*\|$", PAGE.read_text(), re.MULTILINE)
    assert keys == [*line][: len(keys)]


@pytest.mark.anyio
async def test_the_page_on_the_format_shows_a_healthy_round() -> None:
    """Its eleven lines are what a lifecycle tells, in this order."""
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE.read_text(), re.DOTALL)
    told: list[Record] = []
    async with Pairing(recorders=[told.append]) as pairing:
        pairing.peer.send(Scanned())
        pairing.peer.send(Paired("me"))
    keys = ("what", "source", "event", "target", "how")
    lines = [json.loads(format_record(record)) for record in told]
    assert [[line[key] for key in keys if key in line] for line in lines] == [
        row.split() for row in shown.splitlines()
    ]
