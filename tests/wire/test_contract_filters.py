"""The contract of filters, on scans and on searches: every operator and type, logic, nulls, selectivity."""

from __future__ import annotations

import datetime
import operator

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pytest

ROWS = 400


def column_values(i: int) -> dict:
    """Row i. Every 10th row has nulls in the optional columns."""
    null = i % 10 == 0
    return {
        "i64": i,
        "i32": None if null else i - 200,
        "u8": i % 256,
        "i8": i % 100 - 50,
        "u64": 2**63 + i,
        "f32": i * 0.5,
        "f64": None if null else i / 3,
        "text": None if null else f"name{i:03d}",
        "large": f"L{i % 7}",
        "flag": i % 3 == 0,
        "day": datetime.date(2024, 1, 1) + datetime.timedelta(days=i),
        "ts": datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=i),
    }


SCHEMA = pa.schema(
    [
        ("i64", pa.int64()),
        ("i32", pa.int32()),
        ("u8", pa.uint8()),
        ("i8", pa.int8()),
        ("u64", pa.uint64()),
        ("f32", pa.float32()),
        ("f64", pa.float64()),
        ("text", pa.string()),
        ("large", pa.large_string()),
        ("flag", pa.bool_()),
        ("day", pa.date32()),
        ("ts", pa.timestamp("ns")),
    ]
)


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return [column_values(i) for i in range(ROWS)]


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return np.random.default_rng(11).standard_normal((ROWS, 8)).astype(np.float32)


@pytest.fixture
def filled(client, raw, rows, points) -> str:
    """One dataset for all tests of this file; nobody changes it."""
    if raw.rows("filters") != ROWS:
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        fc.put(
            client,
            "filters",
            fc.vector_table(points, **{name: table[name] for name in SCHEMA.names}),
            max_chunksize=150,
        )
    return "filters"


def leaf(field: str, op: str, value=None, **more) -> dict:
    return {"field": field, "operator": op, **({} if value is None else {"value": value}), **more}


def check(client, name: str, points: np.ndarray, filters: list, expected: set[int]) -> None:
    """Scan and search agree with `expected`, and search returns the nearest of it in order."""
    assert fc.scan_ids(client, name, filters) == sorted(expected)
    query = points[123] + 0.01
    ids = np.array(sorted(expected), dtype=int)
    truth = ids[fc.nearest(points[ids], query, 10)].tolist() if len(ids) else []
    assert [id for id, _ in fc.search(client, name, query, 10, filters=filters)] == truth


COMPARE = {
    "=": operator.eq,
    "==": operator.eq,
    "eq": operator.eq,
    "!=": operator.ne,
    "neq": operator.ne,
    ">": operator.gt,
    "gt": operator.gt,
    ">=": operator.ge,
    "ge": operator.ge,
    "gte": operator.ge,
    "<": operator.lt,
    "lt": operator.lt,
    "<=": operator.le,
    "le": operator.le,
    "lte": operator.le,
    "Eq": operator.eq,
    "EQ": operator.eq,
    "GtE": operator.ge,
}
# column, value on the wire, the same value in Python
VALUES = [
    ("i64", "150", 150),
    ("i32", "-50", -50),
    ("u8", "200", 200),
    ("i8", "-7", -7),
    ("u64", str(2**63 + 100), 2**63 + 100),
    ("f32", "75.5", 75.5),
    ("f64", "33.333", 33.333),
    ("text", "name123", "name123"),
    ("large", "L3", "L3"),
    ("day", "2024-03-01", datetime.date(2024, 3, 1)),
]


@pytest.mark.parametrize("op", COMPARE)
def test_comparisons(client, filled, rows, points, op):
    for field, value, meaning in VALUES:
        expected = {i for i, row in enumerate(rows) if row[field] is not None and COMPARE[op](row[field], meaning)}
        check(client, filled, points, [leaf(field, op, value)], expected)


def test_numbers_may_be_bare_and_op_is_an_alias(client, filled, rows, points):
    expected = {i for i, row in enumerate(rows) if row["f32"] <= 75.5}
    check(client, filled, points, [{"field": "f32", "op": "<=", "value": 75.5}], expected)
    check(client, filled, points, [{"field": "i64", "op": "eq", "value": 7}], {7})


