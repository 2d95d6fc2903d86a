"""The factory that ``MODULE:FACTORY`` names: how it is found, and whether it makes what it must."""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from traceback import walk_tb
from typing import Any, cast

import qrlifecycle

from ...calling import has_names_only
from ...errors import InvalidValue
from ...monitoring.printable import printable
from ...testing.contract.check import PeerFactory
from ...testing.contract.peer import Peer
from ...testing.gateways.emulator import Emulator
from ...testing.user_code import is_own
from ...testing.wording import error_text, innermost, kind_of

__all__ = [
    "check_emulator_factory",
    "check_factory",
    "emulator_factory",
    "error_with_place",
    "peer_factory",
]

PACKAGE = f"{Path(qrlifecycle.__file__).parent}{os.sep}"
"""Where our own code is."""


def peer_factory(named: str) -> PeerFactory:
    """The factory of peers of the name ``MODULE:FACTORY``.

    Raises:
        InvalidValue: there is none, or it cannot be called.
    """
    return cast("PeerFactory", _factory(named, "peer", "my_tests:peer"))


def emulator_factory(named: str) -> Callable[[], Emulator]:
    """The factory of emulators of the name ``MODULE:FACTORY``; their class is one.

    Raises:
        InvalidValue: there is none, or it cannot be called.
    """
    found = _factory(named, "emulator", "my_gateway:PlayedPlatform")
    return cast("Callable[[], Emulator]", found)


def check_factory(named: str) -> None:
    """Call the factory of a name once, and check that it returns a peer.

    Raises:
        InvalidValue: it names no factory, or one that raises, or one that makes no peer.
    """
    given = _made_by(named, peer_factory(named), "a Peer")
    if not isinstance(given, Peer):
        advice = "give one such as qrlifecycle.testing.WirePeer"
        if isinstance(given, Emulator):
            advice = f"an Emulator is given by --gateway {named}"
        raise InvalidValue(f"{named} gave {kind_of(given)}, which is no Peer; {advice}")


def check_emulator_factory(named: str) -> None:
    """Call the factory of a name once, and check that it returns an emulator with a gateway.

    Raises:
        InvalidValue: it names no factory, or one that raises, or one that makes no such emulator.
    """
    given = _made_by(named, emulator_factory(named), "an Emulator")
    if not isinstance(given, Emulator):
        raise InvalidValue(
            f"{named} gave {kind_of(given)}, which is no Emulator; "
            "give one of qrlifecycle.testing.gateways.Emulator, which plays the service"
        )
    if type(given).gateway is Emulator.gateway:
        kind = type(given).__name__
        raise InvalidValue(f"{named} gave {kind_of(given)} without gateway(): add {kind}.gateway()")


def _factory(named: str, makes: str, example: str) -> Callable[[], object]:
    module_name, colon, name = named.rpartition(":")
    if not (module_name and colon and name):
        raise InvalidValue(f"{named!r} names no factory: give MODULE:FACTORY, as in {example}")
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
        raise InvalidValue(
            f"{named} cannot be called; a factory makes a fresh {makes} at each call"
        )
    return cast("Callable[[], object]", found)


def _made_by(named: str, factory: Callable[[], object], what: str) -> object:
    try:
        given = factory()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        fits = not has_names_only(error)
        wants = "" if fits else f"; it is called without arguments, and gives {what}"
        raise InvalidValue(f"{named} raised {error_with_place(error)}{wants}") from error
    if inspect.iscoroutine(given):
        given.close()
        raise InvalidValue(f"{named} is async; a factory is a plain function that gives {what}")
    return given


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
