"""Asking the service for a code, and again while it does not answer."""

from __future__ import annotations

from inspect import isawaitable

from ..codes import PairingCode, QRCode
from ..errors import InvalidValue, PeerError, ServiceUnavailable, WrongAnswer
from ..logs import logger, warn_once
from ..policy import Policy
from ..signals import Paired
from ..waiting import sleep_for
from .backoff import Backoff
from .service import QRRequest
from .user_code import describe, fault_of, place_of

__all__ = ["Request"]


class Request:
    """One code that is asked for.

    Args:
        request_qr: asks the service once.
        policy: the delays before it is asked again, and for how long, which is for the log.
    """

    __slots__ = ("_backoff", "_limit", "_request_qr", "unavailable")

    def __init__(self, request_qr: QRRequest, policy: Policy) -> None:
        self._request_qr = request_qr
        self._limit = policy.generate_timeout
        self._backoff = Backoff(policy.generate_retry_delay, policy.generate_retry_delay_max)
        self.unavailable: ServiceUnavailable | None = None
        """Why there is no answer yet: when time runs out, that is why."""

    async def ask(self) -> QRCode | PairingCode | Paired | Exception:
        """Ask until there is an answer: a code, that the account is paired, or what was raised.

        Raises:
            WrongAnswer: `request_qr` is no async function, or gave back something else.
        """
        logger.debug("awaiting request_qr, for %g s at most", self._limit)
        while True:
            try:
                asked: object = self._request_qr()
                answer: object = await asked if isawaitable(asked) else asked
                break
            except BaseException as error:
                fault = fault_of(error)
            try:
                if isinstance(fault, InvalidValue):
                    # Made of what the service sent, so it is no mistake of the program's.
                    text = f"what the service answered cannot be used: {fault}{place_of(fault)}"
                    return PeerError(text)
                if not isinstance(fault, ServiceUnavailable):
                    if not isinstance(fault, PeerError):
                        warn_once("request_qr raised %s", describe(fault))
                    return fault
                self.unavailable = fault.with_traceback(None)
                delay = self._backoff.next(fault.retry_after)
                text = str(fault) or "the service is unavailable"
            finally:
                del fault  # see `reraise`
            warn_once("%s; asking for a code again, for %g s at most", text, self._limit)
            logger.debug("asking for a code again in %.1f s", delay)
            await sleep_for(delay)
        kind = type(answer).__name__
        if answer is asked:
            raise WrongAnswer(f"request_qr must be an async function; it gave back {kind}")
        if not isinstance(answer, QRCode | PairingCode | Paired):
            raise WrongAnswer(f"request_qr gave back {kind}; give back a code or Paired")
        return answer
