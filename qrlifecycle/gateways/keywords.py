"""Arguments by name: one that a gateway does not take is refused by name, before anything else is.

How a service is reached is passed on from class to class as ``**options``, of which nothing is
checked where it is passed on: a misspelt ``api_key`` would be left out in silence, and the service
be blamed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from functools import wraps
from typing import Any

from ..calling import no_such_argument
from ..errors import WrongAnswer

__all__ = ["check_keywords", "naming_misspelt"]

NOT_NAMED = ("self", "url", "account")
"""What is given by its place, or by a subclass."""


def check_keywords(kind: type, given: Collection[str], known: Collection[str]) -> None:
    """Refuse what is given and not known.

    Args:
        kind: whose constructor it is.
        given: names of arguments.
        known: those that may be given here.

    Raises:
        WrongAnswer: there is such a name; the text has the first, and what may have been meant.
    """
    for word in given:
        if word not in known:
            every = {*known, *_named(kind)}
            raise WrongAnswer(no_such_argument(kind.__name__, word, every))


def naming_misspelt(init: Callable[..., None], options: Collection[str]) -> Callable[..., None]:
    """Make a constructor name what is misspelt before Python names what is missing because of it.

    Args:
        init: the constructor.
        options: what it takes by its ``**options``, if it says that these are all.
    """
    signature = inspect.signature(init)
    own = {one.name for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD}
    rest = [one for one in signature.parameters.values() if one.kind is one.VAR_KEYWORD]
    open_ended = any("Reaching" not in str(one.annotation) for one in rest)
    known = {*own, *(options if rest else ())} - {"self"}

    @wraps(init)
    def naming(self: Any, /, *args: Any, **kwargs: Any) -> None:
        try:
            signature.bind(self, *args, **kwargs)
        except TypeError:
            if not open_ended:
                check_keywords(type(self), kwargs, known)
        init(self, *args, **kwargs)

    return naming


def _named(kind: type) -> Iterator[str]:
    """The arguments that the constructors of a class and of its bases take by name."""
    for one in kind.__mro__:
        if "__init__" in one.__dict__ and one is not object:
            parameters = inspect.signature(one.__dict__["__init__"]).parameters.values()
            named = (p.name for p in parameters if p.kind is not p.VAR_KEYWORD)
            yield from (name for name in named if name not in NOT_NAMED)
