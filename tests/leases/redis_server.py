"""A real redis-server on a port of its own, that can be stopped, killed, and started again."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis as redis_py

from ..patience import HANGS
from ..sockets import free_port

__all__ = ["MISSING", "RedisServer"]

MISSING = shutil.which("redis-server") is None and shutil.which("valkey-server") is None
"""Whether none is installed here."""


class RedisServer:
    """A context manager; it listens on loopback only, and writes into a folder of its own."""

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="qrl-redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.admin: Any = redis_py.Redis(
            port=self.port,
            decode_responses=True,
            socket_timeout=HANGS,
            socket_connect_timeout=HANGS,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.admin.close()
        self.kill()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        assert program is not None
        self._process = subprocess.Popen(
            [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no", "--dir", str(self._folder)],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if b"eady to accept connections" in line:
                return
        raise RuntimeError("redis-server did not come up")

    def kill(self) -> None:
        """As by the power failing: nothing is written."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(HANGS)
        assert process.stdout is not None
        process.stdout.close()

    def pause(self) -> None:
        """It does nothing any more, and its connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def end_grace(self) -> None:
        """It grants from now on: nobody holds anything from before it was started."""
        run = self.admin.info("server")["run_id"]
        self.admin.hset("{qrl}:server", mapping={"run": run, "until": 0})

    def fresh(self) -> None:
        """It knows nothing, and grants from now on."""
        self.admin.flushall()
        self.end_grace()