def test_numbers_beyond_the_columns_range_are_compared_as_numbers(client, filled, points):
    everything = set(range(ROWS))
    for field, op, value, expected in [
        ("u8", "<", 300, everything),
        ("u8", ">=", -1, everything),
        ("u8", "=", 300, set()),
        ("i8", ">", 1000, set()),
        ("i64", "<", "9" * 30, everything),
        ("i64", ">", "9" * 30, set()),
    ]:
        check(client, filled, points, [leaf(field, op, value)], expected)


def test_bool_column(client, filled, rows, points):
    for text, meaning in (("true", True), ("false", False)):
        check(
            client,
            filled,
            points,
            [leaf("flag", "=", text)],
            {i for i, row in enumerate(rows) if row["flag"] is meaning},
        )


def test_timestamp_column(client, filled, rows, points):
    limit = datetime.datetime(2024, 1, 5, 12)
    expected = {i for i, row in enumerate(rows) if row["ts"] < limit}
    check(client, filled, points, [leaf("ts", "<", "2024-01-05T12:00:00")], expected)


def test_a_list_is_an_and(client, filled, rows, points):
    filters = [leaf("i64", ">=", 100), leaf("i64", "<", 300), leaf("large", "=", "L2"), leaf("flag", "=", "true")]
    check(client, filled, points, filters, {i for i in range(100, 300) if i % 7 == 2 and i % 3 == 0})
    check(client, filled, points, [], set(range(ROWS)))
    check(client, filled, points, [leaf("i64", "<", 10), leaf("i64", ">", 10)], set())


def test_or_and_not(client, filled, rows, points):
    check(
        client,
        filled,
        points,
        [{"logic": "OR", "filters": [leaf("i64", "<", 5), leaf("text", "=", "name123"), leaf("i64", ">", 397)]}],
        {0, 1, 2, 3, 4, 123, 398, 399},
    )
    check(client, filled, points, [{"logic": "not", "filters": [leaf("i64", ">=", 20)]}], set(range(20)))
    nested = {
        "logic": "OR",
        "filters": [
            {"logic": "AND", "filters": [leaf("i64", ">", 10), leaf("i64", "<", 15)]},
            {"logic": "NOT", "filters": [{"logic": "OR", "filters": [leaf("i64", "<", 390), leaf("i64", "=", 395)]}]},
        ],
    }
    check(client, filled, points, [nested], {11, 12, 13, 14, 390, 391, 392, 393, 394, 396, 397, 398, 399})
    check(client, filled, points, [nested, leaf("i64", "<", 392)], {11, 12, 13, 14, 390, 391})


def test_nulls_never_match(client, filled, rows, points):
    """Not an equality, not an inequality, and not the NOT of either: SQL's three-valued logic."""
    some = {i for i in range(ROWS) if i % 10}
    check(client, filled, points, [leaf("text", "!=", "zzz")], some)
    check(client, filled, points, [{"logic": "NOT", "filters": [leaf("text", "=", "name123")]}], some - {123})
    check(client, filled, points, [{"logic": "OR", "filters": [leaf("f64", "<", 50), leaf("f64", ">=", 50)]}], some)


@pytest.mark.parametrize("field", ["i32", "f64", "text"])
def test_is_null(client, filled, points, field):
    nulls = set(range(0, ROWS, 10))
    check(client, filled, points, [leaf(field, "is null")], nulls)
    check(client, filled, points, [leaf(field, "is not null")], set(range(ROWS)) - nulls)


def test_in_and_between(client, filled, rows, points):
    check(client, filled, points, [leaf("i64", "in", [3, 5, 399, 1000])], {3, 5, 399})
    check(client, filled, points, [leaf("text", "in", ["name003", "name123", "nobody"])], {3, 123})
    check(
        client,
        filled,
        points,
        [leaf("large", "not in", ["L0", "L1", "L2", "L3", "L4", "L5"])],
        {i for i in range(ROWS) if i % 7 == 6},
    )
    check(client, filled, points, [leaf("i64", "between", [10, 12])], {10, 11, 12})
    check(client, filled, points, [leaf("text", "between", ["name011", "name013"])], {11, 12, 13})
    check(client, filled, points, [leaf("day", "between", ["2024-01-02", "2024-01-04"])], {1, 2, 3})


