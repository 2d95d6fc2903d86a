"""The certified OpenID provider `oidc-provider`, from npm, in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Self

import anyio

from qrlifecycle import QRCode
from qrlifecycle.codes import Code
from qrlifecycle.gateways import DeviceFlow
from qrlifecycle.testing.gateways import IDENTITY, Emulator

from ..npm import from_npm
from ..patience import HANGS, PROCESS_HANGS
from ..sockets import free_port

__all__ = ["OIDCProvider"]

HERE = Path(__file__).parent

WANTED = "oidc-provider@9"

SECRET = "s3cret"


class OIDCProvider(Emulator):
    """It runs, and keeps its codes over a restart; a person's doings are told it.

    Args:
        lifetime: seconds for which a code is good.
    """

    def __init__(self, lifetime: float = 600.0) -> None:
        self.module = from_npm(WANTED, "lib/index.js", "it runs a certified OpenID provider")
        self.lifetime = lifetime
        self._port = free_port()
        self._folder = TemporaryDirectory(prefix="qrl-oidc-")
        self._process: subprocess.Popen[str] | None = None
        self._unread = 0
        self._frozen = self._locked = False

    @property
    def url(self) -> str:
        """The issuer."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()
        self._folder.cleanup()

    def gateway(self) -> DeviceFlow:
        """A gateway of the client that has a secret."""

        async def secret() -> str:
            return "another" if self._locked else SECRET

        return DeviceFlow(self.url, client_id="box", client_secret=secret)

    def codes(self) -> list[str]:
        """What each picture says."""
        return [f"{self.url}/device?user_code={code}" for code in self._list()["codes"]]

    def secrets(self) -> Collection[str]:
        """The codes, the tokens, the client's secret."""
        found = self._list()
        return [SECRET, *found["codes"], *found["secrets"]]

    def _list(self) -> Any:
        if self._process is None:
            return {"codes": [], "secrets": []}
        self._tell(list=True)
        return self._said()

    # The person

    async def scan(self, code: Code, identity: str = IDENTITY) -> None:
        """Open the address, sign in, and agree; while it is frozen, it hears of that later."""
        await self._does(scan=_typed(code), **{"as": identity})

    async def refuse(self, code: Code) -> None:
        """Open the address, and decline."""
        await self._does(refuse=_typed(code))

    async def _does(self, **what: str) -> None:
        self._tell(**what)
        if self._frozen:
            return
        with anyio.fail_after(HANGS):
            said = await anyio.to_thread.run_sync(self._said, abandon_on_cancel=True)
        if "error" in said:
            raise KeyError(said["error"])

    def _tell(self, **what: object) -> None:
        assert self._process is not None
        pipe: IO[str] | None = self._process.stdin
        assert pipe is not None
        pipe.write(json.dumps(what) + "\n")
        pipe.flush()
        self._unread += 1

    def _said(self) -> Any:
        """Its answer to what it was told last."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = ""
        for _ in range(self._unread):
            line = self._process.stdout.readline()
        self._unread = 0
        return json.loads(line)

    # The server

    async def expire(self) -> None:
        """The newest code is good no more; who polls is told."""
        await self._does(expire="")

    async def lock_out(self) -> None:
        """The client has another secret than it is known by."""
        self._locked = True

    # The operator

    async def start(self) -> None:
        """It is there, with what it had stored."""
        self._process, self._unread = self._begun(), 1
        with anyio.fail_after(PROCESS_HANGS):
            said = await anyio.to_thread.run_sync(self._said, abandon_on_cancel=True)
        assert said == {"issuer": self.url}

    def _begun(self) -> subprocess.Popen[str]:
        told = (self.module, self.lifetime, self._port, self._folder.name)
        command = ["node", str(HERE / "oidc_server.mjs"), *map(str, told)]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, text=True)

    async def stop(self) -> None:
        """It is killed."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait(PROCESS_HANGS)
        for one in (process.stdin, process.stdout):
            assert one is not None
            one.close()

    async def freeze(self) -> None:
        """The process stands still: its port takes connections, and nobody is answered."""
        self._signal(signal.SIGSTOP)
        self._frozen = True

    async def thaw(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)
        self._frozen = False

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)


def _typed(code: Code) -> str:
    assert isinstance(code, QRCode)
    assert code.typed is not None
    return code.typed.reveal()
