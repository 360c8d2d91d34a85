"""The one exception tree, and the one table that turns what Arrow Flight raises into it."""

from __future__ import annotations

import re
from typing import NamedTuple

import pyarrow as pa
from pyarrow import flight


class LongbowError(Exception):
    """Base of everything this package raises on purpose.

    `message` is the server's (or our) sentence without transport noise; `code` is the gRPC status name;
    `retry_after_s` is the server's hint when it gave one.
    """

    code = "UNKNOWN"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s


class InvalidRequestError(LongbowError, ValueError):
    """The request is wrong in any state: fix it, don't repeat it. Raised before the network where we can tell."""

    code = "INVALID_ARGUMENT"


class NotFoundError(LongbowError):
    """The named dataset, row or namespace does not exist."""

    code = "NOT_FOUND"


class AlreadyExistsError(LongbowError):
    """What was to be created exists already."""

    code = "ALREADY_EXISTS"


class FailedPreconditionError(LongbowError):
    """A right request in the wrong state: change the state first."""

    code = "FAILED_PRECONDITION"


class ResourceExhaustedError(LongbowError):
    """A limit was reached and nothing was changed: wait (`retry_after_s`, if known) or send less."""

    code = "RESOURCE_EXHAUSTED"


class UnavailableError(LongbowError):
    """No server there, or one that is starting or stopping. Safe to repeat what is idempotent."""

    code = "UNAVAILABLE"


class DeadlineError(LongbowError, TimeoutError):
    """The time given ran out; a write may or may not have happened."""

    code = "DEADLINE_EXCEEDED"


class CancelledError(LongbowError):
    """The call was cancelled before it ended."""

    code = "CANCELLED"


class AbortedError(LongbowError):
    """Lost against a concurrent change: repeat the whole step."""

    code = "ABORTED"


class AuthenticationError(LongbowError):
    """No credentials, or wrong ones."""

    code = "UNAUTHENTICATED"


class PermissionDeniedError(LongbowError):
    """The server knows who is asking and says no."""

    code = "PERMISSION_DENIED"


class UnsupportedError(LongbowError):
    """This server does not offer the call."""

    code = "UNIMPLEMENTED"


class DataLossError(LongbowError):
    """Stored bytes are damaged; the message says which and what to do. Don't repeat."""

    code = "DATA_LOSS"


class InternalError(LongbowError):
    """The server's fault: a bug worth reporting."""

    code = "INTERNAL"


# The words by which Arrow's client names a gRPC code in its text. Several codes share one Python class there
# (INVALID_ARGUMENT, RESOURCE_EXHAUSTED and FAILED_PRECONDITION are all ArrowInvalid), so the words decide first.
_BY_WORDS: dict[str, type[LongbowError]] = {
    "aborted": AbortedError,
    "already exists": AlreadyExistsError,
    "cancelled": CancelledError,
    "data loss": DataLossError,
    "internal": InternalError,
    "invalid argument": InvalidRequestError,
    "not found": NotFoundError,
    "out-of-range": InvalidRequestError,
    "precondition failed": FailedPreconditionError,
    "resource exhausted": ResourceExhaustedError,
    "timeout": DeadlineError,
    "unauthenticated": AuthenticationError,
    "unauthorized": PermissionDeniedError,
    "unavailable": UnavailableError,
    "unimplemented": UnsupportedError,
}

# Where the words are absent, the class decides; order matters, subclasses first.
_BY_CLASS: tuple[tuple[type[BaseException], type[LongbowError]], ...] = (
    (flight.FlightUnavailableError, UnavailableError),
    (flight.FlightTimedOutError, DeadlineError),
    (flight.FlightCancelledError, CancelledError),
    (flight.FlightUnauthenticatedError, AuthenticationError),
    (flight.FlightUnauthorizedError, PermissionDeniedError),
    (flight.FlightInternalError, InternalError),
    (pa.ArrowCancelled, CancelledError),
    (pa.ArrowKeyError, NotFoundError),
    (pa.ArrowNotImplementedError, UnsupportedError),
    (pa.ArrowMemoryError, ResourceExhaustedError),
    (pa.ArrowInvalid, InvalidRequestError),
)

_PREFIX = re.compile(
    r"^(?:[A-Z][\w ]*: )?(?:Flight|gRPC) (?:returned )?(?P<words>[\w -]+?) (?:error|call), with message: ", re.ASCII
)
_PLAIN_PREFIX = re.compile(r"^(?:Flight RPC failed with message: |Unknown error: )")
_SUFFIX = re.compile(r"\.? ?(?:gRPC client debug context: |Client context: |Detail: ).*\Z", re.DOTALL)
_RETRY_AFTER = re.compile(r"retry (?:after|in) (?P<amount>\d+(?:\.\d+)?) ?(?P<unit>ms|s)\b", re.IGNORECASE)


class _Parsed(NamedTuple):
    words: str | None
    message: str


def _parse(text: str) -> _Parsed:
    found = _PREFIX.match(text)
    words = found["words"] if found else None
    rest = text[found.end() :] if found else _PLAIN_PREFIX.sub("", text)
    return _Parsed(words, _SUFFIX.sub("", rest).strip())


def _retry_after_s(message: str) -> float | None:
    found = _RETRY_AFTER.search(message)
    if found is None:
        return None
    return float(found["amount"]) / (1000.0 if found["unit"].lower() == "ms" else 1.0)


def translate(error: BaseException) -> LongbowError:
    """The exception of our tree for one raised by pyarrow; ours pass through unchanged. Never raises."""
    if isinstance(error, LongbowError):
        return error
    # KeyError's str() is the repr of its argument; the argument itself is the text.
    text = str(error.args[0]) if error.args else str(error)
    words, message = _parse(text)
    kind = _BY_WORDS.get(words) if words else None
    if kind is None:
        kind = next((ours for theirs, ours in _BY_CLASS if isinstance(error, theirs)), LongbowError)
    return kind(message or type(error).__name__, retry_after_s=_retry_after_s(message))
