from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from longbow import InvalidRequestError
from longbow._rows import BATCH_BYTES, row_stream

F32 = pa.float32()


def table(data: object, **options: Any) -> pa.Table:
    stream = row_stream(data, **options)
    assert stream is not None
    return pa.Table.from_batches(stream.batches, schema=stream.schema)


MATRIX = np.arange(6, dtype=np.float32).reshape(3, 2)
EXPECTED = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "vector": pa.array(MATRIX.tolist(), pa.list_(F32, 2)),
        "name": pa.array(["a", None, "c"], pa.string()),
    }
)
COLUMNS = {"id": [1, 2, 3], "vector": MATRIX.tolist(), "name": ["a", None, "c"]}
ROWS = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]


@pytest.mark.parametrize(
    "data",
    [
        ROWS,
        [{k: v for k, v in row.items() if v is not None} for row in ROWS],
        COLUMNS,
        {**COLUMNS, "vector": MATRIX},
        {**COLUMNS, "vector": MATRIX.astype(np.float64)},
        {**COLUMNS, "vector": MATRIX.astype(np.float16)},
        {**COLUMNS, "vector": MATRIX.astype(np.int64)},
        {**COLUMNS, "vector": list(MATRIX)},
        {**COLUMNS, "vector": pa.array(MATRIX.tolist(), pa.list_(pa.float64()))},
        {**COLUMNS, "vector": pa.array(MATRIX.tolist(), pa.large_list(F32))},
        {**COLUMNS, "id": np.array([1, 2, 3], np.int64), "name": pa.array(["a", None, "c"]).dictionary_encode()},
        EXPECTED,
        EXPECTED.to_batches()[0],
        EXPECTED.to_reader(),
        EXPECTED.cast(
            pa.schema([("id", pa.int16()), ("vector", pa.list_(F32)), ("name", pa.large_string())])
        ).to_reader(),
        pd.DataFrame(COLUMNS),
        pd.DataFrame({**COLUMNS, "vector": list(MATRIX)}, index=[7, 8, 9]),
        pl.DataFrame(COLUMNS),
        pl.DataFrame({**COLUMNS, "vector": MATRIX}),
        pa.concat_tables([EXPECTED.slice(0, 1), EXPECTED.slice(1)]),
    ],
    ids=lambda data: type(data).__name__,
)
def test_every_source_gives_the_same_rows(data: object) -> None:
    got = table(data)
    assert got.schema.equals(EXPECTED.schema, check_metadata=True), got.schema
    assert got.equals(EXPECTED)
    got.validate(full=True)


def test_numpy_array_with_and_without_ids() -> None:
    assert table(MATRIX, ids=[1, 2, 3]).equals(EXPECTED.select(["id", "vector"]))
    assert table(MATRIX, ids=["x", "y", "z"])["id"].to_pylist() == ["x", "y", "z"]
    assert table(MATRIX).column_names == ["vector"]


def test_other_column_names_are_renamed_to_the_contract() -> None:
    got = table(EXPECTED.rename_columns(["key", "emb", "name"]), id_column="key", vector_column="emb")
    assert got.equals(EXPECTED)
    with pytest.raises(InvalidRequestError, match="two columns would be called 'id'"):
        row_stream({"id": [1], "key": [2]}, id_column="key")


def test_metric_and_element_types_are_kept() -> None:
    typed = pa.table({"vector": pa.array([[1, 2]], pa.list_(pa.int8(), 2))})
    got = table(typed, metric="cosine")
    assert got.schema.metadata == {b"longbow.metric": b"cosine"}
    assert got.schema.field("vector").type == pa.list_(pa.int8(), 2)
    with pytest.raises(InvalidRequestError, match="unknown metric 'manhattan'"):
        row_stream(typed, metric="manhattan")


def test_payload_types() -> None:
    got = table(
        [
            {"id": 1, "meta": {"a": [1, "ü"]}, "day": dt.date(2026, 1, 1), "at": dt.datetime(2026, 1, 1), "none": None},
            {"id": 2, "meta": None, "day": None, "at": None, "none": None, "late": True},
        ]
    )
    assert got.column_names == ["id", "meta", "day", "at", "late"]
    assert got["meta"].to_pylist() == ['{"a": [1, "ü"]}', None]
    assert got.schema.field("day").type == pa.date32()
    assert got["late"].to_pylist() == [None, True]


def test_batches_are_cut_and_joined_to_size() -> None:
    vectors = np.random.default_rng(1).random((20_000, 256), np.float32)
    stream = row_stream(vectors)
    assert stream is not None
    batches = list(stream.batches)
    assert sum(b.num_rows for b in batches) == 20_000
    assert all(b.nbytes <= BATCH_BYTES for b in batches)
    assert len(batches) == -(-vectors.nbytes // BATCH_BYTES)
    small = [pa.RecordBatch.from_pydict({"id": [i]}) for i in range(1000)]
    joined = row_stream(pa.Table.from_batches(small))
    assert joined is not None
    assert [b.num_rows for b in joined.batches] == [1000]


def test_a_reader_is_read_lazily() -> None:
    asked = 0

    def batches() -> Any:
        nonlocal asked
        for _ in range(50):
            asked += 1
            yield pa.RecordBatch.from_arrays(
                [pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(1 << 20, np.float32)), 256)], names=["vector"]
            )

    schema = pa.schema([("vector", pa.list_(F32, 256))])
    stream = row_stream(pa.RecordBatchReader.from_batches(schema, batches()))
    assert stream is not None
    assert asked == 1
    assert next(stream.batches).num_rows > 0
    assert asked < 5
    assert sum(b.num_rows for b in stream.batches) > 0
    assert asked == 50


