"""A real PostgreSQL on a port of its own, in a folder of its own. It refuses to run as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from ..patience import PROCESS_HANGS
from ..sockets import free_port

__all__ = ["PostgresServer", "what_is_missing"]

USER = "postgres"
"""Who runs it where we are root: the packages of it make this user."""


def programs() -> Path | None:
    """The folder of its newest programs, which Debian keeps out of the path."""
    beside = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(beside, key=lambda folder: float(folder.parent.name), reverse=True)
    found = shutil.which("initdb")
    known = [Path(found).parent] if found else []
    return next((p for p in [*known, *newest] if (p / "initdb").exists()), None)


def what_is_missing() -> str | None:
    """Why none can be started here, if none can."""
    if not hasattr(os, "geteuid"):
        return "a PostgreSQL is started as on Unix"
    if programs() is None:
        return "there is no PostgreSQL here: no initdb, neither in the path nor where Debian has it"
    if os.geteuid() != 0:
        return None
    import pwd

    if USER not in {entry.pw_name for entry in pwd.getpwall()}:
        return f"PostgreSQL refuses to run as root, and there is no user {USER}"
    return None if shutil.which("setpriv") else "PostgreSQL refuses to run as root: no setpriv here"


class PostgresServer:
    """A context manager; it listens on loopback only."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"postgresql://{USER}@127.0.0.1:{self._port}/postgres"
        self._folder = Path(tempfile.mkdtemp(prefix="qrl-postgres-"))

    def __enter__(self) -> Self:
        if os.geteuid() == 0:
            shutil.chown(self._folder, USER)
        self._run("initdb", "--auth=trust", f"--username={USER}", "--no-sync", "--no-instructions")
        options = f"-c listen_addresses=127.0.0.1 -p {self._port} -k {self._folder} -c fsync=off"
        self._run("pg_ctl", "start", "--wait", "--log", f"{self._folder}/log", "--options", options)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")
        shutil.rmtree(self._folder)

    def restart(self) -> None:
        """As by the power failing, and coming back."""
        self._run("pg_ctl", "restart", "--wait", "--mode=immediate", "--log", f"{self._folder}/log")

    def _run(self, program: str, *arguments: str) -> None:
        folder = programs()
        assert folder is not None
        as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"]
        subprocess.run(
            [
                *(as_user if os.geteuid() == 0 else []),
                str(folder / program),
                *arguments,
                f"--pgdata={self._folder}/data",
            ],
            check=True,
            timeout=PROCESS_HANGS,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
