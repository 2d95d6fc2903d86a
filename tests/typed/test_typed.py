"""The public API has the types that programs need: what is meant passes, what is not is refused."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import qrlifecycle

from ..patience import PROCESS_HANGS

API = Path(__file__).with_name("api.py")
TOP = Path(__file__).parents[2]


def test_every_public_name_is_used_as_programs_use_it() -> None:
    """None is left to be typed wrongly and noticed by nobody."""
    used = {
        node.attr
        for node in ast.walk(ast.parse(API.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "q"
    }
    assert set(qrlifecycle.__all__) - used == set()


@pytest.mark.slow
@pytest.mark.parametrize("alone", [False, True], ids=["as it is", "without what excuses"])
def test_mypy_agrees(alone: bool, tmp_path: Path) -> None:
    """It finds nothing, and each misuse once nothing excuses it."""
    source = API.read_text()
    misuses = source.count("# type: ignore")
    assert misuses > 5
    if alone:
        source = source.replace("# type: ignore", "# ")
    program = tmp_path / "program.py"
    program.write_text(source)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(program)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=TOP, timeout=PROCESS_HANGS
    )
    found = set(re.findall(r"program\.py:(\d+): error", done.stdout))
    assert len(found) == (misuses if alone else 0), done.stdout


def test_the_version_is_one() -> None:
    """What the package says is what is built, and what the changelog tells of first."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["version"]["path"] == "qrlifecycle/__init__.py"
    assert "version" in project["project"]["dynamic"]
    (newest, *_) = re.findall(
        r"^## (\S+)", (TOP / "docs" / "changelog.md").read_text(), re.MULTILINE
    )
    assert newest == qrlifecycle.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", qrlifecycle.__version__)
