"""What is had from npm, once for this checkout."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .patience import PROCESS_HANGS

__all__ = ["from_npm"]

CACHE = Path(__file__).parents[1] / ".cache"


def from_npm(package: str, file: str, why: str) -> Path:
    """Where a file of a package is; the test is skipped where it cannot be had.

    Args:
        package: its name and version, such as ``axe-core@4``.
        file: the file or folder in it.
        why: what it is needed for, to be told where there is no Node.
    """
    name, _, _ = package.rpartition("@")
    folder = CACHE / package.replace("@", "-")
    found = folder / "node_modules" / name / file
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip(f"needs node and npm: {why}")
    if not found.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", package]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=PROCESS_HANGS)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"npm cannot install {package} here ({type(error).__name__})")
    return found
