"""What all jobs of `qrlifecycle verify` share: an error of the job itself becomes a result, too."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from ...errors import UnsupportedBackend
from ...testing.wording import innermost
from .factories import error_with_place

__all__ = ["Work"]

Result_co = TypeVar("Result_co", covariant=True)


class Work(ABC, Generic[Result_co]):
    """A job; see `workers.Job`."""

    def __call__(self, report: Callable[[str], object]) -> Result_co:
        """Do it."""
        try:
            return self.work(report)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            errors = [*innermost(error)]
            if all(isinstance(inner, UnsupportedBackend) for inner in errors):
                return self.skipped(str(errors[0]))
            return self.undone(error_with_place(error))

    @abstractmethod
    def work(self, report: Callable[[str], object]) -> Result_co:
        """Do it, and raise what goes wrong."""
        raise NotImplementedError

    @abstractmethod
    def undone(self, why: str) -> Result_co:
        """The result if it could not be done to its end."""
        raise NotImplementedError

    @abstractmethod
    def skipped(self, why: str) -> Result_co:
        """The result if it cannot be done here."""
        raise NotImplementedError
