"""The device flow with a certified OpenID provider: `oidc-provider`, from npm, in its process."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import anyio
import pytest

from qrlifecycle import Connected, Failed, Outcome, QRCode, Reason
from qrlifecycle.gateways import DeviceFlow

from ..patience import HANGS, PROCESS_HANGS

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache"

WANTED = "oidc-provider@9"


def installed() -> Path:
    """Where it is, from npm, once for this checkout."""
    folder = CACHE / WANTED.replace("@", "-")
    module = folder / "node_modules" / "oidc-provider" / "lib" / "index.js"
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("needs node and npm: it runs a certified OpenID provider")
    if not module.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", WANTED]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=PROCESS_HANGS)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"npm cannot install {WANTED} here ({type(error).__name__})")
    return module


class Provider:
    """It runs; a person's doings are told it."""

    def __init__(self, lifetime: float) -> None:
        command = ["node", str(HERE / "oidc_server.mjs"), str(installed()), str(lifetime)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        self.issuer = str(self.says()["issuer"])

    def says(self) -> Any:
        """The next line."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    async def does(self, **what: str) -> None:
        """The person does something."""
        pipe: IO[str] | None = self.process.stdin
        assert pipe is not None
        pipe.write(json.dumps(what) + "\n")
        pipe.flush()
        with anyio.fail_after(HANGS):
            await anyio.to_thread.run_sync(self.says, abandon_on_cancel=True)


@pytest.fixture
def provider_of() -> Iterator[Callable[[float], Provider]]:
    """Makes providers, whose codes live so long."""
    made: list[Provider] = []

    def make(lifetime: float) -> Provider:
        made.append(Provider(lifetime))
        return made[-1]

    yield make
    for provider in made:
        provider.process.terminate()
        provider.process.wait(PROCESS_HANGS)
        for pipe in (provider.process.stdin, provider.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops: the server has a process of its own."""
    assert isinstance(request.param, str)
    return request.param


async def pair(provider: Provider, *, scan: str | None = None, **options: Any) -> Outcome:
    """Pair; the person does this with the first code, as soon as it is shown."""
    options = {"client_id": "tv", **options}
    gateway = DeviceFlow(provider.issuer, **options)

    async def show(qr: QRCode) -> None:
        assert qr.typed is not None
        assert qr.reveal().endswith(f"?user_code={qr.typed.reveal()}")
        assert qr.typed_at == f"{provider.issuer}/device"
        if scan is not None:
            more = {"as": "user-7"} if scan == "scan" else {}
            await provider.does(**{scan: qr.typed.reveal()}, **more)

    with anyio.fail_after(HANGS):
        return await gateway.lifecycle(on_qr_updated=show).pair()


@pytest.mark.parametrize(
    "options", [{}, {"client_id": "box", "client_secret": "s3cret"}], ids=["public", "secret"]
)
async def test_a_success(
    provider_of: Any, options: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """It publishes where it is asked, names no interval, and the token names the person."""
    caplog.set_level(logging.DEBUG)
    outcome = await pair(provider_of(600), scan="scan", **options)
    assert isinstance(outcome, Connected)
    assert outcome.identity == "user-7"
    assert {"access_token", "id_token"} <= set(outcome.data)
    for secret in (*map(str, outcome.data.values()), "s3cret"):
        assert len(secret) < 7 or secret not in caplog.text


async def test_a_refusal(provider_of: Any) -> None:
    """The person declines in the browser."""
    assert await pair(provider_of(600), scan="refuse") == Failed(
        Reason.REFUSED_ON_PHONE,
        data={"error": "access_denied", "error_description": "the person declined"},
    )


async def test_an_expiry(provider_of: Any) -> None:
    """Nobody comes while the code lives."""
    assert await pair(provider_of(6)) == Failed(Reason.EXPIRED)


@pytest.mark.parametrize(
    "options",
    [{"client_id": "nobody"}, {"client_id": "box", "client_secret": "wrong"}],
    ids=["unknown", "wrong secret"],
)
async def test_a_client_that_is_not_let_in(provider_of: Any, options: dict[str, str]) -> None:
    """It is the program's fault, and no code is shown."""
    outcome = await pair(provider_of(600), **options)
    assert isinstance(outcome, Failed)
    assert outcome.reason is Reason.AUTHENTICATION_REFUSED
