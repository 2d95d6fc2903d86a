"""A real nginx between a transport and its server, of whatever configuration a test is about."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import pytest

from .patience import HANGS, PROCESS_HANGS
from .sockets import free_port

__all__ = ["OWN_PORT", "Nginx"]

BINARY = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
"""Debian's is where only root's PATH leads."""

CONFIGURATION = """
daemon off;
master_process off;  # one process, which is ours, with our own rights
pid {folder}/pid;
error_log {folder}/errors;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/1;
    proxy_temp_path {folder}/2;
    fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4;
    scgi_temp_path {folder}/5;
    {servers}
}}
"""

SERVER = """
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{backend};
            proxy_http_version 1.1;
            {more}
        }}
    }}
"""

OWN_PORT = "OWN-PORT"

UPGRADE = """
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
"""
"""What lets WebSocket through; without it nginx speaks HTTP only, as it does unless it is told."""


class Nginx:
    """An nginx in front of ports of loopback, in a folder and on a port of its own.

    Args:
        folder: where its files are.
        backend: the port that it passes on to; or the text of what it serves, with `OWN_PORT`
            where its own stands.
        upgrade: whether it lets WebSocket through.
        read_timeout: seconds for which it waits for more of the server, as nginx spells it.
    """

    def __init__(
        self, folder: Path, backend: int | str, *, upgrade: bool = True, read_timeout: str = "60s"
    ) -> None:
        if BINARY is None:
            pytest.skip("needs nginx: it is tried through a real one")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        more = f"{UPGRADE if upgrade else ''}proxy_read_timeout {read_timeout};"
        self.port = free_port()
        if isinstance(backend, str):
            servers = backend.replace(OWN_PORT, str(self.port))
        else:
            servers = SERVER.format(port=self.port, backend=backend, more=more)
        text = CONFIGURATION.format(folder=folder, servers=servers)
        (folder / "nginx.conf").write_text(text)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; it listens when this returns."""
        assert BINARY is not None
        folder = str(self._folder)
        self._process = subprocess.Popen(
            [BINARY, "-p", folder, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/errors"],
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + HANGS
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.01)
        self.stop()
        raise AssertionError((self._folder / "errors").read_text())

    def stop(self) -> None:
        """Stop it at once, with all that goes through it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PROCESS_HANGS)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
