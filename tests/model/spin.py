"""The model's Promela, judged by Spin: what it was asked, and what it found."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from qrlifecycle.proof.model import FAIR_CLAIMS, Model, promela

from ..patience import PROCESS_HANGS

__all__ = ["MISSING", "Spin"]

MISSING = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]
"""What is not installed here."""

SMALL = "-w16"
"""Powers of two of places for states: as it comes it would fill 128 MB, for some hundred states."""


class Spin:
    """A model as Spin sees it, in a folder of its own.

    Args:
        folder: where to work.
        source: the model in Promela, or a model to write out.
    """

    def __init__(self, folder: Path, source: Model | str) -> None:
        self.folder = folder
        self.text = promela(source) if isinstance(source, Model) else source
        (folder / "lifecycle.pml").write_text(self.text)
        said = self._run("spin", "-a", "lifecycle.pml")
        assert "rror" not in said, said
        self._run("gcc", "-w", "-DNOCLAIM", "-DSAFETY", "-o", "steps", "pan.c")
        self._run("gcc", "-w", "-DNFAIR=3", "-o", "claims", "pan.c")

    @property
    def claims(self) -> list[str]:
        """The names of the claims."""
        return re.findall(r"^ltl (\w+)", self.text, re.MULTILINE)

    def steps(self) -> str:
        """The report on assertions, standstill and unused steps."""
        return self._run("./steps", SMALL)

    def claim(self, name: str, *, fair: bool | None = None) -> str:
        """The report on a claim; under weak fairness if it needs that."""
        fair = name in FAIR_CLAIMS if fair is None else fair
        return self._run("./claims", SMALL, "-a", *(["-f"] if fair else []), "-N", name)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PROCESS_HANGS,
        )
        return done.stdout + done.stderr


def figure(report: str, what: str) -> int:
    """A figure of a report: the number before a word, as "states, stored", or after "errors:"."""
    pattern = rf"{what} (\d+)" if what.endswith(":") else rf"(\d+) {what}"
    found = re.search(pattern, report)
    assert found, report
    return int(found[1])


def unused(report: str) -> list[str]:
    """The steps of the actors that Spin never took, but for the ends that none has."""
    steps = re.findall(r"^\tlifecycle\.pml:(\d+), state \d+, \"(.*)\"$", report, re.MULTILINE)
    return [f"line {line}: {step}" for line, step in steps if step != "-end-"]
