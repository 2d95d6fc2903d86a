"""The examples in `qrlifecycle pair NAME --help`: each is run as a shell would run it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest

from qrlifecycle.cli import main
from qrlifecycle.cli.gateways import EXAMPLE, GATEWAYS
from qrlifecycle.gateways.credentials import variable_of

from .test_demo_serve import served

NAMES = [
    name if name == "device-flow" else pytest.param(name, marks=pytest.mark.slow)
    for name in GATEWAYS
]


def examples_of(name: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of the help, each as one that ends where a command ends."""
    assert main(["pair", name, "--help"]) == 0
    text = capsys.readouterr().out
    found = text.partition("examples:\n")[2].partition("\n\n")[0]
    return found.replace("\\\n", "").splitlines()


@pytest.mark.parametrize("name", GATEWAYS)
def test_the_help_of_each_gateway_ends_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """They fit into 80 columns, and each secret is one that the gateway takes."""
    assert main(["pair", name, "--help"]) == 0
    examples = capsys.readouterr().out.partition("examples:\n")[2]
    assert max(map(len, examples.splitlines())) <= 80
    entry = GATEWAYS[name]
    assert len(entry.examples) >= 2
    assert entry.exports in {"", *(secret.name for secret in entry.secrets)}
    assert f"qrlifecycle pair {name} {EXAMPLE} " in examples


@pytest.mark.parametrize("name", NAMES)
def test_each_example_of_the_help_pairs(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the service and its secret in place of those that it names."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    lines = examples_of(name, capsys)
    tried = 0
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:2] == ["qrlifecycle", "pair"]:
            with monkeypatch.context() as here, served(name, scan_after=0.0) as emulator:
                give_secrets(name, emulator.arguments(), words, here)
                at_home = [emulator.url if word == EXAMPLE else word for word in words]
                assert main([*at_home[1:], "--plain"]) == 0, line
            tried += 1
        elif words[0] == "export":
            assert words[1:] == [f"{variable_of(GATEWAYS[name].exports)}=..."]
        elif "--serve" not in words:  # which is tried by itself
            assert main([*words[1:], "--scan-after", "0", "--plain"]) == 0
    assert tried == len(GATEWAYS[name].examples) == len(lines) - 2 - bool(GATEWAYS[name].exports)


def give_secrets(
    name: str, given: Mapping[str, object], words: list[str], here: pytest.MonkeyPatch
) -> None:
    """Have the service's secret in the file that a command names, or else in the environment."""
    if not (exported := GATEWAYS[name].exports):
        return
    secret = str(given[exported.replace("-", "_")])
    if (option := f"--{exported}-file") in words:
        Path(words[words.index(option) + 1]).write_text(f"{secret}\n")
    else:
        here.setenv(variable_of(exported), secret)