def test_contains_and_prefix(client, filled, rows, points):
    check(client, filled, points, [leaf("text", "contains", "e12")], {i for i in range(120, 130) if i % 10})
    check(client, filled, points, [leaf("text", "prefix", "name39")], {i for i in range(390, 400) if i % 10})
    check(client, filled, points, [leaf("large", "contains", "3")], {i for i in range(ROWS) if i % 7 == 3})


def test_id_column_is_filterable(client, filled, points):
    check(client, filled, points, [leaf("id", "<", 3)], {0, 1, 2})


# --- errors ---


def search_and_scan(raw, points, filters: list):
    return [
        raw.search(dataset="filters", vector=points[0].tolist(), k=3, filters=filters),
        raw.do_get({"name": "filters", "filters": filters}),
    ]


def test_unknown_column(raw, filled, points):
    """The contract's search text stays; its code (INTERNAL) blames the server, so the caller's code is right too."""
    search, scan = search_and_scan(raw, points, [leaf("no_such_column", "=", "1")])
    search.expect({"INVALID_ARGUMENT", "INTERNAL"}, "no_such_column")
    scan.expect("INVALID_ARGUMENT", "no_such_column")


@pytest.mark.parametrize(
    "field, value, text",
    [
        ("i64", "10,20", 'invalid int64 value "10,20" for field i64'),
        ("i64", "abc", 'invalid int64 value "abc" for field i64'),
        ("f32", "x", 'invalid float32 value "x" for field f32'),
        ("day", "yesterday", "for field day"),
    ],
)
def test_unreadable_value(raw, filled, points, field, value, text):
    for answer in search_and_scan(raw, points, [leaf(field, "=", value)]):
        answer.expect({"INVALID_ARGUMENT", "INTERNAL"}, text)


def test_malformed_filters(raw, filled, points):
    broken = [
        leaf("i64", "resembles", 3),
        {"field": "i64"},
        {"operator": "=", "value": 1},
        {"logic": "XOR", "filters": [leaf("i64", "=", 1)]},
        leaf("i64", "between", [1]),
        leaf("i64", "=", True),
        "i64 = 3",
        7,
        [[]],
    ]
    for one in broken:
        for answer in search_and_scan(raw, points, [one]):
            answer.expect({"INVALID_ARGUMENT", "INTERNAL"})
    for filters in ({"field": "i64"}, "i64 = 3", 5):
        for answer in search_and_scan(raw, points, filters):
            answer.expect("INVALID_ARGUMENT")


def test_too_deep_and_too_many(raw, filled, points):
    deep = leaf("i64", "=", 1)
    for _ in range(100):
        deep = {"logic": "AND", "filters": [deep]}
    wide = [leaf("i64", "!=", i) for i in range(20_000)]
    for filters in ([deep], wide):
        for answer in search_and_scan(raw, points, filters):
            answer.expect({"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"})


# --- selectivity ---


def test_filtered_search_is_complete_at_every_selectivity(client, dataset):
    """20,000 rows: never fewer than k when k exist, and the right ones, from half of the rows down to seven of them."""
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((20_000, 24)).astype(np.float32)
    price = rng.permutation(20_000)
    fc.put(client, dataset, fc.vector_table(rows, price=price), max_chunksize=8_000)
    for below in (10_000, 2_000, 200, 20, 7):
        inside = np.flatnonzero(price < below)
        found = wanted = 0
        for query in rng.standard_normal((20, 24)).astype(np.float32):
            hits = fc.search(client, dataset, query, 10, filters=[leaf("price", "<", below)])
            assert len(hits) == min(10, below) and all(price[id] < below for id, _ in hits)
            truth = set(inside[fc.nearest(rows[inside], query, 10)].tolist())
            found += len(truth & {id for id, _ in hits})
            wanted += len(truth)
        assert found / wanted >= 0.98, f"recall {found / wanted} with {below} of 20,000 rows inside"
