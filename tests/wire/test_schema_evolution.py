"""Columns that widen: over the wire, in every way to ask, across checkpoints and kill -9; random stories against pyarrow."""

from __future__ import annotations

import json
import random

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.flight as flight
import pytest

LADDERS = {
    "a": [pa.int8(), pa.int16(), pa.int32(), pa.int64()],
    "b": [pa.uint8(), pa.uint16(), pa.int32(), pa.int64()],
    "c": [pa.float32(), pa.float64()],
    "d": [pa.null(), pa.string(), pa.large_string()],
    "e": [pa.date32(), pa.date64()],
    "f": [pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")],
    "g": [pa.decimal128(5, 2), pa.decimal128(9, 2), pa.decimal128(12, 4)],
}


def vectors(n: int) -> np.ndarray:
    return np.random.default_rng(n).random((n, 4), np.float32)


def version(client, name: str) -> int:
    info = client.get_flight_info(flight.FlightDescriptor.for_path(name))
    return json.loads(info.app_metadata)["schema_version"]


def test_edges_of_the_narrower_type(client, dataset):
    fc.put(client, dataset, fc.vector_table(vectors(4), ids=[0, 1, 2, 3], n=pa.array([-128, 127, 0, None], pa.int8())))
    assert version(client, dataset) == 1
    fc.put(client, dataset, fc.vector_table(vectors(2), ids=[4, 5], n=pa.array([128, -129], pa.int16())))
    assert version(client, dataset) == 2
    fc.put(client, dataset, fc.vector_table(vectors(1), ids=[6], n=pa.array([5], pa.int8())))
    assert version(client, dataset) == 2
    got = fc.scan(client, dataset).sort_by("id")
    assert got.schema.field("n").type == pa.int16()
    assert got["n"].to_pylist() == [-128, 127, 0, None, 128, -129, 5]
    for op, value, expected in (
        ("<", 128, [0, 1, 2, 5, 6]),
        (">", -129, [0, 1, 2, 4, 6]),
        (">=", 127, [1, 4]),
        ("=", 128, [4]),
        ("!=", -128, [1, 2, 4, 5, 6]),
        ("between", [-128, 127], [0, 1, 2, 6]),
        ("is null", None, [3]),
    ):
        condition = {"field": "n", "op": op, **({"values": value} if isinstance(value, list) else {"value": value})}
        assert fc.scan_ids(client, dataset, [condition]) == expected, condition
        found = fc.search(client, dataset, [0.5] * 4, 10, filters=[condition])
        assert sorted(i for i, _ in found) == expected, condition


def test_ids_widen(client, dataset):
    v = vectors(3)
    fc.put(client, dataset, fc.vector_table(v[:2], ids=pa.array([-1, 7], pa.int32())))
    fc.put(client, dataset, fc.vector_table(v[1:], ids=pa.array([7, 2**40], pa.int64())))
    assert fc.scan_ids(client, dataset) == [-1, 7, 2**40]
    assert fc.scan_ids(client, dataset, [{"field": "id", "op": "in", "values": [-1, 7]}]) == [-1, 7]
    assert fc.action(client, "delete", {"dataset": dataset, "id": "-1"}) == [b"deleted"]
    assert fc.scan_ids(client, dataset) == [7, 2**40]
    fc.put(client, dataset, fc.vector_table(v[:1], ids=pa.array([7], pa.int8())))
    assert fc.row_count(client, dataset) == 2


def test_what_loses_something_is_refused(client, dataset):
    fc.put(client, dataset, fc.vector_table(vectors(1), n=pa.array([1], pa.int32())))
    for change in (pa.uint32(), pa.float64(), pa.string(), pa.bool_(), pa.timestamp("us"), pa.list_(pa.int32())):
        with pytest.raises(pa.ArrowInvalid, match="existing=int32, new=.*becomes int64 if that comes"):
            fc.put(client, dataset, fc.vector_table(vectors(1), n=pa.nulls(1, change)))
    assert fc.scan(client, dataset).schema.field("n").type == pa.int32()
    assert version(client, dataset) == 1


def random_table(rng: random.Random, ids: list[int], rung: float) -> pa.Table:
    columns = {}
    for name, ladder in LADDERS.items():
        if rng.random() < 0.2:
            continue
        kind = ladder[rng.randrange(min(len(ladder), 1 + int(rung * len(ladder))))]
        columns[name] = random_column(rng, kind, len(ids))
    table = fc.vector_table(vectors(len(ids)), ids=ids, **columns)
    return table.select(rng.sample(table.column_names, table.num_columns))


def random_column(rng: random.Random, kind: pa.DataType, n: int) -> pa.Array:
    def one():
        if rng.random() < 0.2:
            return None
        if pa.types.is_integer(kind):
            low, high = {8: (-128, 127), 16: (-(2**15), 2**15 - 1), 32: (-(2**31), 2**31 - 1)}.get(
                kind.bit_width, (-(2**63), 2**63 - 1)
            )
            if not pa.types.is_signed_integer(kind):
                low, high = 0, high - low
            return rng.choice([low, low + 1, high, high - 1, rng.randint(0, 50)])
        return rng.randint(0, 99)

    values = [one() for _ in range(n)]
    if pa.types.is_null(kind):
        return pa.nulls(n)
    if pa.types.is_integer(kind):
        return pa.array(values, kind)
    if "string" in str(kind):
        return pa.array([None if x is None else f"t{x}" for x in values], kind)
    if pa.types.is_decimal(kind):
        return pa.array(values, pa.int64()).cast(pa.decimal128(21, 2)).cast(kind)
    if pa.types.is_floating(kind):
        return pa.array([None if x is None else x / 4 for x in values], kind)
    # Days and times of day: whole ones, whatever their unit.
    base = pa.array(values, pa.int32()).cast(pa.date32() if pa.types.is_date(kind) else pa.time32("s"))
    return base.cast(kind)


def test_random_stories(make_server):
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    server = make_server()
    client = flight.connect(server.data_uri)
    model: dict[int, dict] = {}
    widest: dict[str, pa.DataType] = {}
    for step in range(40):
        ids = rng.sample(range(200), rng.randint(1, 60))
        table = random_table(rng, ids, step / 40)
        fc.put(client, "a", table)
        for name in LADDERS:
            if name in table.column_names:
                ladder = LADDERS[name]
                at = max(ladder.index(table.schema.field(name).type), ladder.index(widest.get(name, ladder[0])))
                widest[name] = ladder[at]
        for row in table.drop_columns("vector").to_pylist():
            model[row["id"]] = row
        if rng.random() < 0.15:
            fc.action(client, "ForceSnapshot", {})
        if rng.random() < 0.15:
            server.kill()
            server.start()
            client = flight.connect(server.data_uri)
        if step % 4 != 3:
            continue
        got = fc.scan(client, "a").drop_columns("vector").sort_by("id")
        assert {name: got.schema.field(name).type for name in widest} == widest
        rows = [model[i] for i in sorted(model)]
        # Through the widest type, as pyarrow sees the values: each was put as some narrower one.
        for name, kind in widest.items():
            # An array of scalars of that type, which is what the model's Python values are.
            expected = pa.array([row.get(name) for row in rows], kind)
            assert got[name].combine_chunks().equals(expected), (seed, step, name)
        name = rng.choice([n for n in ("a", "b") if n in widest] or ["id"])
        value = rng.choice([x for x in got[name].to_pylist() if x is not None] or [0])
        expected = got.filter(pc.less_equal(got[name], value))["id"].to_pylist()
        asked = [{"field": name, "op": "<=", "value": str(value)}]
        assert fc.scan_ids(client, "a", asked) == expected, (seed, step, name, value)
        found = fc.search(client, "a", [0.5] * 4, 500, filters=asked)
        assert sorted(i for i, _ in found) == expected, (seed, step, name, value)
