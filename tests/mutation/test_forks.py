"""Forked processes: how they end, and what is left of them."""

from __future__ import annotations

import json
import subprocess
import sys

from .fresh import TOP

ENDS = """
import json, time
from tests.mutation.forks import Forks, limit

def fails(slate):
    raise SystemExit(0)

def spins(slate):
    slate.write("spinning")
    limit(0.1, 600)
    while True:
        pass

def waits(slate):
    slate.write("waiting")
    limit(600, 0.1)
    time.sleep(600)

def collects(slate):
    everything = []
    while True:
        everything.append(bytearray(2**24))

works = {
    "well": lambda slate: True,
    "unwell": lambda slate: slate.write("x" * 2**18) or slate.write("short"),
    "fails": fails, "spins": spins, "waits": waits, "collects": collects,
}
ends = {}
with Forks(2) as forks:
    for name, work in works.items():
        forks.begin(work, lambda verdict, word, name=name: ends.update({name: (verdict, word)}))
print(json.dumps(ends))
"""

LEFT = """
import os, subprocess
from tests.mutation.forks import Forks

reading, writing = os.pipe()

def leaves(slate):
    subprocess.Popen(["sleep", "600"], pass_fds=[writing])
    return True

with Forks(1) as forks:
    forks.begin(leaves, lambda verdict, word: print(verdict))
os.close(writing)
print(os.read(reading, 1))
"""

GIVEN_UP = """
import os, time
from tests.mutation.forks import Forks

reading, writing = os.pipe()
try:
    with Forks(1) as forks:
        forks.begin(lambda slate: time.sleep(600), print)
        os.close(writing)
        raise ZeroDivisionError
except ZeroDivisionError:
    print(os.read(reading, 1))
"""


def run(code: str) -> str:
    """What a program prints: forks belong into a process without threads."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=TOP, check=True, text=True, stdout=subprocess.PIPE).stdout


def test_each_end_has_its_verdict_and_the_last_word_is_read() -> None:
    """Also of what is killed: for its time, on the processor or on the clock, or its memory."""
    assert json.loads(run(ENDS)) == {
        "well": ["survived", ""],
        "unwell": ["killed", "short"],
        "fails": ["killed", ""],
        "spins": ["timed out", "spinning"],
        "waits": ["timed out", "waiting"],
        "collects": ["killed", ""],
    }


def test_what_a_process_has_started_ends_with_it() -> None:
    """Nobody holds the pipe any more."""
    assert run(LEFT).split() == ["survived", "b''"]


def test_an_error_ends_all_processes() -> None:
    """Ctrl-C leaves no mutant behind."""
    assert run(GIVEN_UP).split() == ["b''"]
