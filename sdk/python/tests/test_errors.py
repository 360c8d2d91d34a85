from __future__ import annotations

import pyarrow as pa
import pytest
from pyarrow import flight

import longbow
from longbow import _errors
from longbow._errors import translate

# Texts as pyarrow 26 gives them for a server that ends a call with each gRPC code.
SEEN = [
    (flight.FlightCancelledError("Flight cancelled call, with message: m"), longbow.CancelledError),
    (flight.FlightServerError("Flight RPC failed with message: m"), longbow.LongbowError),
    (pa.ArrowInvalid("Flight returned invalid argument error, with message: m"), longbow.InvalidRequestError),
    (flight.FlightTimedOutError("Flight returned timeout error, with message: m"), longbow.DeadlineError),
    (pa.ArrowKeyError("Flight returned not found error, with message: m"), longbow.NotFoundError),
    (
        pa.ArrowException("Unknown: Flight returned already exists error, with message: m"),
        longbow.AlreadyExistsError,
    ),
    (
        flight.FlightUnauthorizedError("Flight returned unauthorized error, with message: m"),
        longbow.PermissionDeniedError,
    ),
    (pa.ArrowInvalid("gRPC returned resource exhausted error, with message: m"), longbow.ResourceExhaustedError),
    (pa.ArrowInvalid("gRPC returned precondition failed error, with message: m"), longbow.FailedPreconditionError),
    (flight.FlightInternalError("gRPC returned aborted error, with message: m"), longbow.AbortedError),
    (pa.ArrowInvalid("gRPC returned out-of-range error, with message: m"), longbow.InvalidRequestError),
    (
        pa.ArrowNotImplementedError("Flight returned unimplemented error, with message: m"),
        longbow.UnsupportedError,
    ),
    (flight.FlightInternalError("Flight returned internal error, with message: m"), longbow.InternalError),
    (flight.FlightUnavailableError("Flight returned unavailable error, with message: m"), longbow.UnavailableError),
    (flight.FlightInternalError("gRPC returned data loss error, with message: m"), longbow.DataLossError),
    (
        flight.FlightUnauthenticatedError("Flight returned unauthenticated error, with message: m"),
        longbow.AuthenticationError,
    ),
]


@pytest.mark.parametrize(("raised", "expected"), SEEN, ids=lambda value: getattr(value, "__name__", None))
def test_each_code_has_its_class_and_a_clean_message(raised: Exception, expected: type[longbow.LongbowError]) -> None:
    error = translate(raised)
    assert type(error) is expected
    assert error.message == str(error) == "m"


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (flight.FlightUnavailableError("m"), longbow.UnavailableError),
        (flight.FlightTimedOutError("m"), longbow.DeadlineError),
        (pa.ArrowKeyError("m"), longbow.NotFoundError),
        (pa.ArrowInvalid("m"), longbow.InvalidRequestError),
        (pa.ArrowException("Unknown error: m"), longbow.LongbowError),
    ],
)
def test_without_arrows_words_the_class_decides(raised: Exception, expected: type[longbow.LongbowError]) -> None:
    error = translate(raised)
    assert (type(error), error.message) == (expected, "m")


def test_noise_goes_and_the_servers_punctuation_stays() -> None:
    text = (
        "gRPC returned resource exhausted error, with message: dimension mismatch: got 96, has 128. "
        "gRPC client debug context: RESOURCE_EXHAUSTED:x. Client context: OK"
    )
    assert translate(pa.ArrowInvalid(text)).message == "dimension mismatch: got 96, has 128"
    text = "Flight returned not found error, with message: dataset 'x' not found"
    assert translate(pa.ArrowKeyError(text)).message == "dataset 'x' not found"


@pytest.mark.parametrize(
    ("message", "seconds"), [("full; retry after 250 ms", 0.25), ("retry in 2s", 2.0), ("full", None)]
)
def test_retry_hint(message: str, seconds: float | None) -> None:
    error = translate(pa.ArrowInvalid(f"gRPC returned resource exhausted error, with message: {message}"))
    assert error.retry_after_s == seconds


def test_the_tree_is_one() -> None:
    kinds = [v for v in vars(_errors).values() if isinstance(v, type) and v.__name__.endswith("Error")]
    assert all(issubclass(kind, longbow.LongbowError) for kind in kinds)
    assert {kind.__name__ for kind in kinds} <= set(longbow.__all__)
    own = longbow.NotFoundError("x")
    assert translate(own) is own
    assert issubclass(longbow.InvalidRequestError, ValueError)
    assert issubclass(longbow.DeadlineError, TimeoutError)
