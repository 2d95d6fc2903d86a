"""A plain function of the program's that keeps the event loop to itself is named in the log."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from qrlifecycle import Connected, Paired, QRLifecycle, Transport
from qrlifecycle.engine import user_code
from qrlifecycle.testing import ScriptedPeer

from ..pairing import Pairing, request_qr

pytestmark = pytest.mark.anyio

LIMIT = 0.01
"""Seconds; what blocks in here does so for longer."""

ANSWERS: dict[str, object] = {"expect_identity": True}

NAMES = ("on_qr_updated", "on_connected", "on_change", "a recorder", "expect_identity",
         "the transport factory")  # fmt: skip


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said of blocking, without the seconds."""
    lines = [record.getMessage() for record in caplog.records if "blocked" in record.getMessage()]
    return [re.sub(r"\d+\.\d+", "N", line) for line in lines]


async def pair_with(name: str, block: Callable[[], None]) -> object:
    """Pair, with a function that blocks in this place."""

    def called(*_given: object) -> object:
        block()
        return ANSWERS.get(name)

    options: dict[str, Any] = {name: called}
    if name == "a recorder":
        options = {"recorders": [called]}
    if name != "the transport factory":
        async with Pairing(**options) as pairing:
            pairing.peer.send(Paired("me"))
        return pairing.outcome
    peer = ScriptedPeer()

    def make() -> Transport:
        block()
        return peer()

    async def check_status() -> Paired:
        return Paired("me")

    return await QRLifecycle(request_qr, make, check_status=check_status).pair()


@pytest.mark.parametrize("name", NAMES)
async def test_a_plain_function_that_blocks_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its place, for how long, and what to do; the attempt goes on as if it were nothing."""
    monkeypatch.setattr(user_code, "BLOCKS", LIMIT)
    caplog.set_level(logging.WARNING, "qrlifecycle")
    ended = await pair_with(name, lambda: time.sleep(2 * LIMIT))
    assert isinstance(ended, Connected)
    text = "blocked the event loop for N s: await what takes long, or give it to a thread"
    assert f"{name} {text}" in said(caplog)


@pytest.mark.parametrize("name", NAMES)
async def test_what_blocks_and_then_raises_is_named_as_well(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that is given up after its time-out has blocked until then."""
    monkeypatch.setattr(user_code, "BLOCKS", LIMIT)

    def block() -> None:
        time.sleep(2 * LIMIT)
        raise OSError

    await pair_with(name, block)
    assert any(line.startswith(f"{name} blocked the event loop for ") for line in said(caplog))


async def test_what_does_not_wait_is_not_named(caplog: pytest.LogCaptureFixture) -> None:
    """On a machine that is as busy as may be."""
    for name in NAMES:
        await pair_with(name, lambda: None)
    assert said(caplog) == []
