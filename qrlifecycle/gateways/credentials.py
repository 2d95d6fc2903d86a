"""Credentials: a text, or an async function that gives a fresh one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable

from ..errors import InvalidValue, QRLifecycleError, ServiceUnavailable, WrongAnswer

__all__ = [
    "Credential",
    "advice_on",
    "check_credential",
    "fresh",
    "trouble_with",
    "variable_of",
]

Credential = str | Callable[[], Awaitable[str]]
"""A key, a token, a password; or an async function that is asked for it with each request and each
opening, for those that run out."""


LAST_IN_A_HEADER = "\xff"
"""Of the characters that HTTP has bytes for (RFC 9110, section 5.5)."""


def check_credential(given: object, name: str, *, in_header: bool = False) -> None:
    """Check what a program gives, before anything is asked for.

    Args:
        given: what it is.
        name: what to call it.
        in_header: whether it is sent in an HTTP header as it is.

    Raises:
        WrongAnswer: neither text nor a function.
        InvalidValue: text that is empty, or has line ends or other control characters, or cannot
            stand in a header if it has to.
    """
    if isinstance(given, str):
        if (trouble := trouble_with(given, in_header=in_header)) is not None:
            raise InvalidValue(f"{name} {trouble}")
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


async def fresh(given: Credential, *, in_header: bool = False) -> str:
    """The credential as it is now.

    Args:
        given: what the program gave.
        in_header: whether it is sent in an HTTP header as it is.

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
    elif failure is None and (trouble := trouble_with(found, in_header=in_header)) is not None:
        failure = WrongAnswer(f"what a credential's function gave back {trouble}")
    if failure is not None:
        raise failure.with_traceback(None)
    assert isinstance(found, str)
    return found


def trouble_with(text: object, *, in_header: bool = False) -> str | None:
    """Why a text cannot be sent as a credential; None if it can."""
    if not isinstance(text, str) or not text:
        return "is empty"
    if not text.isprintable():
        return "has characters that none has: a line end?"
    if in_header and text != text.strip():
        return "begins or ends with a space, which no HTTP header keeps"
    if in_header and max(text) > LAST_IN_A_HEADER:
        return "has characters that no HTTP header can have"
    return None
