"""`qrlifecycle verify`: what it finds, what it prints, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qrlifecycle.cli import main, verify
from qrlifecycle.engine.connection import Connection
from qrlifecycle.proof.exploration import replay
from qrlifecycle.proof.exploration.scene import World
from qrlifecycle.proof.exploration.worlds import EVEN, WORLDS
from qrlifecycle.proof.verify import report as verdicts
from qrlifecycle.proof.verify import schedule
from qrlifecycle.proof.verify.jobs import OURS, AnyJob, Contract, Explore, Findings, Properties
from qrlifecycle.proof.verify.report import (
    CLAUSES_OF_PROMISE,
    Results,
    counterexamples,
    never_seen,
    tables,
)
from qrlifecycle.proof.verify.workers import work_off
from qrlifecycle.testing.acts import Act
from qrlifecycle.testing.contract import CLAUSES
from qrlifecycle.testing.wording import PROMISES

from .patience import PROCESS_HANGS

FEW = frozenset({Act.PAIR, Act.CODE, Act.OK, Act.PAIRED, Act.CANCELLED, Act.TICK})

TINY = World(name="tiny", policy=EVEN, without=frozenset(Act) - FEW, racing=1)

LINES = str(Path(__file__).parent.parent / "examples")

MODULE = f"""
import multiprocessing
import sys
import time
sys.path.insert(0, {LINES!r})
from line_transport import LineTransport
from qrlifecycle import Paired, QRCode, QRUpdated
from qrlifecycle.testing import WirePeer

NUMBER = 7

class Leaky(LineTransport):
    opened = False

    async def open(self):
        await super().open()
        await self.stream.receive(7)  # a greeting; cancelled here
        self.opened = True

    def abort(self):
        if self.opened:
            super().abort()

    async def aclose(self):
        if self.opened:
            await super().aclose()

async def greet(wire):
    await wire.send(b"welcome")

def peer(make=LineTransport, **options):
    return WirePeer(
        lambda host, port: make(host, port, heartbeat=0.3),
        signals={{b"qr one\\n": QRUpdated(QRCode("one")), b"paired me\\n": Paired("me")}},
        heartbeat=0.3,
        **options,
    )

def broken():
    return peer(Leaky, greet=greet)

def raises():
    raise RuntimeError("boom")

def closes():
    raise GeneratorExit

def groups():
    raise BaseExceptionGroup("several", [GeneratorExit("one"), ValueError("two")])

def paints():
    raise RuntimeError("\x1b[31mred\x07")

def interrupts():
    raise KeyboardInterrupt

class Blocking(LineTransport):
    async def open(self):
        print("blocked", flush=True)
        time.sleep(600)

def blocking():
    return peer(Blocking)

def none():
    return None

def number():
    return 7

async def asynchronous():
    return peer()

def one_signal():
    return WirePeer(LineTransport, signals={{b"x": Paired("me")}}, heartbeat=0.3)

def cannot_make():
    def make(*_address, **_options):
        raise RuntimeError("no transport today")

    return peer(make)

made = 0

def skips_in_the_middle():
    global made
    made += 1
    if made > 3:
        raise GeneratorExit("no fourth peer")
    return peer()

def skips_later():
    if multiprocessing.parent_process() is not None:
        import pytest
        pytest.skip("no peer today")
    return peer()
"""

SKIPPING = """
class Skipped(BaseException):  # as pytest's is, which would skip the test instead of failing it
    pass
