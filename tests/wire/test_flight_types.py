"""Every kind of column survives put and get, compressed or not, and after a restart."""

from __future__ import annotations

import datetime
import decimal

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest

BIG = 2**62


def dictionary(values: list, index: pa.DataType) -> pa.DictionaryArray:
    return pa.array(values).dictionary_encode().cast(pa.dictionary(index, pa.string()))


def columns() -> dict[str, pa.Array]:
    """Four rows of every kind of column, nulls included."""
    return {
        "bool": pa.array([True, None, False, True]),
        "int8": pa.array([-128, 127, None, 0], pa.int8()),
        "uint64": pa.array([2**64 - 1, None, 0, 1], pa.uint64()),
        "int64": pa.array([-BIG, BIG, 0, None], pa.int64()),
        "float16": pa.array(np.array([0.5, -1.5, 3, 0], np.float16)),
        "float64": pa.array([1e308, None, -0.0, 2.5]),
        "decimal": pa.array(
            [decimal.Decimal("12345678901234567890.12"), None, decimal.Decimal("-0.01"), decimal.Decimal(0)],
            pa.decimal128(30, 2),
        ),
        "date": pa.array([datetime.date(2024, 2, 29), None, datetime.date(1970, 1, 1), datetime.date(1900, 1, 1)]),
        "timestamp": pa.array([0, 1_700_000_000_000_000_001, None, -1], pa.timestamp("ns")),
        "zoned": pa.array([0, 1, None, 2], pa.timestamp("us", "Europe/Berlin")),
        "time": pa.array([0, 1, None, 86_399_999_999], pa.time64("us")),
        "utf8": pa.array(["", "häß", None, "x" * 5000]),
        "large_utf8": pa.array(["a", None, "", "b"], pa.large_string()),
        "binary": pa.array([b"\0\xff", None, b"", b"z"]),
        "fixed_binary": pa.array([b"abcd", None, b"\0\0\0\0", b"efgh"], pa.binary(4)),
        "list": pa.array([[1, 2], [], None, [None, 3]], pa.list_(pa.int32())),
        "large_list": pa.array([["x"], None, [], ["y", None]], pa.large_list(pa.string())),
        "struct": pa.array(
            [{"a": [1, 2], "b": "x"}, None, {"a": [], "b": None}, {"a": None, "b": ""}],
            pa.struct([("a", pa.list_(pa.int64())), ("b", pa.string())]),
        ),
        "map": pa.array([[("k", 1)], None, [], [("a", None), ("b", 2)]], pa.map_(pa.string(), pa.int32())),
        "fixed_list": pa.array([[1, 2], [3, None], None, [5, 6]], pa.list_(pa.int16(), 2)),
    }


# Kinds that a Parquet file cannot give back as they were: refusing them at the door with a clear error is right too.
EXOTIC = {
    "null": pa.nulls(4),
    "dictionary": dictionary(["a", "b", "a", None], pa.int32()),
    "dictionary_int8": dictionary(["a", "b", None, "a"], pa.int8()),
    "string_view": pa.array(["short", "a string longer than twelve bytes", None, ""], pa.string_view()),
    "binary_view": pa.array([b"\0" * 40, None, b"", b"z"], pa.binary_view()),
    "duration": pa.array([1, None, -1, 0], pa.duration("ms")),
}


def values(table: pa.Table, column: str) -> dict:
    """id -> value. Timestamps as integers: Python's own have no nanoseconds."""
    data = table[column]
    if pa.types.is_timestamp(data.type):
        data = data.cast(pa.int64())
    return dict(zip(table["id"].to_pylist(), data.to_pylist(), strict=True))


def check_round_trip(client, name: str, table: pa.Table, options=None) -> None:
    fc.put(client, name, table, options)
    check_same(fc.scan(client, name), table)


def check_same(got: pa.Table, table: pa.Table) -> None:
    got.validate(full=True)
    # A dictionary may come back with other codes, or as plain values; what it says must be the same.
    assert got.schema.names == table.schema.names
    for column in table.schema.names:
        assert values(got, column) == values(table, column), column
        if not pa.types.is_dictionary(table.schema.field(column).type):
            assert got.schema.field(column).type == table.schema.field(column).type, column


@pytest.mark.parametrize("kind", columns())
def test_column_round_trip(client, dataset, kind):
    check_round_trip(client, dataset, pa.table({"id": [0, 1, 2, 3], kind: columns()[kind]}))


