"""What a client of the contract does, through pyarrow's Flight client: put, scan, search, act."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
from raw_flight import RawFlight, fields


def vector_array(vectors: np.ndarray, element: pa.DataType | None = None) -> pa.FixedSizeListArray:
    """[n, dim] numpy -> fixed-size list column."""
    values = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    if element is not None and values.type != element:
        values = values.cast(element)
    return pa.FixedSizeListArray.from_arrays(values, vectors.shape[1])


def vector_table(
    vectors: np.ndarray, ids: Sequence | pa.Array | None = None, metric: str | None = None, **columns
) -> pa.Table:
    """A table as clients put it: id (0.. by default), vector, then `columns`."""
    if ids is None:
        ids = pa.array(np.arange(len(vectors)), pa.int64())
    table = pa.table({"id": ids, "vector": vector_array(vectors), **columns})
    return table.replace_schema_metadata({"longbow.metric": metric}) if metric else table


def put(
    client: flight.FlightClient,
    name: str,
    data: pa.Table | pa.RecordBatch,
    options: flight.FlightCallOptions | None = None,
    max_chunksize: int | None = None,
) -> list[bytes]:
    """DoPut to its acknowledgement; the app_metadata of every PutResult (none in the normal case)."""
    writer, reader = client.do_put(flight.FlightDescriptor.for_path(name), data.schema, options)
    with writer:
        if isinstance(data, pa.RecordBatch):
            writer.write_batch(data)
        else:
            writer.write_table(data, max_chunksize)
        writer.done_writing()
        answers = []
        while (answer := reader.read()) is not None:
            answers.append(answer.to_pybytes())
    return answers


def scan(
    client: flight.FlightClient, name: str, filters: list | None = None, limit: int | None = None, **more
) -> pa.Table:
    """DoGet of a dataset. Rows come in any order."""
    ticket = {
        "name": name,
        **({"filters": filters} if filters is not None else {}),
        **({"limit": limit} if limit is not None else {}),
        **more,
    }
    return client.do_get(flight.Ticket(json.dumps(ticket).encode())).read_all()


def scan_ids(client: flight.FlightClient, name: str, filters: list | None = None) -> list:
    return sorted(scan(client, name, filters)["id"].to_pylist())


def search_table(
    client: flight.FlightClient, name: str, vector: Sequence[float] | np.ndarray, k: int = 10, **more
) -> pa.Table:
    """DoGet with a search ticket."""
    request = {"dataset": name, "vector": [x if isinstance(x, int) else float(x) for x in vector], "k": k, **more}
    return client.do_get(flight.Ticket(json.dumps({"search": request}).encode())).read_all()


def search(
    client: flight.FlightClient, name: str, vector: Sequence[float] | np.ndarray, k: int = 10, **more
) -> list[tuple[int, float]]:
    """(id, score) of each hit, as they came."""
    table = search_table(client, name, vector, k, **more)
    return list(zip(table["id"].to_pylist(), table["score"].to_pylist(), strict=True))


def exchange_query(name: str, vector: np.ndarray, **columns) -> pa.RecordBatch:
    """The batch that asks for a search in DoExchange."""
    return pa.record_batch({"dataset": [name], "query_vector": vector_array(vector.reshape(1, -1)), **columns})


def exchange_ids(raw: RawFlight, query: pa.RecordBatch) -> list[int]:
    """The ids that DoExchange answers, over a connection of our own."""
    answer = raw.exchange_search(query).expect("OK")
    stream = io.BytesIO()
    for message in answer.messages:
        parts = fields(message)
        header, body = parts[2][0], parts.get(1000, [b""])[0]
        stream.write(b"\xff\xff\xff\xff" + len(header).to_bytes(4, "little") + header + body)
    stream.write(b"\xff\xff\xff\xff\0\0\0\0")
    stream.seek(0)
    return pa.ipc.open_stream(stream).read_all()["id"].to_pylist()


def action(client: flight.FlightClient, kind: str, body: dict | bytes | None = None) -> list[bytes]:
    data = json.dumps(body).encode() if isinstance(body, dict) else body or b""
    return [result.body.to_pybytes() for result in client.do_action(flight.Action(kind, data))]


def action_json(client: flight.FlightClient, kind: str, body: dict | bytes | None = None):
    """The one JSON result of an action."""
    results = action(client, kind, body)
    assert len(results) == 1, results
    return json.loads(results[0])


def read_ipc(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(io.BytesIO(data)).read_all()


def row_count(client: flight.FlightClient, name: str) -> int:
    return client.get_flight_info(flight.FlightDescriptor.for_path(name)).total_records


def names(client: flight.FlightClient, criteria: bytes = b"") -> list[str]:
    return [info.descriptor.path[0].decode() for info in client.list_flights(criteria)]


# --- the answers to expect, from numpy alone ---


def distances(vectors: np.ndarray, query: np.ndarray, metric: str = "euclidean") -> np.ndarray:
    """What sorts best first when ascending, in float64."""
    v, q = vectors.astype(np.float64), np.asarray(query, np.float64)
    if metric == "cosine":
        return 1 - v @ q / np.maximum(np.linalg.norm(v, axis=1) * np.linalg.norm(q), 1e-300)
    if metric == "dot_product":
        return -(v @ q)
    return np.linalg.norm(v - q, axis=1)


def scores(vectors: np.ndarray, query: np.ndarray, metric: str = "euclidean") -> np.ndarray:
    """The contract's score of each row: 1 / (1 + L2), the cosine, the inner product."""
    d = distances(vectors, query, metric)
    return {"euclidean": lambda: 1 / (1 + d), "cosine": lambda: 1 - d, "dot_product": lambda: -d}[metric]()


def nearest(vectors: np.ndarray, query: np.ndarray, k: int, metric: str = "euclidean") -> list[int]:
    """Row numbers of the k nearest, best first."""
    return np.argsort(distances(vectors, query, metric), kind="stable")[:k].tolist()
