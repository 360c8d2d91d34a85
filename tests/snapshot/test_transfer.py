"""`longbow export` and `longbow import`: what leaves comes back the same; what cannot be taken is refused whole."""

from __future__ import annotations

import pathlib
import subprocess

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.flight as flight
import pyarrow.parquet as pq
import pytest
from longbow_server import binary, clean_environment

ROWS, DIM = 700, 12
VECTORS = np.random.default_rng(5).standard_normal((ROWS, DIM), dtype=np.float32)


def longbow(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(binary()), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean_environment(), check=False)


def export(data: pathlib.Path, path: pathlib.Path, name: str = "a") -> subprocess.CompletedProcess[str]:
    return longbow("export", f"--data={data}", f"--collection={name}", f"--to={path}")


def import_(data: pathlib.Path, path: pathlib.Path, *more: str, name: str = "a") -> subprocess.CompletedProcess[str]:
    return longbow("import", f"--data={data}", f"--collection={name}", f"--from={path}", *more)


@pytest.fixture
def data(make_server, tmp_path) -> pathlib.Path:
    """A data folder with a dataset of many types, dead rows and a metric of its own."""
    table = fc.vector_table(
        VECTORS,
        pa.array([f"id {i}" for i in range(ROWS)]),
        metric="cosine",
        word=pa.array([None if i % 7 == 0 else f"wörd {i % 9}" for i in range(ROWS)]).dictionary_encode(),
        at=pa.array(range(ROWS), pa.timestamp("s", "UTC")),
        half=pa.array(np.arange(ROWS, dtype=np.float16)),
        tags=pa.array([["x"] * (i % 3) for i in range(ROWS)]),
        big=pa.array([2**64 - 1 - i for i in range(ROWS)], pa.uint64()),
    )
    server = make_server(tmp_path / "data")
    with flight.connect(server.data_uri) as client:
        fc.put(client, "a", table, max_chunksize=300)
        fc.action(client, "delete", {"dataset": "a", "ids": ["id 3", "id 500"]})
    assert server.stop() == 0
    return tmp_path / "data"


def content(make_server, data: pathlib.Path, name: str = "a") -> tuple[pa.Table, list]:
    server = make_server(data)
    with flight.connect(server.data_uri) as client:
        table = fc.scan(client, name)
        found = fc.search(client, name, VECTORS[42], 5)
    assert server.stop() == 0
    return table, found


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_there_and_back(data, make_server, tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    done = export(data, path)
    assert done.returncode == 0 and f"exported {ROWS - 2} rows" in done.stdout, done.stderr
    read = pq.read_table(path) if ending == "parquet" else feather.read_table(path)
    assert read.num_rows == ROWS - 2 and "id 3" not in read["id"].to_pylist()
    assert read.schema.metadata[b"longbow.metric"] == b"cosine"
    assert import_(tmp_path / "other", path).returncode == 0
    before, found_before = content(make_server, data)
    after, found_after = content(make_server, tmp_path / "other")
    assert after.schema.equals(before.schema, check_metadata=True)
    assert after.sort_by("id").to_pydict() == before.sort_by("id").to_pydict()
    assert len(found_after) == 5 and [score for _, score in found_after] == [score for _, score in found_before]
    assert longbow("fsck", tmp_path / "other").returncode == 0
    assert "exists: name another file" in export(data, path).stderr
    assert not list(tmp_path.glob("*.part"))


def test_a_file_of_somebody_else(make_server, tmp_path):
    table = pa.table({"key": range(ROWS), "emb": pa.array(VECTORS.astype(np.float64).tolist()), "note": ["n"] * ROWS})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=100)
    done = import_(
        tmp_path / "d", tmp_path / "x.parquet", "--id-column=key", "--vector-column=emb", "--metric=dot_product"
    )
    assert done.returncode == 0 and f"imported {ROWS} rows" in done.stdout, done.stderr
    got, found = content(make_server, tmp_path / "d")
    assert got.column_names == ["id", "vector", "note"] and got.num_rows == ROWS
    assert found[0][0] == fc.nearest(VECTORS, VECTORS[42], 1, "dot_product")[0]
    # Once more: refused, unless it is meant; equal ids are replaced.
    assert "say --append" in import_(tmp_path / "d", tmp_path / "x.parquet", "--vector-column=emb").stderr
    more = table.slice(0, 10).rename_columns(["id", "vector", "note"])
    feather.write_feather(more, tmp_path / "more.arrow", compression="lz4")
    assert import_(tmp_path / "d", tmp_path / "more.arrow", "--append").returncode == 0
    assert content(make_server, tmp_path / "d")[0].num_rows == ROWS


def test_rows_without_an_id_are_numbered(make_server, tmp_path):
    pq.write_table(pa.table({"vector": fc.vector_array(VECTORS)}), tmp_path / "x.parquet")
    assert import_(tmp_path / "d", tmp_path / "x.parquet").returncode == 0
    assert content(make_server, tmp_path / "d")[1][0][0] == 42


def test_what_cannot_be_taken_is_refused_whole(data, make_server, tmp_path):
    def with_row(row: list) -> pa.Table:
        rows = VECTORS.tolist()
        rows[650] = row
        return pa.table({"id": range(ROWS), "vector": rows})

    cases = {
        "the vector of row 650 has 3 values": (with_row([1.0, 2.0, 3.0]), ()),
        "row 650 has no vector": (with_row(None), ()),
        "NaN": (with_row([float("nan")] * DIM), ()),
        'has no column "key"': (with_row([0.0] * DIM), ("--id-column=key",)),
        "metric": (with_row([0.0] * DIM), ("--metric=nonsense",)),
        "has no rows": (with_row([0.0] * DIM).slice(0, 0), ()),
        "id": (pa.table({"id": [None, 1], "vector": fc.vector_array(VECTORS[:2])}), ()),
    }
    before = content(make_server, data)[0]
    for number, (words, (table, more)) in enumerate(cases.items()):
        path = tmp_path / f"bad{number}.parquet"
        pq.write_table(table, path, row_group_size=100)
        refused = import_(data, path, *more, name="new")
        assert refused.returncode == 2 and words in refused.stderr, (words, refused)
    good = pq.read_table(tmp_path / "bad3.parquet")
    pq.write_table(good, tmp_path / "good.parquet")
    content_of_good = (tmp_path / "good.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content_of_good[:-20])
    (tmp_path / "letter.parquet").write_text("dear")
    for name in ("cut", "letter"):
        refused = import_(data, tmp_path / f"{name}.parquet", name="new")
        assert refused.returncode == 2 and f"{name}.parquet" in refused.stderr, refused
    assert import_(data, tmp_path / "nothing.parquet", name="new").returncode == 1
    assert "dataset nobody not found" in export(data, tmp_path / "y.parquet", "nobody").stderr
    assert "ends in .parquet" in export(data, tmp_path / "y.csv").stderr
    assert "not a data folder" in export(tmp_path / "none", tmp_path / "y.parquet").stderr
    server = make_server(data)
    with flight.connect(server.data_uri) as client:
        assert fc.names(client) == ["a"]
        assert fc.scan(client, "a").equals(before)
    assert "is in use" in export(data, tmp_path / "z.parquet").stderr
