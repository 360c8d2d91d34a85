"""What the server may answer after a crash, kept outside its process.

For each row the oracle holds the set of versions it may have: exactly one once an operation was acknowledged, more while
one is under way or was cut off. A row's content is a pure function of (dataset, id, version), so a version is enough.
"""

from __future__ import annotations

import hashlib

import flight_calls as fc
import numpy as np
import pyarrow as pa

DIM = 8
ABSENT = 0  # the version of a row that does not exist; real ones count from 1


def mix(values: np.ndarray) -> np.ndarray:
    """A 64-bit finalizer (splitmix64): neighbouring inputs give unrelated outputs."""
    with np.errstate(over="ignore"):
        z = values + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


class RowMaker:
    """The content of every row of one dataset."""

    def __init__(self, dataset: str):
        self.salt = np.uint64(int.from_bytes(hashlib.sha256(dataset.encode()).digest()[:8], "little"))

    def seeds(self, ids: np.ndarray, versions: np.ndarray) -> np.ndarray:
        return mix(mix(ids.astype(np.uint64) ^ self.salt) + versions.astype(np.uint64))

    def vectors(self, ids: np.ndarray, versions: np.ndarray) -> np.ndarray:
        """float32 [n, DIM] in [0, 1): distinct for distinct rows."""
        columns = np.arange(DIM, dtype=np.uint64)[None, :] * np.uint64(0x2545F4914F6CDD1D)
        return ((mix(self.seeds(ids, versions)[:, None] ^ columns) >> np.uint64(40)).astype(np.float32)) / np.float32(
            1 << 24
        )

    def texts(self, ids: np.ndarray, versions: np.ndarray) -> list[str]:
        return [
            f"{id}:{version}:{seed:016x}" * (1 + seed % 5)
            for id, version, seed in zip(
                ids.tolist(), versions.tolist(), self.seeds(ids, versions).tolist(), strict=True
            )
        ]

    def table(self, ids: np.ndarray, versions: np.ndarray) -> pa.Table:
        return pa.table(
            {
                "id": pa.array(ids, pa.int64()),
                "vector": fc.vector_array(self.vectors(ids, versions)),
                "version": pa.array(versions, pa.int64()),
                "text": self.texts(ids, versions),
            }
        )


class DatasetOracle:
    """The rows of one dataset that one client thread writes, ids [first, first + count). Not thread safe: one writer."""

    def __init__(self, name: str, first: int, count: int):
        self.name, self.first, self.count = name, first, count
        self.rows = RowMaker(name)
        self.current = np.zeros(count, np.int64)  # last acknowledged or observed version
        self.pending: dict[int, set[int]] = {}  # row number -> versions that a cut-off operation may have left
        self.next_version = 1

    def begin_put(self, numbers: np.ndarray) -> pa.Table:
        """The rows to put; until acknowledge() each may be old or new."""
        versions = self.next_version + np.arange(len(numbers))
        self.next_version += len(numbers)
        self.begin(numbers, versions)
        return self.rows.table(self.first + numbers, versions)

    def begin_delete(self, number: int) -> int:
        self.begin(np.array([number]), np.array([ABSENT]))
        return self.first + number

    def begin_drop(self) -> None:
        self.begin(np.arange(self.count), np.zeros(self.count, np.int64))

    def begin(self, numbers: np.ndarray, versions: np.ndarray) -> None:
        assert not self.pending, "one operation at a time"
        self.pending = {int(n): {int(self.current[n]), int(v)} for n, v in zip(numbers, versions, strict=True)}
        self.proposed = (numbers, versions)

    def acknowledge(self) -> None:
        numbers, versions = self.proposed
        self.current[numbers] = versions
        self.pending = {}

    def abandon(self) -> None:
        """The operation certainly did nothing (the server refused it before it began)."""
        self.pending = {}

    def expect(self, table: pa.Table | None) -> None:
        """Checks what a scan returned (None: no such dataset) of this writer's ids, and takes it as the new truth."""
        if table is None:
            table = self.rows.table(np.empty(0, np.int64), np.empty(0, np.int64))
        ids, versions = table["id"].to_numpy(), table["version"].to_numpy()
        mine = (ids >= self.first) & (ids < self.first + self.count)
        ids, versions, texts = ids[mine], versions[mine], np.array(table["text"].to_pylist(), object)[mine]
        vectors = table["vector"].combine_chunks().values.to_numpy(zero_copy_only=False).reshape(-1, DIM)[mine]
        assert len(np.unique(ids)) == len(ids), f"{self.name}: duplicate ids {duplicates(ids)}"

        seen = np.zeros(self.count, np.int64)
        seen[ids - self.first] = versions
        settled = np.ones(self.count, bool)
        for number, possible in self.pending.items():
            settled[number] = False
            assert int(seen[number]) in possible, self.describe(number, seen[number], possible)
        wrong = np.flatnonzero(settled & (seen != self.current))
        assert len(wrong) == 0, f"{len(wrong)} rows wrong, first: " + self.describe(
            wrong[0], seen[wrong[0]], {int(self.current[wrong[0]])}
        )

        assert np.array_equal(vectors, self.rows.vectors(ids, versions)), (
            f"{self.name}: a vector is not the one that was put"
        )
        expected = self.rows.texts(ids, versions)
        assert texts.tolist() == expected, f"{self.name}: a text is not the one that was put"
        self.current, self.pending = seen, {}

    def describe(self, number: int, seen: int, possible: set[int]) -> str:
        def say(version: int) -> str:
            return "absent" if version == ABSENT else f"version {version}"

        return f"{self.name} row {self.first + int(number)}: got {say(int(seen))}, may be {' or '.join(map(say, sorted(possible)))}"

    def live(self) -> np.ndarray:
        """Ids of the rows that exist."""
        return self.first + np.flatnonzero(self.current != ABSENT)

    def gone(self) -> np.ndarray:
        """Ids of rows that existed once, or never: all that must not be found."""
        return self.first + np.flatnonzero(self.current == ABSENT)


def duplicates(ids: np.ndarray) -> list[int]:
    values, counts = np.unique(ids, return_counts=True)
    return values[counts > 1][:10].tolist()
