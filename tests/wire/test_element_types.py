"""Every element type under every metric that makes sense for it: nearest rows as brute force finds them, exactly."""

from __future__ import annotations

from fractions import Fraction

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pytest

FLOATS = ["float16", "bfloat16", "float32", "float64"]
INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
COMPLEX = ["complex64", "complex128"]
METRICS = ["euclidean", "cosine", "dot_product"]
ROWS = 300
DIM = 24


def bfloats(bits: np.ndarray) -> np.ndarray:
    """The values of bfloat16 bits."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def stored_rows(rng: np.random.Generator, element: str, rows: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """(elements as they are put, their values) [rows, dim]."""
    if element == "bfloat16":
        bits = (rng.standard_normal((rows, dim)).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        return bits, bfloats(bits)
    kind = np.dtype(element)
    if kind.kind == "c":
        values = (rng.standard_normal((rows, dim)) + 1j * rng.standard_normal((rows, dim))).astype(kind)
        return np.ascontiguousarray(values).view(f"float{kind.itemsize * 4}"), values
    if kind.kind == "f":
        values = rng.standard_normal((rows, dim)).astype(kind)
    else:
        info = np.iinfo(kind)
        values = rng.integers(info.min, info.max, (rows, dim), kind, endpoint=True)
    return values, values


def table_of(element: str, elements: np.ndarray, metric: str) -> pa.Table:
    table = fc.vector_table(elements, metric=metric)
    marks = {"longbow.vector_type": element, "longbow.complex": "true" if element in COMPLEX else "false"}
    return table.replace_schema_metadata({**table.schema.metadata, **marks})


def exact(values: np.ndarray) -> np.ndarray:
    """The same numbers in a type whose sums do not round where it matters: integers of Python, or long double."""
    if values.dtype.kind in "iu":
        return values.astype(object)
    return values.astype(np.clongdouble if values.dtype.kind == "c" else np.longdouble)


def distances(values: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    """Brute force, smaller is nearer."""
    rows, asked = exact(values), exact(query)
    if metric == "euclidean":
        apart = rows - asked
        return (apart * np.conj(apart)).sum(axis=1).real if apart.dtype != object else (apart * apart).sum(axis=1)
    if rows.dtype == object:
        products = (rows * asked).sum(axis=1)
        norms = np.array([float((row * row).sum()) for row in rows]) ** 0.5 * float((asked * asked).sum()) ** 0.5
    else:
        products = (rows * np.conj(asked)).sum(axis=1).real
        norms = (abs(rows) ** 2).sum(axis=1) ** 0.5 * (abs(asked) ** 2).sum() ** 0.5
    if metric == "dot_product":
        return -products
    cosines = np.array(
        [float(p) / float(n) if n > 0 else 0 for p, n in zip(products, norms, strict=True)], np.longdouble
    )
    return 1 - (cosines if rows.dtype == object else np.where(norms > 0, products / np.maximum(norms, 1e-300), 0))


def assert_nearest(found: list[tuple[int, float]], expected: np.ndarray, count: int) -> None:
    """The first `count` hits are the nearest in order; rows of equal distance may change places."""
    assert len(found) >= count
    nearest = sorted(expected)[:count]
    got = [expected[id] for id, _ in found[:count]]
    assert got == nearest, f"got rows {[id for id, _ in found[:count]]}, nearest are {np.argsort(expected)[:count]}"
    scores = [score for _, score in found]
    assert all(np.isfinite(scores)) and scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("element", FLOATS + INTEGERS + COMPLEX)
def test_neighbours_equal_brute_force(client, dataset, rng, element, metric):
    elements, values = stored_rows(rng, element, ROWS, DIM)
    fc.put(client, dataset, table_of(element, elements, metric))
    asked = bfloats(elements) if element == "bfloat16" else elements
    for i in (0, 17, ROWS - 1):
        found = fc.search(client, dataset, asked[i].tolist(), 5)
        expected = distances(values, values[i], metric)
        if metric != "dot_product":
            assert found[0][0] == i
            assert found[0][1] == pytest.approx(1, abs=1e-6)
        # What float32 sums cannot tell apart, numbers drawn at random do not come near to.
        assert_nearest(found, expected, 2)
    assert fc.action(client, "VectorSearchByID", {"dataset": dataset, "id": "17", "k": 2})
    back = fc.scan(client, dataset).sort_by("id")["vector"].combine_chunks()
    assert np.array_equal(back.values.to_numpy(zero_copy_only=False).reshape(elements.shape), elements)


@pytest.mark.parametrize("element", ["float16", "bfloat16", "float64", "int8", "uint16", "int64", "complex128"])
def test_the_graph_ranks_by_exact_distances_too(client, dataset, rng, element):
    elements, values = stored_rows(rng, element, 4000, 8)
    fc.put(client, dataset, table_of(element, elements, "euclidean"))
    asked = bfloats(elements) if element == "bfloat16" else elements
    for i in (0, 2050, 3999):
        found = fc.search(client, dataset, asked[i].tolist(), 5, ef=1000)
        assert found[0][0] == i
        assert_nearest(found, distances(values, values[i], "euclidean"), 2)


@pytest.mark.parametrize("rows", [ROWS, 3000])
@pytest.mark.parametrize("element", ["float64", "int64", "uint64"])
def test_small_differences_between_large_numbers(client, dataset, rng, element, rows):
    """In float32, or for integers in float64, all of these rows would be one."""
    base = 2**52 if element == "float64" else 2**62 + 1
    offsets = rng.permutation(rows)
    values = np.full((rows, 3), base, element)
    values[:, 1] += offsets.astype(element)
    fc.put(client, dataset, table_of(element, values, "euclidean"))
    for i in (3, rows - 1):
        found = fc.search(client, dataset, values[i].tolist(), 5, ef=500)
        assert found[0] == (i, 1.0)
        assert_nearest(found, distances(values, values[i], "euclidean"), 5)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("element", INTEGERS)
def test_integers_at_the_edges_of_their_range(client, dataset, rng, element, metric):
    info = np.iinfo(element)
    edges = np.array([info.min, info.max, info.min + 1, info.max - 1, 0, 1], element)
    values = edges[rng.integers(0, len(edges), (ROWS, DIM))]
    values[0], values[1] = info.min, info.max
    fc.put(client, dataset, table_of(element, values, metric))
    for i in (0, 1, 2):
        found = fc.search(client, dataset, values[i].tolist(), ROWS)
        assert len(found) == ROWS
        assert all(np.isfinite([score for _, score in found]))
        expected = distances(values, values[i], metric)
        ranked = [expected[id] for id, _ in found]
        if metric == "cosine":
            assert np.all(np.diff(np.array(ranked, np.longdouble)) > -1e-9)
        else:
            # Exact sums, rounded once: what comes later is never nearer, as far as float64 can say.
            as_double = [float(distance) for distance in ranked]
            assert as_double == sorted(as_double)


@pytest.mark.parametrize("element", ["uint8", "int16", "int64"])
def test_queries_between_and_beyond_the_numbers_of_the_rows(client, dataset, rng, element):
    values = rng.integers(0, 100, (ROWS, 4)).astype(element)
    fc.put(client, dataset, table_of(element, values, "euclidean"))
    for query in ([0.5, 20.25, 99.75, 3], [-1, 300, 70_000, -5], [1e30, 0, -1e30, 2]):
        found = fc.search(client, dataset, query, 5)
        expected = [
            float(sum((Fraction(int(v)) - Fraction(q)) ** 2 for v, q in zip(row, query, strict=True))) for row in values
        ]
        ranked = [expected[id] for id, _ in found]
        assert ranked == sorted(expected)[:5]


def test_queries_by_exchange_keep_their_integers(client, raw, dataset):
    values = np.array([[2**60, 0], [2**60 + 1, 0], [2**60 + 3, 0], [2**60 + 100, 0]], np.int64)
    fc.put(client, dataset, table_of("int64", values, "euclidean"))
    for i in range(4):
        query = fc.exchange_query(dataset, values[i], k=[2])
        assert fc.exchange_ids(raw, query) == [i, {0: 1, 1: 0, 2: 1, 3: 2}[i]]


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
@pytest.mark.parametrize("rows", [ROWS, 3000])
def test_packed_bits(client, dataset, rng, metric, rows):
    values = rng.integers(0, 256, (rows, 13), np.uint8) & rng.integers(0, 256, (rows, 13), np.uint8)
    values[5] = 0
    fc.put(client, dataset, table_of("uint8", values, metric))
    bits = np.unpackbits(values, axis=1).astype(bool)
    for i in (0, 5, rows - 1):
        if metric == "hamming":
            expected = (bits ^ bits[i]).sum(axis=1)
            score = 1 / (1 + expected)
        else:
            common, either = (bits & bits[i]).sum(axis=1), (bits | bits[i]).sum(axis=1)
            expected = np.where(either == 0, 0, 1 - common / np.maximum(either, 1))
            score = 1 - expected
        found = fc.search(client, dataset, values[i].tolist(), 10)
        assert found[0] == (i, 1.0)
        assert_nearest(found, expected, 10)
        assert [s for _, s in found] == pytest.approx([score[id] for id, _ in found], abs=1e-6)


def test_bits_are_asked_for_in_bytes(client, raw, dataset):
    for element in ("float32", "int8", "uint16"):
        with pytest.raises(pa.ArrowInvalid, match="longbow.metric=hamming compares packed bits"):
            fc.put(client, dataset + element, table_of(element, np.ones((2, 4), element), "hamming"))
    fc.put(client, dataset, table_of("uint8", np.ones((2, 4), np.uint8), "jaccard"))
    for bad in (0.5, -1, 256, 1e30):
        raw.search(dataset=dataset, vector=[1, 2, 3, bad], k=1).expect("INVALID_ARGUMENT", "whole number from 0 to 255")


@pytest.mark.parametrize("element", ["float16", "float32", "int8", "int64", "complex64"])
def test_zero_vectors_under_cosine_are_at_distance_one(client, dataset, rng, element):
    elements, _ = stored_rows(rng, element, 20, 4)
    elements[3] = 0
    fc.put(client, dataset, table_of(element, elements, "cosine"))
    assert [score for _, score in fc.search(client, dataset, [0] * elements.shape[1], 20)] == [0.0] * 20
    found = dict(fc.search(client, dataset, elements[0].tolist(), 20))
    assert found[3] == 0.0 and len(found) == 20


@pytest.mark.parametrize("element", ["float16", "float32", "float64", "int8", "uint8", "int64"])
@pytest.mark.parametrize("dim", [1, 3, 4096, 65_535])
def test_dimensions(client, dataset, rng, element, dim):
    values = stored_rows(rng, element, 20, dim)[1]
    fc.put(client, dataset, table_of(element, values, "euclidean"))
    found = fc.search(client, dataset, values[7].tolist(), 20)
    assert len(found) == 20
    expected = distances(values, values[7], "euclidean")
    assert expected[found[0][0]] == 0
    assert_nearest(found, expected, 2)


@pytest.mark.parametrize("element", ["float16", "bfloat16", "float32", "float64"])
def test_what_is_no_number_is_refused(client, dataset, element):
    infinite = {"bfloat16": np.uint16(0x7F80)}.get(element, np.inf)
    nan = {"bfloat16": np.uint16(0xFFC1)}.get(element, np.nan)
    for bad in (infinite, nan):
        values = np.ones((5, 3), np.uint16 if element == "bfloat16" else element)
        values[4, 2] = bad
        with pytest.raises(pa.ArrowInvalid, match='column "vector", row 4: element 2'):
            fc.put(client, dataset, table_of(element, values, "euclidean"))
    ones = np.ones((1, 3), np.uint16 if element == "bfloat16" else element)
    fc.put(client, dataset, table_of(element, ones, "euclidean"))
    assert len(fc.search(client, dataset, [1, 1, 1], 5)) == 1


def test_float32_sums_that_overflow_or_vanish_are_ranked_all_the_same(client, dataset):
    for scale in (1e25, 1e-25):
        name = f"{dataset}_{scale}"
        values = (np.array([[1, 0], [2, 0], [3, 0], [-1, 0]]) * scale).astype(np.float32)
        fc.put(client, name, table_of("float32", values, "euclidean"))
        found = fc.search(client, name, values[1].tolist(), 4)
        assert found[0][0] == 1 and {found[1][0], found[2][0]} == {0, 2} and found[3][0] == 3
        fc.put(client, name + "_cos", table_of("float32", values, "cosine"))
        assert [id for id, _ in fc.search(client, name + "_cos", values[1].tolist(), 4)][3] == 3
