"""Whose code a file is: the program's own, or Python's and its packages'."""

from __future__ import annotations

import os
import site
import sysconfig

__all__ = ["is_own"]

FOREIGN = tuple(
    f"{where}{os.sep}"
    for path in {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        *site.getsitepackages(),
        site.getusersitepackages(),
    }
    for where in {path, os.path.realpath(path)}
)
"""Where code is that is not the program's; with an editable install, ours is elsewhere."""


def is_own(file: str) -> bool:
    """Whether a file of source is neither the standard library's nor an installed package's."""
    return not file.startswith((*FOREIGN, "<"))