@pytest.mark.parametrize("kind", EXOTIC)
def test_exotic_column_round_trip(client, dataset, kind):
    check_round_trip(client, dataset, pa.table({"id": [0, 1, 2, 3], kind: EXOTIC[kind]}))


def test_plain_table_without_id_and_vector(client, dataset):
    table = pa.table({"a": [3, 1, 2], "b": ["x", None, "z"]})
    fc.put(client, dataset, table)
    fc.put(client, dataset, table)
    assert fc.scan(client, dataset).num_rows == 6, "without an id column every row is a new one"
    assert sorted(fc.scan(client, dataset)["a"].to_pylist()) == [1, 1, 2, 2, 3, 3]


def test_all_columns_together_survive_a_restart(make_server):
    server = make_server()
    table = pa.table({"id": [0, 1, 2, 3], **columns()})
    with flight.connect(server.data_uri) as client:
        check_round_trip(client, "log", table)
        check_round_trip(client, "checkpoint", table)
        fc.action(client, "ForceSnapshot")
        check_round_trip(client, "log2", table)
    server.kill()
    server.start()
    with flight.connect(server.data_uri) as client:
        for name in ("log", "checkpoint", "log2"):
            check_same(fc.scan(client, name), table)


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_put(client, dataset, rng, codec):
    options = flight.FlightCallOptions(write_options=pa.ipc.IpcWriteOptions(compression=codec))
    table = fc.vector_table(rng.random((4, 8), np.float32), **columns(), d=EXOTIC["dictionary"])
    check_round_trip(client, dataset, table, options)
    assert fc.search(client, dataset, table["vector"][2].as_py(), 1)[0][0] == 2


def test_dictionary_replaced_and_extended_within_a_stream(client, dataset):
    schema = pa.schema([("id", pa.int64()), ("d", pa.dictionary(pa.int32(), pa.string()))])
    dictionaries = [["a", "b"], ["a", "b", "zz"], ["q"], ["a", "b"]]
    writer, reader = client.do_put(flight.FlightDescriptor.for_path(dataset), schema)
    expected = {}
    with writer:
        for i, values in enumerate(dictionaries):
            codes = [len(values) - 1, 0, None]
            ids = [10 * i, 10 * i + 1, 10 * i + 2]
            column = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(values))
            writer.write_batch(pa.record_batch([pa.array(ids), column], schema=schema))
            expected |= dict(zip(ids, column.to_pylist(), strict=True))
        writer.done_writing()
        while reader.read() is not None:
            pass
    got = fc.scan(client, dataset)
    assert dict(zip(got["id"].to_pylist(), got["d"].to_pylist(), strict=True)) == expected


def test_sliced_batches(client, dataset, rng):
    table = fc.vector_table(
        rng.random((1000, 8), np.float32), text=[f"t{i}" for i in range(1000)], flag=[i % 3 == 0 for i in range(1000)]
    )
    batch = table.to_batches()[0]
    fc.put(client, dataset, batch.slice(13, 29))
    fc.put(client, dataset, batch.slice(501, 3))
    got = fc.scan(client, dataset).sort_by("id")
    assert got.equals(pa.Table.from_batches([batch.slice(13, 29), batch.slice(501, 3)]).combine_chunks())


def test_empty_batches_between_full_ones(client, dataset, rng):
    batch = fc.vector_table(rng.random((10, 8), np.float32)).to_batches()[0]
    table = pa.Table.from_batches(
        [batch.slice(0, 0), batch.slice(0, 4), batch.slice(0, 0), batch.slice(4), batch.slice(0, 0)]
    )
    writer, reader = client.do_put(flight.FlightDescriptor.for_path(dataset), table.schema)
    with writer:
        for one in table.to_batches():
            writer.write_batch(one)
        writer.done_writing()
        while reader.read() is not None:
            pass
    assert fc.scan_ids(client, dataset) == list(range(10))


def test_many_small_batches(client, dataset, rng):
    table = fc.vector_table(rng.random((3000, 4), np.float32))
    fc.put(client, dataset, table, max_chunksize=3)
    assert fc.scan(client, dataset).sort_by("id").equals(table)


def test_column_order_and_metadata_survive(client, dataset, rng):
    table = pa.table({"z": ["x"], "vector": fc.vector_array(rng.random((1, 4), np.float32)), "id": [5], "a": [1.5]})
    table = table.replace_schema_metadata({"longbow.metric": "cosine", "owner": "me"})
    fc.put(client, dataset, table)
    got = fc.scan(client, dataset)
    assert got.schema.names == ["z", "vector", "id", "a"]
    assert got.schema.metadata[b"owner"] == b"me"
