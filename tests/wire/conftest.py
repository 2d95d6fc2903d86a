"""Real sockets, both ends in one event loop, on a clock that waits for them."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
import trustme

from ..patience import patient_clock


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Every test runs on both."""
    return patient_clock(request.param)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """An authority of the tests' own."""
    return trustme.CA()


@pytest.fixture(scope="session")
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context that knows it."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def certified(authority: trustme.CA) -> ssl.SSLContext:
    """A server's context, for 127.0.0.1 and localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost", "::1").configure_cert(context)
    return context
