"""Filters as a tree: built with `col("x") > 3`, or read from the dictionaries of the wire contract.

Wire form (JSON):
    filter     = comparison | logic
    comparison = {"field": name, "operator": op, "value": value}      ; no "value" for is_null and is_not_null
    logic      = {"logic": "AND" | "OR" | "NOT", "filters": [filter, ...]}
A list of filters means AND. Values travel as JSON text or number; dates and times as ISO 8601 text.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np

from ._errors import InvalidRequestError
from ._limits import check_name

Json = dict[str, Any]
Scalar = str | int | float | bool | dt.date | dt.datetime | decimal.Decimal | np.generic

# Every spelling that is understood -> the one that is sent.
_OPERATORS: Final[dict[str, str]] = {
    **dict.fromkeys(("=", "==", "eq"), "="),
    **dict.fromkeys(("!=", "neq", "ne", "<>"), "!="),
    **dict.fromkeys((">", "gt"), ">"),
    **dict.fromkeys((">=", "ge", "gte"), ">="),
    **dict.fromkeys(("<", "lt"), "<"),
    **dict.fromkeys(("<=", "le", "lte"), "<="),
    "in": "in",
    **dict.fromkeys(("not in", "not_in", "nin"), "not_in"),
    "between": "between",
    "contains": "contains",
    **dict.fromkeys(("prefix", "startswith", "starts_with"), "prefix"),
    **dict.fromkeys(("is null", "is_null"), "is_null"),
    **dict.fromkeys(("is not null", "is_not_null"), "is_not_null"),
}
_NO_VALUE: Final = frozenset({"is_null", "is_not_null"})
_MANY_VALUES: Final = frozenset({"in", "not_in", "between"})
_TEXT_ONLY: Final = frozenset({"contains", "prefix"})


class Filter:
    """A condition on rows. Combine with `&`, `|`, `~`; immutable. A comparison with null never passes."""

    __slots__ = ()

    def to_json(self) -> Json:
        """The filter in the wire form described at the top of this file."""
        raise NotImplementedError

    def __and__(self, other: Filter) -> Filter:
        return _joined("AND", self, other)

    def __or__(self, other: Filter) -> Filter:
        return _joined("OR", self, other)

    def __invert__(self) -> Filter:
        return Logic("NOT", (self,))

    def __bool__(self) -> NoReturn:
        raise TypeError("a filter has no truth value: combine filters with &, | and ~, in parentheses")


@dataclass(frozen=True, slots=True)
class Comparison(Filter):
    """One column against one value (`in`, `not_in`: any number; `between`: two; `is_null`: none)."""

    field: str
    operator: str
    value: Any = None

    def to_json(self) -> Json:
        """See Filter."""
        if self.operator in _NO_VALUE:
            return {"field": self.field, "operator": self.operator}
        return {"field": self.field, "operator": self.operator, "value": self.value}


@dataclass(frozen=True, slots=True)
class Logic(Filter):
    """AND, OR over any number of filters, NOT over one."""

    logic: str
    filters: tuple[Filter, ...]

    def to_json(self) -> Json:
        """See Filter."""
        return {"logic": self.logic, "filters": [child.to_json() for child in self.filters]}


def _joined(logic: str, left: object, right: object) -> Filter:
    children: list[Filter] = []
    for side in (left, right):
        if not isinstance(side, Filter):
            raise TypeError(f"a filter can only be combined with a filter, got {type(side).__name__}")
        # a & b & c becomes one AND of three: flat trees are cheaper to read and to run.
        children.extend(side.filters if isinstance(side, Logic) and side.logic == logic else (side,))
    return Logic(logic, tuple(children))


class Column:
    """A column by name, to be compared: `col("rank") <= 100`, `col("name").startswith("django")`."""

    __slots__ = ("_name",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self._name = check_name(name, "column")

    def __repr__(self) -> str:
        return f"col({self._name!r})"

    def _compare(self, operator: str, value: object) -> Filter:
        return _comparison(self._name, operator, value)

    def __eq__(self, value: object) -> Filter:  # type: ignore[override]
        return self._compare("=", value)

    def __ne__(self, value: object) -> Filter:  # type: ignore[override]
        return self._compare("!=", value)

    def __lt__(self, value: Scalar) -> Filter:
        return self._compare("<", value)

    def __le__(self, value: Scalar) -> Filter:
        return self._compare("<=", value)

    def __gt__(self, value: Scalar) -> Filter:
        return self._compare(">", value)

    def __ge__(self, value: Scalar) -> Filter:
        return self._compare(">=", value)

    def isin(self, values: Iterable[Scalar]) -> Filter:
        """Equal to one of `values`; none of them passes nothing."""
        return self._compare("in", values)

    def between(self, low: Scalar, high: Scalar) -> Filter:
        """From `low` to `high`, both included."""
        return self._compare("between", (low, high))

    def is_null(self) -> Filter:
        """Without a value."""
        return Comparison(self._name, "is_null")

    def is_not_null(self) -> Filter:
        """With a value."""
        return Comparison(self._name, "is_not_null")

    def startswith(self, prefix: str) -> Filter:
        """Text that begins with `prefix`."""
        return self._compare("prefix", prefix)

    def contains(self, part: str) -> Filter:
        """Text that holds `part` anywhere."""
        return self._compare("contains", part)


def col(name: str) -> Column:
    """The column called `name`, to build a filter with."""
    return Column(name)


FilterLike = Filter | Mapping[str, Any] | Sequence[Filter | Mapping[str, Any]]


def filters_to_json(filters: object) -> list[Json]:
    """The list that goes into a ticket, for a FilterLike or None. Anything else: InvalidRequestError."""
    if filters is None:
        return []
    if isinstance(filters, (Filter, Mapping)):
        parts: Sequence[object] = [filters]
    elif isinstance(filters, Sequence) and not isinstance(filters, (str, bytes)):
        parts = filters
    else:
        raise InvalidRequestError(f"filters must be a filter, a dict or a list of those, got {type(filters).__name__}")
    return [_read(part).to_json() for part in parts]


def _read(part: object) -> Filter:
    """A Filter from a Filter or from the dictionary form."""
    if isinstance(part, Filter):
        return part
    if not isinstance(part, Mapping):
        raise InvalidRequestError(f"a filter is a dict or built with col(), got {type(part).__name__}")
    if "logic" in part:
        return _read_logic(part)
    known = {"field", "operator", "op", "value"}
    if unknown := sorted(str(key) for key in part if key not in known):
        raise InvalidRequestError(f"unknown filter key {unknown[0]!r}; a filter has field, operator and value")
    if "field" not in part or not ("operator" in part or "op" in part):
        raise InvalidRequestError(f"a filter needs 'field' and 'operator', got {sorted(map(str, part))}")
    spelling = part.get("operator", part.get("op"))
    operator = _OPERATORS.get(str(spelling).strip().lower())
    if operator is None:
        raise InvalidRequestError(f"unknown filter operator {spelling!r}; known: {', '.join(sorted(_OPERATORS))}")
    field = check_name(part["field"], "column")
    if operator in _NO_VALUE:
        return Comparison(field, operator)
    if "value" not in part:
        raise InvalidRequestError(f"filter on {field!r}: operator {operator!r} needs a value")
    return _comparison(field, operator, part["value"])


def _read_logic(part: Mapping[str, Any]) -> Filter:
    logic = str(part["logic"]).upper()
    children = part.get("filters")
    if logic not in ("AND", "OR", "NOT"):
        raise InvalidRequestError(f"filter logic is AND, OR or NOT, got {part['logic']!r}")
    if not isinstance(children, Sequence) or isinstance(children, (str, bytes)) or not children:
        raise InvalidRequestError(f"{logic} needs a list 'filters' with at least one filter")
    if logic == "NOT" and len(children) != 1:
        raise InvalidRequestError(f"NOT takes one filter, got {len(children)}")
    return Logic(logic, tuple(_read(child) for child in children))


def _comparison(field: str, operator: str, value: object) -> Filter:
    if operator in _MANY_VALUES:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise InvalidRequestError(f"filter on {field!r}: {operator!r} needs a list of values")
        values = [_wire_value(field, item) for item in value]
        if operator == "between" and len(values) != 2:
            raise InvalidRequestError(f"filter on {field!r}: 'between' takes two values, got {len(values)}")
        return Comparison(field, operator, values)
    if operator in _TEXT_ONLY and not isinstance(value, str):
        raise InvalidRequestError(f"filter on {field!r}: {operator!r} needs text, got {type(value).__name__}")
    return Comparison(field, operator, _wire_value(field, value))


def _wire_value(field: str, value: object) -> str | int | float:
    """The JSON form of one value: number, or text the server reads by the column's type."""
    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value))
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        raise InvalidRequestError(f"filter on {field!r}: null equals nothing, use is_null() or is_not_null()")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidRequestError(f"filter on {field!r}: value must be finite, got {value}")
        return value
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, dt.datetime):
        # One zone on the wire: aware times are sent in UTC, naive ones as they are.
        return (value.astimezone(dt.UTC) if value.tzinfo else value).isoformat().replace("+00:00", "Z")
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    raise InvalidRequestError(f"filter on {field!r}: cannot compare with a {type(value).__name__}")
