"""The list of mutants that change nothing anybody could see, each with the reason."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from .mutants import Mutant

__all__ = ["Equivalents"]

LIST = Path(__file__).with_name("equivalent.toml")


class Equivalents:
    """The list, as it stands in ``equivalent.toml``."""

    def __init__(self, known: Iterable[tuple[str, str, str]]) -> None:
        self._known = list(known)

    @classmethod
    def read(cls) -> Self:
        """Read it.

        Raises:
            KeyError: an entry without module, scope, change or reason.
        """
        entries = tomllib.loads(LIST.read_text())["equivalent"]
        for entry in entries:
            if not entry["because"]:
                raise KeyError(f"no reason is given: {entry}")
        return cls((entry["module"], entry["scope"], entry["change"]) for entry in entries)

    def __contains__(self, mutant: Mutant) -> bool:
        return (mutant.module, mutant.scope, mutant.change) in self._known

    @property
    def modules(self) -> set[str]:
        """The modules that have any."""
        return {module for module, _scope, _change in self._known}

    def without_mutant(self, mutants: Iterable[Mutant], modules: Iterable[str]) -> list[str]:
        """Entries for these modules that fit no mutant."""
        real = {(mutant.module, mutant.scope, mutant.change) for mutant in mutants}
        modules = set(modules)
        return [" ".join(one) for one in self._known if one[0] in modules and one not in real]
