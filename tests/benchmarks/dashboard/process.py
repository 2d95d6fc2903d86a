"""The driver's end of the measured server: starts it, asks it, ends it.

This room must never know a design, nor what a day is made of.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

__all__ = ["ServerProcess"]

SERVER = f"{__package__}.server"
TOP = Path(__file__).parents[3]


class ServerProcess:
    """The pairing server in a process of its own; an async context manager.

    Args:
        patience: seconds after which it misses a socket that should be there, or gone.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.url = ""
        """Where it listens."""
        self._folder = TemporaryDirectory(prefix="qrlifecycle-dashboard-")
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        log_file = str(Path(self._folder.name, "server.log"))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", SERVER, log_file, str(self._patience),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=TOP,
        )  # fmt: skip
        try:
            self.url = (await self._line()).strip()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        self._folder.cleanup()

    async def ask(self, do: str, **details: object) -> dict[str, Any]:
        """Have something done, and say what came of it.

        Raises:
            RuntimeError: the server could not do it, or has ended.
        """
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **details}).encode() + b"\n")
        answer = json.loads(await self._line())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        assert isinstance(answer, dict)
        return answer

    async def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the server's process has ended; its last words are above")
        return line.decode()
