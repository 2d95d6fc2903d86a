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
    return (os.cpu_count() or 1) * 3


LONGEST = (
    "tests/leases/test_model.py",
    "tests/gateways/test_oidc_provider.py",
    "tests/contract/test_transports.py",
    "tests/treachery/test_treachery.py",
    "tests/test_exploration.py",
    "tests/replicas/test_replicas.py",
    "tests/gateways/test_naive_readings.py",
    "tests/web_service/test_replicas.py",
    "tests/web_service/test_browser.py",
    "tests/test_model.py",
    "tests/test_verify.py",
    "tests/leases/test_redis_sentinel.py",
)
"""Files whose slow tests take longest, a file being one worker's. They come first, where xdist is
told to keep the order (``--no-loadscope-reorder``), so that nobody works on when all others have
ended: by how many tests a file has, some of these would be begun last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort out what takes longest."""
    rank = {file: number for number, file in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.location[0], len(rank)))


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