def test_nothing_to_send_and_an_empty_table() -> None:
    assert row_stream([]) is None
    stream = row_stream(EXPECTED.slice(0, 0))
    assert stream is not None
    assert stream.schema.equals(EXPECTED.schema)
    assert sum(b.num_rows for b in stream.batches) == 0


def fixed(values: list[Any], dimension: int = 2) -> pa.Table:
    return pa.table({"vector": pa.array(values, pa.list_(F32, dimension))})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"vector": [[1.0, 2.0], [1.0]]}, "row 1: dimension mismatch: got 1, row 0 has 2"),
        ({"vector": [[1.0], None]}, "row 1: no vector"),
        ([{"vector": [1.0]}, {"id": 2}], "row 1: no vector"),
        ({"vector": [[1.0, float("nan")]]}, "row 0: a vector element is NaN or infinite"),
        ({"vector": [[1.0], [float("inf")]]}, "row 1: a vector element is NaN"),
        ({"vector": [[1e39]]}, "row 0: a vector element is NaN or infinite as float32"),
        ({"vector": [["a", "b"]]}, "row 0: expected numbers, got str 'a'"),
        ({"vector": [["1", "2"]]}, "row 0: expected numbers, got str '1'"),
        ({"vector": [[1.0, None]]}, "row 0: expected numbers, got NoneType"),
        ({"vector": [[True, False]]}, "row 0: expected numbers, got bool"),
        ({"vector": ["ab"]}, "row 0: expected a sequence of numbers, got str"),
        ({"vector": [1.0, 2.0]}, "row 0: expected a sequence of numbers, got float"),
        ({"vector": [[[1.0]], [[2.0]]]}, r"expected shape \[n, dimension\], got \[2, 1, 1\]"),
        ({"vector": [[]]}, "dimension must be in 1..65536, got 0"),
        (np.zeros(3), r"expected shape \[n, dimension\], got \[3\]"),
        (np.zeros((2, 2), complex), "real numbers, got dtype complex128"),
        (np.zeros((2, 2), bool), "real numbers, got dtype bool"),
        (np.zeros((1, 70_000), np.float32), "got 70000"),
        (fixed([[1, 2], None]), "row 1: no vector"),
        (fixed([[1, 2], [3, None]]), "row 1: a vector element is null"),
        (fixed([[1, 2], [3, float("-inf")]]), "row 1: a vector element is NaN"),
        (pa.table({"vector": pa.array([[1.0, 2.0], [1.0]])}), "row 1: dimension mismatch: got 1, row 0 has 2"),
        (pa.table({"vector": pa.array([["a"]])}), "real numbers, got list<"),
        (pa.table({"vector": [1.0]}), "expected lists of numbers, got double"),
        ({"id": [1, None]}, "row 1: no id"),
        ({"id": [1.5]}, "an id is an integer or text, got double"),
        (pd.DataFrame({"id": [1, None]}), "an id is an integer or text, got double"),
        ({"id": [1, 2], "name": ["x"]}, "differ in length"),
        ({"name": "abc"}, "expected a sequence of values, got str; a single row is"),
        ({"id": 1}, "expected a sequence of values, got int"),
        ({"x": [1, "a"]}, "column 'x'"),
        ({"x": [{"a": float("nan")}]}, "column 'x', row 0: cannot be written as JSON"),
        ({"": [1]}, "column name is empty"),
        ({3: [1]}, "column name must be a str"),
        ({}, "no columns"),
        ([{"id": 1}, 3], "row 1 is a int, expected a dict"),
        (pd.Series([1]), "give a DataFrame"),
        ("text", "cannot insert a str"),
        (7, "cannot insert a int"),
        (iter([{"id": 1}]), "cannot insert a list_iterator"),
    ],
)
def test_bad_rows_are_refused_by_column_and_row(data: object, words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        row_stream(data)


def test_ids_only_with_numpy() -> None:
    with pytest.raises(InvalidRequestError, match="goes with a NumPy array"):
        row_stream([{"vector": [1.0]}], ids=[1])
    with pytest.raises(InvalidRequestError, match="differ in length"):
        row_stream(MATRIX, ids=[1, 2])


def test_rows_count_on_over_batches() -> None:
    bad = pa.concat_tables([fixed([[1, 2]] * 5), fixed([[1, 2], [1, float("nan")]])])
    with pytest.raises(InvalidRequestError, match="row 6"):
        row_stream(bad)


def test_sliced_arrays_keep_their_rows() -> None:
    got = table(EXPECTED.slice(1, 2))
    assert got.equals(EXPECTED.slice(1, 2))
    lists = pa.table({"vector": pa.array(MATRIX.tolist(), pa.list_(pa.float64()))}).slice(1, 1)
    assert table(lists)["vector"].to_pylist() == MATRIX[1:2].tolist()
