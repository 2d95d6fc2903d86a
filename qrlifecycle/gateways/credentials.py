"""Credentials: a text, or an async function that gives a fresh one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable

from ..errors import InvalidValue, QRLifecycleError, ServiceUnavailable, WrongAnswer

__all__ = ["Credential", "advice_on", "check_credential", "fresh", "variable_of"]

Credential = str | Callable[[], Awaitable[str]]
"""A key, a token, a password; or an async function that is asked for it with each request and each
opening, for those that run out."""


def check_credential(given: object, name: str) -> None:
    """Check what a program gives, before anything is asked for.

    Raises:
        WrongAnswer: neither text nor a function.
        InvalidValue: text that is empty, or has line ends or other control characters.
    """
    if isinstance(given, str):
        if not _can_be_sent(given):
            raise InvalidValue(f"{name} is empty, or has characters that none has: a line end?")
    elif not callable(given):
        kind = type(given).__name__
        raise WrongAnswer(f"{name} must be text, or an async function that gives it, not {kind}")


def variable_of(name: str) -> str:
    """What a gateway's argument is called in the environment."""
    return f"QRLIFECYCLE_{name.replace('-', '_').upper()}"


def advice_on(name: str, given: object) -> str:
    """What to do about a credential that a service does not accept.

    Args:
        name: what the gateway's argument is called.
        given: the argument; None if there is none.
    """
    if given is None:
        where = f"on the command line, {variable_of(name)} in the environment"
        return f"no {name} was given; give {name}= ({where})"
    return f"the {name} is not accepted, or may not do this"


async def fresh(given: Credential) -> str:
    """The credential as it is now.

    Raises:
        ServiceUnavailable: the program's function raised; it is asked again with the next request.
        WrongAnswer: it gave back something else than text that can be sent.
    """
    if isinstance(given, str):
        return given
    failure: QRLifecycleError | None = None
    found: object = None
    try:
        asked: object = given()
        found = await asked if isawaitable(asked) else None
    except QRLifecycleError as error:
        failure = error
    except Exception as error:
        failure = ServiceUnavailable(f"the credential's function raised {type(error).__name__}")
    if failure is None and not isinstance(found, str):
        failure = WrongAnswer("a credential's function must be async, and give back text")
    elif failure is None and not _can_be_sent(found):
        failure = WrongAnswer("a credential's function gave back text that cannot be sent")
    if failure is not None:
        raise failure.with_traceback(None)
    assert isinstance(found, str)
    return found


def _can_be_sent(text: object) -> bool:
    return isinstance(text, str) and text != "" and text.isprintable()
