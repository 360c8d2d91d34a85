from __future__ import annotations

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pytest

from longbow import Filter, InvalidRequestError, col
from longbow._filters import filters_to_json


def one(filters: object) -> dict[str, Any]:
    (only,) = filters_to_json(filters)
    return only


@pytest.mark.parametrize(
    ("built", "operator", "value"),
    [
        (col("x") == 3, "=", 3),
        (col("x") != "a", "!=", "a"),
        (col("x") < 1.5, "<", 1.5),
        (col("x") <= -2, "<=", -2),
        (col("x") > decimal.Decimal("1.10"), ">", "1.10"),
        (col("x") >= dt.date(2026, 1, 1), ">=", "2026-01-01"),
        (col("x") == True, "=", "true"),  # noqa: E712
        (col("x") == np.int8(4), "=", 4),
        (col("x") == np.float32(0.5), "=", 0.5),
        (col("x") < np.datetime64("2026-01-02"), "<", "2026-01-02"),
        (col("x") < dt.datetime(2026, 1, 2, 3, 4, 5), "<", "2026-01-02T03:04:05"),
        (
            col("x") < dt.datetime(2026, 1, 2, 3, tzinfo=dt.timezone(dt.timedelta(hours=2))),
            "<",
            "2026-01-02T01:00:00Z",
        ),
        (col("x").isin([1, 2]), "in", [1, 2]),
        (col("x").isin(np.array([1, 2])), "in", [1, 2]),
        (col("x").isin([]), "in", []),
        (col("x").between(dt.date(2025, 1, 1), dt.date(2026, 1, 1)), "between", ["2025-01-01", "2026-01-01"]),
        (col("x").startswith("dj"), "prefix", "dj"),
        (col("x").contains('"}]'), "contains", '"}]'),
    ],
)
def test_comparisons_become_field_operator_value(built: Filter, operator: str, value: object) -> None:
    assert one(built) == {"field": "x", "operator": operator, "value": value}


def test_null_tests_carry_no_value() -> None:
    assert one(col("x").is_null()) == {"field": "x", "operator": "is_null"}
    assert one(col("x").is_not_null()) == {"field": "x", "operator": "is_not_null"}


def test_logic_nests_and_flattens_equal_neighbours() -> None:
    a, b, c = col("a") == 1, col("b") == 2, col("c") == 3
    tree = one((a & b & c) | ~a)
    assert tree["logic"] == "OR"
    assert [part["logic"] for part in tree["filters"]] == ["AND", "NOT"]
    assert [leaf["field"] for leaf in tree["filters"][0]["filters"]] == ["a", "b", "c"]
    assert one(a & (b & c)) == one(a & b & c)


def test_dictionary_forms_are_read_and_their_operators_normalised() -> None:
    given = [
        {"field": "d", "op": "GTE", "value": dt.date(2026, 1, 1)},
        {"logic": "or", "filters": [{"field": "a", "operator": "is null"}, col("b") == 1]},
    ]
    assert filters_to_json(given) == [
        {"field": "d", "operator": ">=", "value": "2026-01-01"},
        {
            "logic": "OR",
            "filters": [{"field": "a", "operator": "is_null"}, {"field": "b", "operator": "=", "value": 1}],
        },
    ]
    assert filters_to_json(None) == []
    assert filters_to_json({"field": "a", "operator": "eq", "value": "x"}) == [
        {"field": "a", "operator": "=", "value": "x"}
    ]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("x > 3", "a filter, a dict or a list"),
        (3, "a filter, a dict or a list"),
        ([3], "dict or built with col"),
        ({"field": "x", "value": 3}, "needs 'field' and 'operator'"),
        ({"field": "x", "operator": "~=", "value": 3}, "unknown filter operator '~='"),
        ({"field": "x", "operator": "="}, "needs a value"),
        ({"field": "x", "operator": "=", "value": None}, "is_null"),
        ({"field": "x", "operator": "=", "valeu": 3}, "unknown filter key 'valeu'"),
        ({"field": "", "operator": "=", "value": 3}, "column name is empty"),
        ({"field": "x", "operator": "in", "value": "abc"}, "list of values"),
        ({"field": "x", "operator": "between", "value": [1]}, "two values"),
        ({"field": "x", "operator": "contains", "value": 3}, "needs text"),
        ({"field": "x", "operator": "=", "value": float("nan")}, "finite"),
        ({"field": "x", "operator": "=", "value": b"x"}, "bytes"),
        ({"logic": "XOR", "filters": [col("a") == 1]}, "AND, OR or NOT"),
        ({"logic": "AND", "filters": []}, "at least one"),
        ({"logic": "NOT", "filters": [col("a") == 1, col("b") == 1]}, "NOT takes one"),
    ],
)
def test_what_is_no_filter_is_refused_with_the_reason(bad: object, words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        filters_to_json(bad)


def test_a_filter_has_no_truth_value_and_joins_only_filters() -> None:
    with pytest.raises(TypeError, match="&"):
        bool(col("a") == 1)
    with pytest.raises(TypeError, match="only be combined"):
        (col("a") == 1) & True  # type: ignore[operator]
    with pytest.raises(InvalidRequestError, match="is_null"):
        col("a") == None  # noqa: B015, E711
