"""Every error that vitan raises on purpose.

    VitanError                  exit code 1
    ├── UsageError              exit code 2: what was asked for cannot be done
    │   ├── UnknownNameError    no model, analysis, dataset ... of that name
    │   ├── NameConflictError   two plugins offer that name
    │   ├── OptionError         a value out of its range
    │   ├── PlanError           a plan file that does not fit its schema
    │   ├── MismatchError       model, analysis and dataset do not go together
    │   └── KeptError           results that are there hold more, and would be replaced
    ├── PluginError             a plugin that does not keep its contract
    ├── OutOfMemoryError        memory that is not enough, of a device or of the machine
    ├── LostError               workers that ended, one after the other, at the same work
    ├── DataError               a dataset that is not as expected
    │   └── ImageError          one image that cannot be read
    ├── WeightsError            weights that cannot be had or do not fit
    │   ├── WeightsUnavailableError   no file, and no way to fetch it
    │   │   └── UnreachableError      no connection to where it is
    │   ├── WeightsFormatError        a file that is no checkpoint
    │   └── WeightsMismatchError      a checkpoint of something else
    ├── RecordingError          an activation that could not be read faithfully
    └── StoreError              stored state that is damaged or of another run

A message says what is wrong, with which value, and what to do next.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

#: Besides control characters: what turns the direction of text, so that a name looks like another one.
_TURNS_TEXT = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str) -> str:
    """Text that can be shown in a terminal: what would command it, or turn other text around, is written out.

    Names of files and what files hold come from anywhere; line ends and tabs stay.
    """
    return "".join(ascii(letter)[1:-1] if _is_command(letter) else letter for letter in text)


def _is_command(letter: str) -> bool:
    return letter in _TURNS_TEXT or (unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") and letter not in "\n\t")


def text_of(error: BaseException) -> str:
    """What kind of error it is and what it says, on one line, even where it fails to say anything."""
    try:
        said = str(error)
    except Exception as another:  # a plugin's own error may be broken as well
        said = f"(its text cannot be made: {type(another).__name__})"
    return " ".join(f"{type(error).__name__}: {said}".split())


class VitanError(Exception):
    """Base of all errors a user can cause; anything else is a bug and keeps its traceback.

    ``details`` is the traceback as text, where the frames themselves were let go.
    """

    exit_code = 1
    details = ""

    def __str__(self) -> str:
        """The message, fit for a terminal."""
        return printable(super().__str__())

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors come back from other processes as they are: by their message, however they were made."""
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(kind: type[VitanError], args: tuple[Any, ...], state: dict[str, Any]) -> VitanError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class UsageError(VitanError):
    """What was asked for cannot be done as asked."""

    exit_code = 2


class UnknownNameError(UsageError):
    """Nothing of that name is installed."""

    def __init__(self, kind: str, name: str, close: Sequence[str] = (), also: str = "") -> None:
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        plural = "analyses" if kind == "analysis" else f"{kind}s"
        super().__init__(f"no {kind} is called {name!r}.{hint} 'vitan list {plural}' shows them all.{also}")
        self.kind, self.name, self.close = kind, name, tuple(close)


class NameConflictError(UsageError):
    """Two plugins offer the name that was used."""

    def __init__(self, kind: str, name: str, providers: Sequence[str]) -> None:
        choices = " or ".join(f"{provider.split()[0]}:{name}" for provider in providers)
        super().__init__(f"{kind} {name!r} is offered by {' and by '.join(providers)}. Choose one: {choices}.")


class OptionError(UsageError):
    """An option's value is out of its range."""


class PlanError(UsageError):
    """A plan does not fit its schema."""


class MismatchError(UsageError):
    """Model, analysis and dataset do not go together."""


class KeptError(UsageError):
    """Results that are there hold more than what would replace them; they are kept."""


class PluginError(VitanError):
    """A plugin does not keep its contract."""


class OutOfMemoryError(VitanError):
    """The memory of a device, or of the machine, is not enough."""


class LostError(VitanError):
    """Workers ended while they were at something, one after the other, and it was given up."""


class DataError(VitanError):
    """A dataset is not as expected."""


class ImageError(DataError):
    """One image cannot be read; the message names the file."""


class WeightsError(VitanError):
    """Weights cannot be had or do not fit."""


class WeightsUnavailableError(WeightsError):
    """There is no file, and no way to fetch it now."""


class UnreachableError(WeightsUnavailableError):
    """There is no connection to where the file is."""


class WeightsFormatError(WeightsError):
    """The file is not a checkpoint in a known format."""


class WeightsMismatchError(WeightsError):
    """The checkpoint belongs to something else."""


class RecordingError(VitanError):
    """An activation could not be read faithfully."""


class StoreError(VitanError):
    """Stored state is damaged, or belongs to another run."""


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Put in front of the message of an error that is raised inside what it is about, unless it says so itself."""
    try:
        yield
    except VitanError as error:
        if printable(what) not in str(error):
            error.args = (f"{what}: {error}",)
        raise
