"""What several processes of the example service share, as the environment says it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from web_service.replicas import COOKIE_KEY, REDIS, Shared, shared_by_environment

from qrlifecycle import UsageError

from ..patience import PROCESS_HANGS

TOP = Path(__file__).parents[2]
URL = "redis://:pa55word@127.0.0.1:6379/3"
KEY = "k" * 32


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """One that says nothing of it so far."""
    for name in (REDIS, COOKIE_KEY):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_one_process_shares_nothing(environment: pytest.MonkeyPatch) -> None:
    """Nor does one to which somebody said nothing."""
    assert shared_by_environment() == Shared()
    environment.setenv(REDIS, "")
    assert shared_by_environment() == Shared()


def test_several_share_a_redis_and_a_key(environment: pytest.MonkeyPatch) -> None:
    """Neither its password nor the key is shown."""
    environment.setenv(REDIS, URL)
    environment.setenv(COOKIE_KEY, KEY)
    shared = shared_by_environment()
    assert shared.redis is not None
    assert shared.cookie_key == KEY.encode()
    assert repr(shared) == "Shared()"


def test_sessions_may_outlive_a_process(environment: pytest.MonkeyPatch) -> None:
    """A key is of use to one process, too: it is the same after a restart."""
    environment.setenv(COOKIE_KEY, KEY)
    assert shared_by_environment() == Shared(None, KEY.encode())


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        (URL, "", f"give all the same {COOKIE_KEY}"),
        (URL, "too short", "32 characters or more"),
        ("127.0.0.1:6379", KEY, f"{REDIS} must look like redis://host:port"),
        ("redis://:pa55word@127.0.0.1:637900", KEY, f"{REDIS} must look like redis://host:port"),
    ],
)
def test_what_cannot_be_meant_is_said_at_the_start(
    environment: pytest.MonkeyPatch, url: str, key: str, said: str
) -> None:
    """With what to do, and without the password."""
    environment.setenv(REDIS, url)
    environment.setenv(COOKIE_KEY, key)
    with pytest.raises(UsageError, match=said) as refused:
        shared_by_environment()
    assert "pa55word" not in str(refused.value)


@pytest.mark.slow
def test_several_that_each_play_a_server_are_refused(environment: pytest.MonkeyPatch) -> None:
    """A phone would pair with one of them."""
    environment.setenv(REDIS, URL)
    environment.setenv(COOKIE_KEY, KEY)
    command = (sys.executable, "-m", "examples.web_service", "--port", "0")
    refused = subprocess.run(
        command, cwd=TOP, capture_output=True, text=True, check=False, timeout=PROCESS_HANGS
    )
    assert refused.returncode == 2
    assert "several processes need one platform" in refused.stderr
