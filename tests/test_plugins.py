"""The pytest classes under other plugins than anyio's: what runs on another event loop says so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .patience import PROCESS_HANGS

pytest.importorskip("pytest_asyncio", reason="needs pytest-asyncio, which nothing here depends on")

TESTS = """
import sys
import pytest
from qrlifecycle import Paired, QRCode, QRUpdated
from qrlifecycle.testing import VirtualClockEventLoop, WirePeer
from qrlifecycle.testing.contract import checks
from qrlifecycle.testing.suite import LifecyclePromises, TransportContract

sys.path.insert(0, {examples!r})
from line_transport import LineTransport


def line_peer():
    return WirePeer(
        lambda host, port: LineTransport(host, port, heartbeat=0.5),
        signals={{b"qr a\\n": QRUpdated(QRCode("a")), b"paired x\\n": Paired("x")}},
        heartbeat=0.5,
        alive=b"\\n",
    )


class TestContract(TransportContract):
    __test__ = True

    @pytest.fixture
    def peer(self):
        return line_peer


class TestPromises(LifecyclePromises):
    __test__ = True
    max_examples = 2

    @pytest.fixture(params=["virtual", "trio"])
    def anyio_backend(self, request):
        if request.param == "trio":
            from trio.testing import MockClock

            return "trio", {{"clock": MockClock(autojump_threshold=0)}}
        return "asyncio", {{"loop_factory": VirtualClockEventLoop}}

    @pytest.fixture
    def peer(self):
        return None
"""

EXAMPLES = Path(__file__).parents[1] / "examples"

REFUSED = (
    "this test was to run on trio, by your anyio_backend fixture, and runs on asyncio: another "
    "plugin has taken it, such as pytest-asyncio in auto mode. Set asyncio_mode = strict"
)

SOME = "T3 or nothing_to or promises or takes"


def run(tmp_path: Path, *options: str) -> str:
    """What pytest prints of some of those tests."""
    (tmp_path / "test_mine.py").write_text(TESTS.format(examples=str(EXAMPLES)))
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", SOME, *options]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PROCESS_HANGS,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
        check=False,
    )
    return ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [("-p", "no:asyncio"), ("-o", "asyncio_mode=strict")],
    ids=["anyio's plugin", "pytest-asyncio, strict"],
)
def test_the_classes_run_on_both_loops_under(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Each test on the event loop that its name says."""
    printed = run(tmp_path, *options)
    assert re.search(r"^=+ \d+ passed, \d+ skipped.* =+$", printed, re.MULTILINE), printed


@pytest.mark.slow
def test_pytest_asyncio_in_auto_mode_is_refused_by_name(tmp_path: Path) -> None:
    """What is called trio and runs on asyncio fails and says why, as on a clock of its own."""
    printed = run(tmp_path, "-o", "asyncio_mode=auto", "-rf")
    assert printed.count(REFUSED) >= 2
    assert "was to run on asyncio's VirtualClockEventLoop" in printed
    failed = re.findall(r"^FAILED test_mine\.py::\S+\[([^\]]*)\]", printed, re.MULTILINE)
    assert failed
    assert all("trio" in name or "virtual" in name for name in failed)
    passed = re.search(r"(\d+) passed", printed)
    assert passed is not None  # on asyncio, as they were asked to
