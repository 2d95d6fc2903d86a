"""What a service requires, answered at a terminal: what can go wrong between the two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import anyio
import pytest

from qrlifecycle import ActionRequired
from qrlifecycle.cli.answering import COMPARE, ELSEWHERE, NO_TERMINAL, Answering
from qrlifecycle.cli.plain_view import PlainView
from qrlifecycle.gateways.http import Answer
from qrlifecycle.gateways.replies import CodeCompared, PasskeySigned

from ..patience import HANGS
from .services import Canned, Toy, json_answer

pytestmark = pytest.mark.anyio

FIRST, SECOND = (ActionRequired("compare_code", {"code": code}) for code in ("1-1", "2-2"))


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Both event loops, as they are: lines are read in a thread."""
    assert isinstance(request.param, str)
    return request.param


class View:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        """A line of what happens."""
        self.said.append(line)

    def require(self, action: ActionRequired) -> None:
        """What the service requires."""
        self.said.append(f"{action.action} {action.data.get('code')}")


class Terminal:
    """A terminal, where each line is typed when its turn comes; or what is none."""

    def __init__(self, lines: Iterator[str], *, is_one: bool = True) -> None:
        self.readline: Callable[[], str] = lambda: next(lines, "")
        self.isatty: Callable[[], bool] = lambda: is_one


async def answered(
    monkeypatch: pytest.MonkeyPatch,
    lines: Callable[[Answering], Iterator[str]],
    until: int,
    *answers: Answer,
) -> tuple[Toy, list[str]]:
    """The first code is asked about, until so many lines were said; and what came of it."""
    toy, view = Toy(Canned(*(answers or (json_answer("{}"),)))), View()
    answering = Answering(toy, cast("PlainView", view))
    monkeypatch.setattr("sys.stdin", Terminal(lines(answering)))
    answering.require(FIRST)
    with anyio.fail_after(HANGS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answering.run)
            while len(view.said) + len(toy.replied) < until:  # noqa: ASYNC110 - nobody says it
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    return toy, view.said


async def test_an_answer_that_is_not_taken_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """It came too late, say; the attempt goes on."""
    toy, said = await answered(monkeypatch, lambda _: iter(["y\n"]), 3, json_answer("{}", 422))
    assert said[:2] == ["compare_code 1-1", COMPARE]
    assert said[2].startswith("the answer was not taken: the service answered HTTP 422")
    assert toy.replied == []


async def test_what_was_typed_about_another_code_confirms_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second code came while somebody typed what they saw of the first."""

    def lines(answering: Answering) -> Iterator[str]:
        answering.require(SECOND)
        yield "y\n"
        yield "n\n"

    toy, said = await answered(monkeypatch, lines, 6)
    assert said == ["compare_code 1-1", COMPARE, "compare_code 2-2", COMPARE, COMPARE]
    assert toy.replied == [("compare_code", CodeCompared(same=False))]


async def test_who_has_hung_up_is_asked_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attempt goes on to its end by itself."""
    toy, view = Toy(Canned(json_answer("{}"))), View()
    answering = Answering(toy, cast("PlainView", view))
    monkeypatch.setattr("sys.stdin", Terminal(iter(())))
    answering.require(FIRST)
    with anyio.fail_after(HANGS):
        await answering.run()
    assert toy.replied == []


@pytest.mark.parametrize("stdin", [None, Terminal(iter(["y\n"]), is_one=False)])
async def test_nobody_is_asked_who_is_not_there(
    stdin: Terminal | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file says nothing about a code that nobody had seen."""
    monkeypatch.setattr("sys.stdin", stdin)
    toy, view = Toy(Canned(json_answer("{}"))), View()
    answering = Answering(toy, cast("PlainView", view))
    answering.require(FIRST)
    with anyio.fail_after(HANGS):
        await answering.run()
    assert view.said == ["compare_code 1-1", NO_TERMINAL]
    assert toy.replied == []


class WithPasskeys(Toy):
    """One that takes a passkey's signature."""

    replies = {"passkey": PasskeySigned}  # noqa: RUF012


@pytest.mark.parametrize(
    ("toy", "action", "more"),
    [
        (WithPasskeys, "passkey", [ELSEWHERE["passkey"]]),
        (WithPasskeys, "compare_code", []),
        (Toy, "passkey", []),
        (Toy, "password", []),
    ],
)
async def test_what_cannot_be_answered_here_is_told(
    toy: type[Toy], action: str, more: list[str]
) -> None:
    """And where it can, as far as that is known."""
    view = View()
    Answering(toy(), cast("PlainView", view)).require(ActionRequired(action))
    assert view.said == [f"{action} None", *more]
