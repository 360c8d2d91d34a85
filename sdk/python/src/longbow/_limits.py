"""Checks of plain arguments before anything is sent. The bounds are the server's own."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from ._errors import InvalidRequestError

K_MAX: Final = 100_000
EF_MAX: Final = 1_000_000
RECALL_TARGET_MIN: Final = 0.5  # and below 1
DIMENSION_MAX: Final = 65_536
NAME_MAX_BYTES: Final = 1_024
QUERIES_MAX: Final = 10_000
IDS_MAX: Final = 100_000

RowId = int | str
RowIdLike = RowId | np.integer[Any]


def check_name(name: object, what: str = "dataset") -> str:
    """`name` if it is text of 1 to NAME_MAX_BYTES bytes of UTF-8 without control characters."""
    if not isinstance(name, str):
        raise InvalidRequestError(f"{what} name must be a str, got {type(name).__name__}")
    if not name:
        raise InvalidRequestError(f"{what} name is empty")
    if any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise InvalidRequestError(f"{what} name holds a control character: {name!r}")
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise InvalidRequestError(f"{what} name is not valid Unicode text: {name!r}") from None
    if size > NAME_MAX_BYTES:
        raise InvalidRequestError(f"{what} name is {size} bytes long, at most {NAME_MAX_BYTES} are allowed")
    return name


def check_count(value: object, what: str, maximum: int) -> int:
    """`value` as an int if it is a whole number in 1..maximum; bool is not a number here."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise InvalidRequestError(f"{what} must be an int, got {type(value).__name__}")
    number = int(value)
    if not 1 <= number <= maximum:
        raise InvalidRequestError(f"{what} must be in 1..{maximum}, got {number}")
    return number


def check_timeout(value: object, what: str = "timeout_s") -> float:
    """`value` as a float if it is a positive finite number of seconds."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise InvalidRequestError(f"{what} must be a number of seconds, got {type(value).__name__}")
    seconds = float(value)
    if not math.isfinite(seconds) or seconds <= 0:
        raise InvalidRequestError(f"{what} must be positive and finite, got {seconds:g}")
    return seconds


def check_id(value: object) -> RowId:
    """`value` as a plain int or str."""
    if isinstance(value, str):
        return value
    if not isinstance(value, bool) and isinstance(value, numbers.Integral):
        return int(value)
    raise InvalidRequestError(f"an id is an int or a str, got {type(value).__name__}: {value!r}")


def check_ids(values: Iterable[object]) -> list[RowId]:
    """The ids as a list; a lone id or text is refused, since iterating text would give its letters."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InvalidRequestError(f"ids must be an iterable of ids, got {type(values).__name__}: write [{values!r}]")
    return [check_id(value) for value in values]
