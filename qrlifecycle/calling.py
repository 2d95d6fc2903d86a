"""Whether something can be called as it will be, before it is: by the names of its arguments.

A misspelt argument in a `functools.partial` would come to light only when it is called, beside a
socket, and look like a failure of the network.

Nothing is called here. Where a decorator hides what it takes, or there is no signature to be had,
nobody knows, and nothing is refused; of a built-in function nobody asks. No text has the value of
an argument.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping
from functools import lru_cache, partial
from types import FunctionType
from typing import Any

from .errors import InvalidValue
from .spelling import did_you_mean

__all__ = [
    "has_names_only",
    "is_of_the_call",
    "misfit",
    "misspelt_in",
    "no_plain_function",
    "no_such_argument",
    "no_such_call",
    "require_plain_function",
]

SURE = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
"""Kinds of parameters that may be given by name."""


NAMES_ONLY = re.compile(
    r"""[\w.<>]+\(\)\ (
        missing\ \d+\ required\ [a-z-]+\ arguments?:\ ['\w, ]+
        | got\ an\ unexpected\ keyword\ argument\ '\w+'
        | got\ multiple\ values\ for\ argument\ '\w+'
        | takes\ [\w ]+\ positional\ arguments?\ but\ \d+\ (was|were)\ given
    ) | object\ [\w.]+\ can't\ be\ used\ in\ 'await'\ expression
      | '[\w.]+'\ object\ can't\ be\ awaited""",
    re.VERBOSE,
)
"""What Python says of a call that does not fit, or of what cannot be awaited."""


def misfit(function: object, number: int) -> str | None:
    """Why something cannot be called with so many arguments; None if it can, or nobody knows."""
    arguments, keywords = number, dict[str, Any]()
    while isinstance(function, partial):
        arguments += len(function.args)
        keywords = {**function.keywords, **keywords}
        function = function.func
    try:
        if _surely_fits(function, arguments, keywords):
            return None
        kind = isinstance(function, type)
        signature = _of_class(function) if kind else _signature(function)
    except (TypeError, ValueError):
        return None
    name = getattr(function, "__qualname__", type(function).__name__)
    if (misspelt := misspelt_in(name, signature, keywords)) is not None:
        return misspelt
    try:
        signature.bind(*(None for _ in range(arguments)), **keywords)
    except TypeError as error:  # its text has names of arguments only
        return f"{name}: {error}"
    return None


def no_plain_function(function: object, number: int = 1) -> str | None:
    """Why something is no plain function of so many arguments; None if it is, or nobody knows."""
    if not callable(function):
        return f"must be a function, not {type(function).__name__}"
    if inspect.iscoroutinefunction(function):
        return "must be a plain function, not an async one"
    return no_such_call(function, number)


def require_plain_function(name: str, function: object, number: int = 1) -> None:
    """Raise `InvalidValue` for what is no plain function of so many arguments."""
    if (why := no_plain_function(function, number)) is not None:
        raise InvalidValue(f"{name} {why}")


def no_such_call(function: object, number: int) -> str | None:
    """That it cannot be called with so many arguments, and why; None as for `misfit`."""
    if (why := misfit(function, number)) is None:
        return None
    so = {0: "without arguments", 1: "with one argument"}.get(number, f"with {number} arguments")
    return f"cannot be called {so}: {why}"


def misspelt_in(
    name: str, signature: inspect.Signature, keywords: Mapping[str, object]
) -> str | None:
    """The first of these arguments that it does not take by name; None if it takes them all."""
    parameters = signature.parameters.values()
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return None
    named = {one.name for one in parameters if one.kind in SURE} - {"self"}
    wrong = next((word for word in keywords if word not in named), None)
    return None if wrong is None else no_such_argument(name, wrong, named)


def no_such_argument(name: str, word: str, known: Collection[str]) -> str:
    """That it takes no argument of this name, and which one may have been meant."""
    hint = did_you_mean(word, known) or f"; it takes: {', '.join(sorted(known))}"
    return f"{name} takes no argument {word!r}{hint}"


def is_of_the_call(error: TypeError) -> bool:
    """Whether the call itself raised it, rather than what was called."""
    trace = error.__traceback__
    return trace is not None and trace.tb_next is None


def has_names_only(error: BaseException) -> bool:
    """Whether its text is Python's own, of names and no values: that may be logged."""
    return type(error) is TypeError and NAMES_ONLY.fullmatch(str(error)) is not None


def _surely_fits(function: object, arguments: int, keywords: Mapping[str, object]) -> bool:
    """Whether it can be called so, for what is given mostly: to bind a signature takes its time."""
    if isinstance(function, FunctionType):
        code, defaults = function.__code__, function.__defaults__ or ()
        fewest, optional = code.co_argcount - len(defaults), function.__kwdefaults__ or {}
        all_optional = code.co_kwonlyargcount == len(optional)
        return not keywords and all_optional and fewest <= arguments <= code.co_argcount
    if not isinstance(function, type):
        return False
    places, required, named = _names(function)
    given, by_place = keywords.keys(), set(places[:arguments])
    few = arguments <= len(places) and by_place.isdisjoint(given)
    return few and given <= named and required <= by_place | given


def _signature(function: Any) -> inspect.Signature:
    """Its own signature: a decorator of somebody else's may give arguments of its own."""
    if hasattr(function, "__text_signature__"):
        # `inspect` makes a class to parse it with, each time: a circle for the collector.
        raise ValueError("of a built-in function nobody asks")
    return inspect.signature(function, follow_wrapped=False)


@lru_cache(maxsize=64)
def _of_class(kind: Any) -> inspect.Signature:
    """That of a constructor. Our own decorators hand on what they are given."""
    init = getattr(kind, "__init__", None)
    ours = getattr(init, "__globals__", {}).get("__name__", "").startswith(f"{__package__}.")
    return inspect.signature(kind, follow_wrapped=ours)


@lru_cache(maxsize=64)
def _names(kind: Any) -> tuple[tuple[str, ...], frozenset[str], frozenset[str]]:
    """What a constructor may be given by its place, what it must be given, and what by name."""
    every = _of_class(kind).parameters.values()
    parameters = [one for one in every if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    places = tuple(one.name for one in parameters if one.kind is not one.KEYWORD_ONLY)
    required = frozenset(one.name for one in parameters if one.default is one.empty)
    return places, required, frozenset(one.name for one in parameters if one.kind in SURE)
