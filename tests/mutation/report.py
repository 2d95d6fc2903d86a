"""What became of the mutants, module by module."""

from __future__ import annotations

import sys
from collections import Counter
from enum import StrEnum

from .equivalents import Equivalents
from .forks import Verdict
from .mutants import Mutant

__all__ = ["Report"]


class End(StrEnum):
    """What a mutant counts as."""

    KILLED = "killed"
    EQUIVALENT = "equivalent"
    UNEXPLAINED = "unexplained"


class Report:
    """Counts verdicts, and tells at once of each that is wrong.

    Args:
        expected: how many there will be.
        equivalents: what is known to survive.
    """

    def __init__(self, expected: int, equivalents: Equivalents) -> None:
        self._expected = expected
        self._equivalents = equivalents
        self._modules: dict[str, Counter[End]] = {}
        self._told = 0
        self.clean = True
        """Whether nothing is unexplained, and nothing listed as equivalent was killed."""

    def tell(self, mutant: Mutant, verdict: Verdict) -> None:
        """Count a verdict."""
        listed, survived = mutant in self._equivalents, verdict is Verdict.SURVIVED
        self.clean = self.clean and survived is listed
        if verdict is not Verdict.KILLED and not listed:
            print(f"{verdict}: {mutant}", flush=True)
        if listed and not survived:
            print(f"listed as equivalent, and {verdict}: {mutant}", flush=True)
        end = End.KILLED if not survived else End.EQUIVALENT if listed else End.UNEXPLAINED
        self._modules.setdefault(mutant.module, Counter())[end] += 1
        self._told += 1
        print(f"{self._told} of {self._expected}", end="\r", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        modules = {**self._modules, "all": sum(self._modules.values(), Counter())}
        lines = [
            f"{'module':<22}{'mutants':>9}" + "".join(f"{end:>13}" for end in End) + "    score"
        ]
        for module, ends in modules.items():
            score = ends[End.KILLED] / max(1, ends[End.KILLED] + ends[End.UNEXPLAINED])
            counts = "".join(f"{ends[end]:>13}" for end in End)
            lines.append(f"{module:<22}{ends.total():>9}{counts}{score:>9.1%}")
        return "\n".join(lines)
