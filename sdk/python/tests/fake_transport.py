"""A Transport without a network: records what it is asked, answers what a test tells it to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from longbow import BatchStream, DatasetInfo, LongbowError, RowStream

HIT_SCHEMA = pa.schema([pa.field("id", pa.uint64(), nullable=False), pa.field("score", pa.float32(), nullable=False)])


def hits(*pairs: tuple[int, float]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array([p[0] for p in pairs], pa.uint64()), pa.array([p[1] for p in pairs], pa.float32())],
        schema=HIT_SCHEMA,
    )


def ipc(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue().to_pybytes())


@dataclass
class FakeTransport:
    """Set `tables` or `answers` before a call, read `puts`, `tickets`, `actions` after it.

    `failures` are raised first, one per call, before anything is recorded as done.
    """

    tables: list[pa.Table] = field(default_factory=list)
    answers: dict[str, list[bytes] | Callable[[dict[str, Any]], list[bytes]]] = field(default_factory=dict)
    known: list[DatasetInfo] = field(default_factory=list)
    failures: list[LongbowError] = field(default_factory=list)
    puts: list[tuple[str, pa.Schema, list[pa.RecordBatch]]] = field(default_factory=list)
    tickets: list[dict[str, Any]] = field(default_factory=list)
    actions: list[tuple[str, dict[str, Any], bool]] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    closed: int = 0

    def _enter(self, timeout_s: float) -> None:
        self.timeouts.append(timeout_s)
        if self.failures:
            raise self.failures.pop(0)

    def put(self, dataset: str, rows: RowStream, timeout_s: float) -> None:
        self._enter(timeout_s)
        self.puts.append((dataset, rows.schema, list(rows.batches)))

    def get(self, ticket: bytes, timeout_s: float) -> BatchStream:
        self._enter(timeout_s)
        self.tickets.append(json.loads(ticket))
        table = self.tables.pop(0)
        return BatchStream(table.schema, iter(table.to_batches()))

    def action(self, name: str, body: bytes, timeout_s: float, *, meta: bool = False) -> list[bytes]:
        self._enter(timeout_s)
        request = json.loads(body)
        self.actions.append((name, request, meta))
        answer = self.answers[name]
        return answer(request) if callable(answer) else answer

    def datasets(self, timeout_s: float) -> list[DatasetInfo]:
        self._enter(timeout_s)
        return list(self.known)

    def dataset(self, name: str, timeout_s: float) -> DatasetInfo:
        self._enter(timeout_s)
        return next(info for info in self.known if info.name == name)

    def close(self) -> None:
        self.closed += 1
