"""What watches lifecycles in production: an audit, a journal, metrics, a timeline."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .audit import Alert, Audit, Limits
    from .journal import Journal

__all__ = ["Alert", "Audit", "Journal", "Limits"]


def __getattr__(name: str) -> Any:
    """Import a name's module when it is first used: the command line needs parts of this only."""
    if name in __all__:
        path = ".journal" if name == "Journal" else ".audit"
        return getattr(import_module(path, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
