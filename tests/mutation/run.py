"""All mutants of one module: those that can be put in place, then those that start whole."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from .collected import in_place
from .forks import Forks, Verdict, Work
from .fresh import passes
from .mutants import Mutant
from .order import Spent
from .trials import Broken, Left, Noted, Tried

__all__ = ["Run"]


class Run:
    """Puts mutants before the tests of their module.

    Args:
        module: the module.
        mutants: some of its mutants.
        jobs: how many at a time.
        quick: explore nothing.
        told: is told of each verdict as it comes.
    """

    def __init__(
        self,
        module: str,
        mutants: Sequence[Mutant],
        *,
        jobs: int,
        quick: bool,
        told: Callable[[Mutant, Verdict], object],
    ) -> None:
        self._module = module
        self._mutants = mutants
        self._jobs = jobs
        self._quick = quick
        self._told = told
        self._left: list[Left] = []
        self._spent: dict[str, Spent] = {}
        self._noticed: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def is_fair(self) -> bool:
        """Try them all; whether every test passes while nothing is changed. If not, none counts."""
        why = self._in_place()
        if why is None and self._left:
            why = self._unchanged()
        if why is not None:
            print(f"{self._module}: its tests fail with nothing changed\n{why}")
            return False
        self._whole()
        return True

    def _in_place(self) -> str | None:
        for message in in_place(self._module, self._mutants, jobs=self._jobs, quick=self._quick):
            match message:
                case Broken(why):
                    return why
                case Noted(spent):
                    self._spent = spent
                case Tried(number, verdict):
                    self._told(self._mutants[number], verdict)
                case Left():
                    self._left.append(message)
        return None

    def _unchanged(self) -> str | None:
        said: list[str] = []

        def ended(verdict: Verdict, test: str) -> None:
            if verdict is not Verdict.SURVIVED:
                said.append(f"{verdict}, when started whole: {test}")

        with Forks(1) as forks:
            forks.begin(self._passes(None, self._left[0].tests), ended)
        return said[0] if said else None

    def _whole(self) -> None:
        with Forks(self._jobs) as forks:
            for number, tests in ((one.number, one.tests) for one in self._left):
                mutant = self._mutants[number]
                order = _sorted(tests, self._noticed[mutant.scope])
                forks.begin(self._passes(mutant, order), partial(self._ended, mutant))

    def _passes(self, mutant: Mutant | None, order: Sequence[str]) -> Work:
        return partial(
            passes, self._module, mutant, order=order, spent=self._spent, quick=self._quick
        )

    def _ended(self, mutant: Mutant, verdict: Verdict, test: str) -> None:
        if verdict is not Verdict.SURVIVED and test:
            self._noticed[mutant.scope][test] += 1
        self._told(mutant, verdict)


def _sorted(tests: Iterable[str], noticed: Counter[str]) -> list[str]:
    """Those first that noticed most; the others stay as they are."""
    return sorted(tests, key=lambda test: -noticed[test])
