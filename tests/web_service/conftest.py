"""The example service, running, for the tests of a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from .serving import Service


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Service]:
    """One service for all of a file."""
    from .serving import serving

    async with serving() as service:
        yield service


@pytest.fixture
async def service(running: Service) -> AsyncIterator[Service]:
    """The service, on which a test leaves nothing."""
    yield running
    await running.nothing_left()


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """One process for all of a file."""
    from .people import launched

    async with launched() as browser:
        yield browser