raise Skipped("no such package")
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A directory with a module in it."""
    (tmp_path / "my_peers.py").write_text(MODULE)
    (tmp_path / "faulty.py").write_text("1 / 0")
    (tmp_path / "leaving.py").write_text("raise SystemExit(3)")
    (tmp_path / "skipping.py").write_text(SKIPPING)
    return tmp_path


def run(here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, in a directory."""
    return subprocess.run(
        [sys.executable, "-m", "qrlifecycle", "verify", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=here,
        timeout=PROCESS_HANGS,
    )


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are done here, where a test may have broken something."""

    def work_off(
        queues: Sequence[deque[Any]], _stopped: object, news: Callable[[Any, str], object]
    ) -> Iterator[tuple[Any, Findings]]:
        for queue in queues:
            while queue:
                job = queue.popleft()
                yield job, job(lambda text, job=job: news(job, text))

    monkeypatch.setattr(verify, "work_off", work_off)
    monkeypatch.setattr(schedule, "WORLDS", (TINY,))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("my_peers", "names no factory: give MODULE:FACTORY"),
        ("nowhere_at_all:peer", "cannot import 'nowhere_at_all'"),
        ("faulty:peer", "cannot import 'faulty': ZeroDivisionError"),
        ("my_peers:nobody", "module 'my_peers' has no 'nobody'"),
        ("my_peers:NUMBER", "my_peers:NUMBER cannot be called"),
        ("faulty:peer", "ZeroDivisionError: division by zero (faulty.py:1)"),
        ("leaving:peer", "cannot import 'leaving': SystemExit: 3 (leaving.py:1)"),
        ("skipping:peer", "cannot import 'skipping': Skipped: no such package (skipping.py:4)"),
        ("my_peers:closes", "my_peers:closes raised GeneratorExit (my_peers.py:"),
        ("my_peers:groups", "my_peers:groups raised GeneratorExit: one; ValueError: two (my_peers"),
        ("my_peers:paints", "my_peers:paints raised RuntimeError: ?[31mred? (my_peers.py:"),
        ("./my_peers:peer", "give a module, not a file: my_peers:peer"),
        ("my_peers.py:peer", "give a module, not a file: my_peers:peer"),
        ("sub/my_peers.py:peer", "give a module, not a file: sub.my_peers:peer"),
        ("my_peers:none", "my_peers:none gave None, which is no Peer"),
        ("my_peers:number", "my_peers:number gave an int, which is no Peer"),
        (
            "qrlifecycle.testing.gateways:WAHAEmulator",
            "no Peer; an Emulator is given by --gateway qrlifecycle.testing.gateways:WAHAEmulator",
        ),
        ("my_peers:raises", "my_peers:raises raised RuntimeError: boom (my_peers.py:"),
        ("my_peers:asynchronous", "my_peers:asynchronous is async; a factory is a plain function"),
        ("my_peers:one_signal", "InvalidValue: a peer needs at least two signals"),
        ("json:dumps", "json:dumps raised TypeError: dumps() missing 1 required"),
    ],
)
def test_a_wrong_name_is_one_sentence(
    here: Path,
    name: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It says what is wrong, in one line, before anything is done, and ends with 2."""
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_peers", raising=False)
    assert main(["verify", name]) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_an_interruption_of_a_factory_is_no_fault_of_its(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C stays Ctrl-C."""
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_peers", raising=False)
    with pytest.raises(KeyboardInterrupt):
        main(["verify", "my_peers:interrupts"])


@pytest.mark.slow
def test_a_factory_that_skips_in_a_process_of_its_own_refutes_nothing(here: Path) -> None:
    """It ends with 2 and says what the factory raised."""
    ended = run(here, "my_peers:skips_later", "--only", "contract", "--backend", "asyncio")
    assert ended.returncode == 2
    assert "nothing was checked: Skipped: no peer today (my_peers.py:" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
def test_what_was_checked_before_a_factory_gave_up_is_told(here: Path) -> None:
    """Whatever it raises: the checks that were made count, and the next one is named."""
    ended = run(here, "my_peers:skips_in_the_middle", "--only", "contract", "--backend", "asyncio")
    assert ended.returncode == 1
    assert re.search(r"total: .* 2 checks", ended.stdout)
    assert re.search(
        r"NOT FINISHED: .*: T1 \D+: GeneratorExit: no fourth peer \(my_peers.py:", ended.stdout
    )


@pytest.mark.parametrize(
    ("arguments", "kinds"),
    [
        (["my_peers:peer"], {Contract: 1, Properties: 1}),
        (["my_peers:peer", "--deep"], {Contract: 1, Properties: 1}),
        (["my_peers:peer", "--only", "properties"], {Properties: 1}),
        (["my_peers:peer", "--only", "exploration"], {Explore: len(WORLDS)}),
        ([], {Explore: len(WORLDS), Contract: 1, Properties: 2}),
    ],
)
def test_of_a_transport_of_ones_own_only_that_is_tried(
    arguments: list[str], kinds: dict[type, int], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither our lifecycle's exploration nor plans over scripted transports, unless asked for."""
    jobs: list[AnyJob] = []

    def note_jobs(queues: list[deque[AnyJob]], *_: object) -> Iterator[Any]:
        jobs.extend(job for queue in queues for job in queue)
        return iter(())

    monkeypatch.chdir(here)
    monkeypatch.setattr(verify, "work_off", note_jobs)
    assert main(["verify", *arguments, "--backend", "asyncio"]) == 2
    assert Counter(map(type, dict.fromkeys(jobs))) == kinds
    if arguments:
        assert {job.factory for job in jobs if isinstance(job, Properties)} <= {"my_peers:peer"}


@pytest.mark.slow
def test_nothing_is_stored_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not what Hypothesis keeps for itself either."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYPOTHESIS_STORAGE_DIRECTORY", raising=False)
    monkeypatch.setattr(schedule, "PLANS", 3)
    monkeypatch.setattr(schedule, "WIRE_PLANS", 1)
    assert main(["verify", "--only", "properties", "--backend", "trio"]) == 0
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("arguments", [["verify"], ["verify", "my_peers:peer"]])
def test_a_current_directory_that_is_gone_is_named(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is said so, in one line, before anything is done, and ends with 2."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert "error: there is no current directory any more: " in printed.err
    assert printed.out == ""


@pytest.mark.slow
def test_a_good_transport_keeps_the_contract(here: Path) -> None:
    """Each clause is held, and what its peer cannot do is said to be skipped."""
    ended = run(here, "my_peers:peer", "--only", "contract", "--backend", "asyncio")
    (news,) = (line for line in ended.stdout.splitlines() if line.startswith("[1/1]"))
    assert news.endswith(" checks")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"^  T2  held +\d+ checks made", ended.stdout, re.MULTILINE)
    assert "skipped: T1" in ended.stdout
    assert ended.stdout.endswith(f"{verify.ALL_TRIED}\n")
    assert ended.stderr == ""


@pytest.mark.slow
def test_a_leaky_transport_is_broken(here: Path) -> None:
    """The clause, what is left open and the line to mend are printed; it ends with 1."""
    ended = run(here, "my_peers:broken", "--only", "contract", "--backend", "trio")
    assert ended.returncode == 1
    assert re.search(r"^  T1  BROKEN", ended.stdout, re.MULTILINE)
    assert re.search(r"^  3  one socket +BROKEN", ended.stdout, re.MULTILINE)
    assert "still open: " in ended.stdout
    assert "my_peers.py:" in ended.stdout


@pytest.mark.usefixtures("in_this_process")
def test_what_was_never_seen_is_not_proved(capsys: pytest.CaptureFixture[str]) -> None:
    """A world too small shows nothing broken, and yet it ends with 1, and names what is missing."""
    assert main(["verify", "--only", "exploration"]) == 1
    printed = capsys.readouterr().out
    assert "On asyncio, nothing was proved about: row idle : " not in printed
    assert re.search(r"On trio, nothing was proved about: .*reason conflict", printed)
    assert re.search(
        r"^  tiny +asyncio +\d+ situations +\d+ moves +complete", printed, re.MULTILINE
    )
    assert "Everything held." not in printed
    resting = re.search(r"On trio, the code was seen in (\d+) of the (\d+) situations", printed)
    assert resting is not None
    assert 0 < int(resting[1]) < int(resting[2]) == len(verdicts.WAITING_SITUATIONS)
    assert "On trio, the code was not seen in every situation where the model can wait." in printed


@pytest.mark.usefixtures("in_this_process")
def test_a_broken_lifecycle_comes_with_a_schedule(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The schedule that is printed shows the breach again."""
    whole = Connection.close

    async def close(connection: Connection) -> None:
        """Close nothing that is open."""
        if not getattr(connection.transport, "socket_exists", False):
            await whole(connection)

    monkeypatch.setattr(Connection, "close", close)
    assert main(["verify", "--only", "exploration"]) == 1
    printed = capsys.readouterr().out
    assert "BROKEN: exploration of 'tiny' on asyncio" in printed
    assert "The same broke in: exploration of 'tiny' on trio" in printed
    assert printed.count("To see it again") == 1
    assert re.search(
        r"^  tiny +trio +\d+ situations +[1-9]\d* moves +BROKEN$", printed, re.MULTILINE
    )
    schedule = re.search(r"replay\('([^']*)'", printed)
    assert schedule is not None
    assert any("promise" in line for line in replay(schedule[1], TINY))


def test_the_same_exploration_gives_the_same_numbers() -> None:
    """Situations, moves and what was seen are equal from run to run."""
    first, again = (Explore(TINY, "asyncio")(lambda _text: None) for _ in range(2))
    assert first == again
    assert first.complete
    assert never_seen(first.seen)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_seed_repeats(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed draws the same plans, and another one others."""
    drawn: list[str] = []
    perform = Properties._perform

    def note(self: Properties, plan: Any, factory: Any) -> Findings | None:
        drawn.append(repr(plan))
        return perform(self, plan, factory)

    monkeypatch.setattr(Properties, "_perform", note)
    runs = []
    for seed in (1, 1, 2):
        drawn.clear()
        for at_once in (1, 2):
            job = Properties(None, backend, seed, 10, at_once)
            assert not job(lambda _text: None).counterexample
        runs.append([*drawn])
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_of_its_processes_ends_at_once(here: Path, number: signal.Signals) -> None:
    """It ends with 130 or 143, says that nothing was refuted, and its processes end with it."""
    command = [sys.executable, "-m", "qrlifecycle", "verify", "--only", "exploration"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=here,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()  # by then its processes are at work
        os.killpg(process.pid, number)
        printed, error = process.communicate(timeout=PROCESS_HANGS)
    assert process.returncode == 128 + number
    assert error == "interrupted; nothing was refuted so far\n"
    assert "BROKEN" not in printed


# What is said of findings


TRIED = Counter(moves=9, situations=3)

EXPLORE, AGAIN = Explore(TINY, "asyncio"), Explore(TINY, "trio")

CONTRACT = Contract(OURS, "asyncio")


def verdict_on(promise: int, results: Results) -> tuple[str, str]:
    """The verdict on a promise, and by what."""
    (row,) = (row for row in dict(tables(results))["promises"] if row[0] == str(promise))
    return row[2], row[3]


def test_a_verdict_is_what_was_tried() -> None:
    """Held, not tried, broken, or held by others than the part that came to no end."""
    broken = Findings(frozenset({"promise 5"}), "so", counts=TRIED)
    unfinished = Findings(failure="its process died: signal 9")
    assert verdict_on(1, {EXPLORE: Findings(skipped="so")}) == ("not tried", "")
    assert verdict_on(1, {EXPLORE: unfinished}) == ("not tried", "")
    assert verdict_on(1, {EXPLORE: Findings(counts=TRIED)}) == ("held", "exploration")
    assert verdict_on(5, {EXPLORE: broken})[0] == "BROKEN"
    held = ("held by the other checks", "exploration")
    assert verdict_on(1, {EXPLORE: broken}) == held
    assert verdict_on(1, {EXPLORE: unfinished, AGAIN: Findings(counts=TRIED)}) == held


def test_a_broken_clause_leaves_the_others_held() -> None:
    """All checks of the contract are made, whatever one of them finds."""
    results: Results = {
        CONTRACT: Findings(frozenset({"T5"}), "so", counts=Counter(T1=1, T3=1, T5=1))
    }
    assert verdict_on(7, results)[0] == "BROKEN"
    assert verdict_on(5, results) == ("held", "contract T1 T3: the transport only")
    assert verdict_on(6, results) == ("not tried", "")
    assert verdict_on(4, results) == ("not tried", "")


def test_a_clause_that_was_not_tried_bears_on_nothing() -> None:
    """What the peer cannot do was not tried: its clause is not named beside a promise."""
    results: Results = {CONTRACT: Findings(counts=Counter({"T4": 2, "T7 skipped": 1}))}
    assert verdict_on(4, results) == ("held", "contract T4: the transport only")
    results[Contract(OURS, "trio")] = Findings(counts=Counter({"T7": 1}))
    assert verdict_on(4, results) == ("held", "contract T4 T7: the transport only")
    results[EXPLORE] = Findings(counts=TRIED)
    assert verdict_on(4, results) == ("held", "exploration, contract T4 T7")


def test_a_verdict_says_what_of_a_promise_was_tried() -> None:
    """Below the row, in 80 columns, where it is not the whole; nothing where nothing was tried."""
    results: Results = {EXPLORE: Findings(counts=TRIED)}
    results[CONTRACT] = Findings(counts=Counter(dict.fromkeys(CLAUSES, 1)))
    results[Properties(None, "asyncio", 1, 10)] = Findings(counts=Counter(plans=10))
    rows = dict(tables(results))["promises"]
    said: dict[str, list[str]] = {}
    for number, _, _, text in rows:
        said.setdefault(number or list(said)[-1], []).append(text)
    assert said["1"] == ["exploration, properties, contract T2"]
    assert said["4"] == [
        "exploration, properties, contract T4 T7",
        "of the lifecycle: no code before listening,",
        "a read on each opening, success only once",
    ]
    assert {number for number, texts in said.items() if len(texts) > 1} == set("456789")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    assert sum(widths) + 2 * len(widths) <= 80
    nothing = dict(tables({EXPLORE: Findings(skipped="so")}))["promises"]
    assert [row[0] for row in nothing] == list("123456789")


def test_a_schedule_is_told_once() -> None:
    """Worlds that broke alike are listed with the first; what came to no end is no breach."""
    broken = [Findings(frozenset({"promise 1"}), f"in {n}", alike="the same") for n in range(2)]
    (told,) = counterexamples({AGAIN: broken[1], EXPLORE: broken[0]})
    assert told == f"BROKEN: {EXPLORE}\nin 0\nThe same broke in: {AGAIN}"
    (told,) = counterexamples({EXPLORE: Findings(failure="its process died: signal 9")})
    assert told == f"NOT FINISHED: {EXPLORE}: its process died: signal 9"


@pytest.fixture
def all_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job finds that all is well."""

    def work_off(queues: Sequence[deque[Any]], *_rest: object) -> Iterator[tuple[Any, Findings]]:
        for queue in queues:
            while queue:
                yield queue.popleft(), Findings(counts=Counter({**TRIED, "plans": 1, "T1": 1}))

    monkeypatch.setattr(verify, "work_off", work_off)
    monkeypatch.setattr(verify, "unproved", lambda _results: [])


def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a bare install."""
    monkeypatch.setattr(verify, "find_spec", lambda _name: None)


@pytest.mark.usefixtures("all_held")
def test_all_that_was_tried_held(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With nothing left out everything held; otherwise what was not tried is named."""
    assert main(["verify", "--only", "exploration"]) == 0
    assert capsys.readouterr().out.endswith("\nEverything held.\n")
    nothing_installed(monkeypatch)
    assert main(["verify", "--only", "exploration"]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("\nEverything that was tried held; not tried: trio.\n")
    assert main(["verify"]) == 0
    printed = capsys.readouterr().out
    clauses = "T2, T3, T4, T5, T6, T7, T8"
    assert printed.endswith(f"held; not tried: trio, properties, {clauses}.\n")


@pytest.mark.usefixtures("all_held")
@pytest.mark.parametrize("named", [("--backend", "trio"), ("--only", "properties")])
def test_what_is_named_must_be_there(
    named: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked for by name and not installed: it says what to install, and ends with 2."""
    nothing_installed(monkeypatch)
    assert main(["verify", *named]) == 2
    printed = capsys.readouterr()
    assert f"{' '.join(named)} needs an extra: pip install '.[testing]'" in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("named", "says"),
    [
        (("--only", "contract", "--backend", "trio"), "error: nothing was checked: cannot"),
        (("--backend", "asyncio", "--only", "contract"), "nothing was checked: cannot"),
        (
            ("--only", "contract", "--only", "exploration", "--backend", "trio"),
            "--only contract: nothing was checked: cannot",
        ),
    ],
)
def test_what_is_named_and_cannot_be_checked_is_an_error(
    named: tuple[str, ...],
    says: str,
    all_held: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """If it turns out only later, it ends with 2 all the same, and does not say that all held."""
    whole = vars(verify)["work_off"]

    def work_off(*given: Any) -> Iterator[tuple[Any, Findings]]:
        for job, found in whole(*given):
            yield job, Findings(skipped="cannot") if isinstance(job, Contract) else found

    monkeypatch.setattr(verify, "work_off", work_off)
    assert main(["verify", *named]) == 2
    printed = capsys.readouterr()
    assert says in printed.err
    assert "held." not in printed.out


@pytest.mark.slow
def test_what_a_peer_raises_refutes_nothing(here: Path) -> None:
    """A transport that cannot be made: it ends with 2, says where, once, and breaks no clause."""
    ended = run(here, "my_peers:cannot_make", "--only", "contract")
    assert ended.returncode == 2
    assert ": not finished\n" in ended.stdout
    assert "error: nothing was checked: " in ended.stderr
    assert (ended.stdout + ended.stderr).count("no transport today (my_peers.py:") == 1
    assert "BROKEN" not in ended.stdout
    assert "ExceptionGroup" not in ended.stdout


def test_an_interruption_says_what_was_refuted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What broke until then is printed, and named in the last line."""

    def work_off(*_arguments: object) -> Iterator[tuple[AnyJob, Findings]]:
        yield EXPLORE, Findings(frozenset({"promise 3"}), "two sockets at once")
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(verify, "work_off", work_off)
    assert main(["verify"]) == 130
    printed = capsys.readouterr()
    assert printed.err == "interrupted; refuted so far: promise 3\n"
    assert f"BROKEN: {EXPLORE}\ntwo sockets at once\n" in printed.out


@pytest.mark.usefixtures("in_this_process")
def test_without_a_terminal_there_is_news_of_what_is_under_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line says how far a job is, unless one was printed a moment ago."""
    monkeypatch.setattr(verify, "NEWS_INTERVAL", 0.0)
    main(["verify", "--only", "exploration", "--backend", "asyncio"])
    first, second = capsys.readouterr().out.splitlines()[1:3]
    assert first == "[0/1] exploration of 'tiny' on asyncio, under way: 0 situations, 0 moves"
    assert ", under way: " in second
    monkeypatch.setattr(verify, "NEWS_INTERVAL", 1000.0)
    main(["verify", "--only", "exploration", "--backend", "asyncio"])
    assert ", under way: " not in capsys.readouterr().out


# Processes


@dataclass(frozen=True)
class Doomed:
    """A job that ends its process."""

    how: int

    def __call__(self, report: Callable[[str], object]) -> str:
        """End."""
        report("farewell")
        if self.how < 0:
            os.kill(os.getpid(), -self.how)
            time.sleep(60)  # until it strikes
        os._exit(self.how)

    def undone(self, why: str) -> str:
        """What is said."""
        return why


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "says"),
    [(-signal.SIGKILL, "its process died: signal 9"), (3, "its process ended with exit code 3")],
)
def test_a_process_that_dies_is_told_and_its_jobs_are_not_lost(how: int, says: str) -> None:
    """How it ended is said; what was still in its queue is said to be undone."""
    queue = deque([Doomed(how), Doomed(how)])
    ends = [end for _, end in work_off([queue], lambda: False, lambda *_: None)]
    assert ends == [says, "no process was left for it"]


@pytest.mark.slow
def test_its_processes_end_with_it_whatever_they_do(here: Path) -> None:
    """Killed while a job blocks its process, it leaves none: the pipe they print to is closed."""
    command = [sys.executable, "-m", "qrlifecycle", "verify", "my_peers:blocking"]
    with subprocess.Popen(
        [*command, "--only", "contract", "--backend", "asyncio"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=here,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert any(line == "blocked\n" for line in process.stdout)
        process.kill()
        try:
            process.communicate(timeout=PROCESS_HANGS)
        finally:
            with suppress(ProcessLookupError):  # none is left, as it should be
                os.killpg(process.pid, signal.SIGKILL)


def test_the_page_on_proofs_names_the_clauses_that_verify_names() -> None:
    """What a promise rests on stands in the command's verdicts and in the page: it is the same."""
    page = Path(__file__).parents[1].joinpath("docs", "proven.md").read_text()
    rows = re.findall(r"^\| (\d) ([^|]+) \| ([^|]+) \|", page, re.MULTILINE)
    assert [(int(number), name) for number, name, _ in rows] == list(PROMISES.items())
    for number, _, instruments in rows:
        assert tuple(re.findall(r"T\d", instruments)) == CLAUSES_OF_PROMISE[int(number)]


@pytest.mark.slow
def test_the_page_shows_what_is_printed(here: Path) -> None:
    """The page's sample is the command's output, but for versions and seconds."""
    page = Path(__file__).parents[1].joinpath("docs", "how-to", "verify.md").read_text()
    (shown,) = re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    ended = run(here, "--only", "contract", "--seed", "7")
    lines = [line for line in ended.stdout.splitlines() if ", under way: " not in line]
    number = re.compile(r"\d+ s$|\d+\.\d+\.\d+", re.MULTILINE)
    assert number.sub("N", "\n".join(lines)) == number.sub("N", shown.rstrip())
