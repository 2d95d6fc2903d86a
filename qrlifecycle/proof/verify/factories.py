"""The factory that ``MODULE:FACTORY`` names: how it is found, and whether it makes a peer."""

from __future__ import annotations

import importlib
import inspect
import os
from pathlib import Path
from traceback import walk_tb
from typing import Any, cast

import qrlifecycle

from ...errors import InvalidValue
from ...monitoring.printable import printable
from ...testing.contract.check import PeerFactory
from ...testing.contract.peer import Peer
from ...testing.user_code import is_own
from ...testing.wording import error_text, innermost

__all__ = ["check_factory", "error_with_place", "peer_factory"]

PACKAGE = f"{Path(qrlifecycle.__file__).parent}{os.sep}"
"""Where our own code is."""


def peer_factory(named: str) -> PeerFactory:
    """The factory of the name ``MODULE:FACTORY``.

    Raises:
        InvalidValue: there is none, or it cannot be called.
    """
    module_name, colon, name = named.rpartition(":")
    if not (module_name and colon and name):
        raise InvalidValue(f"{named!r} names no factory: give MODULE:FACTORY, as in my_tests:peer")
    if (module := _module_in(module_name)) is not None:
        raise InvalidValue(f"give a module, not a file: {module}:{name}")
    try:
        found: Any = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # pytest.importorskip raises one, for example
        raise InvalidValue(f"cannot import {module_name!r}: {error_with_place(error)}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise InvalidValue(f"module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    if not callable(found):
        raise InvalidValue(f"{named} cannot be called; a factory makes a fresh peer at each call")
    return cast("PeerFactory", found)


def check_factory(named: str) -> None:
    """Call the factory of a name once, and check what it returns.

    Raises:
        InvalidValue: it names no factory, or one that raises, or one that makes no peer.
    """
    factory = peer_factory(named)
    try:
        given: object = factory()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise InvalidValue(f"{named} raised {error_with_place(error)}") from error
    if inspect.iscoroutine(given):
        given.close()
        raise InvalidValue(f"{named} is async; a factory is a plain function that gives a Peer")
    if not isinstance(given, Peer):
        kind = type(given).__name__
        article = "an" if kind[0].lower() in "aeiou" else "a"
        what = "None" if given is None else f"{article} {kind}"
        raise InvalidValue(
            f"{named} gave {what}, which is no Peer; give one such as qrlifecycle.testing.WirePeer"
        )


def error_with_place(error: BaseException) -> str:
    """An error in words, with the innermost line of the program's own code in its traceback."""
    for inner in (*innermost(error), error):
        frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(inner.__traceback__)]
        own = [place for place in frames if is_own(place[0]) and not place[0].startswith(PACKAGE)]
        for file, line in own[-1:]:
            return printable(f"{error_text(error)} ({Path(file).name}:{line})")
    return printable(error_text(error))


def _module_in(name: str) -> str | None:
    """The module of a file name; None if the name is not one of a file."""
    if not ("/" in name or os.sep in name or name.startswith(".") or Path(name).is_file()):
        return None
    path = Path(name.removesuffix(".py"))
    parts = path.parts[-1:] if path.is_absolute() else path.parts
    return ".".join(part for part in parts if part.strip(".")).lstrip(".")
