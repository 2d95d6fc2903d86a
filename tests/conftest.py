"""What all tests share: both backends, each on a virtual clock, and a way to see what is left."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from trio.testing import MockClock

from qrlifecycle import logs
from qrlifecycle.testing import VirtualClockEventLoop

settings.register_profile(
    "default",
    deadline=None,  # a timed assertion is a flaky test
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("deep", settings.get_profile("default"), max_examples=2_000)
settings.load_profile("default")


# Hundreds of processes that tests start would each compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


# A shell that starts tests in its background has them, and what they start, ignore Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """More of them at a time (``-n auto``) than cores: many tests wait for sockets."""
    return (os.cpu_count() or 1) * 2


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage meanwhile: thousands of tests come to be, and all of them stay."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(scope="module", autouse=True)
def _look_for_garbage_in_what_this_file_makes_only() -> None:
    """All the other tests and packages are looked through no more: that takes a tenth of a second.

    Dozens of tests collect garbage to hear its complaints, `cancel_everywhere` after each run.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _nothing_was_said_a_moment_ago() -> None:
    """What many lifecycles say at once is said by few: a test's own are not those of others."""
    logs._moments.clear()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Every async test runs on both, and no time passes while anything can run."""
    if request.param == "asyncio":
        return "asyncio", {"loop_factory": VirtualClockEventLoop}
    return "trio", {"clock": MockClock(autojump_threshold=0)}
