"""The contract of a search's `columns`: the rows' own columns beside id and score."""

from __future__ import annotations

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pytest

ROWS = 40


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((ROWS, 8)).astype(np.float32)


@pytest.fixture
def books(client, dataset, points) -> str:
    ids = pa.array([f"book-{i}" for i in range(ROWS)])
    table = fc.vector_table(
        points, ids, title=[f"Title {i}" for i in range(ROWS)], year=pa.array(range(ROWS), pa.int16())
    )
    fc.put(client, dataset, table)
    return dataset


def test_columns_come_with_their_rows_in_the_order_asked_for(client, books, points):
    table = fc.search_table(client, books, points[7], 5, columns=["year", "title", "id"])
    assert table.schema.names == ["id", "score", "year", "title", "row.id"]
    nearest = fc.nearest(points, points[7], 5)
    assert table["year"].to_pylist() == nearest
    assert table["title"].to_pylist() == [f"Title {i}" for i in nearest]
    assert table["row.id"].to_pylist() == [f"book-{i}" for i in nearest]


def test_a_star_is_all_but_the_vector(client, books, points):
    table = fc.search_table(client, books, points[3], 2, columns="*", include_vectors=True)
    assert set(table.schema.names) == {"id", "score", "vector", "row.id", "title", "year"}
    assert (
        fc.search_table(client, books, points[3], 2, columns=["vector"])["row.vector"][0].as_py() == points[3].tolist()
    )
    assert fc.search_table(client, books, points[3], 2, columns=[]).schema.names == ["id", "score"]


def test_rows_of_older_schemas_are_widened_and_filled(client, books, points):
    more = pa.table(
        {
            "id": ["new"],
            "vector": fc.vector_array(points[:1] + 9),
            "year": pa.array([100_000], pa.int32()),
            "pages": [7],
        }
    )
    fc.put(client, books, more)
    table = fc.search_table(client, books, points[0] + 9, ROWS + 1, columns=["year", "pages", "title"])
    assert table["year"].type == pa.int32()
    assert table["year"].to_pylist()[0] == 100_000 and sorted(table["year"].to_pylist()[1:]) == list(range(ROWS))
    assert table["pages"].to_pylist() == [7] + [None] * ROWS
    assert table["title"].to_pylist()[0] is None


def test_columns_of_an_action_and_of_no_hits(client, books, points):
    body = {"dataset": books, "vectors": points[:2].tolist(), "k": 1, "columns": ["year"]}
    assert [fc.read_ipc(answer)["year"].to_pylist() for answer in fc.action(client, "VectorSearch", body)] == [[0], [1]]
    none = fc.search_table(
        client, books, points[0], 3, columns=["title"], filters=[{"field": "year", "operator": ">", "value": 999}]
    )
    assert none.schema.names == ["id", "score", "title"] and len(none) == 0


def test_unknown_columns_are_named(raw, books, points):
    raw.search(dataset=books, vector=points[0].tolist(), k=1, columns=["tilte"]).expect(
        "INVALID_ARGUMENT", 'no column "tilte"', "title"
    )
    raw.search(dataset=books, vector=points[0].tolist(), k=1, columns=[1]).expect("INVALID_ARGUMENT", "columns")
