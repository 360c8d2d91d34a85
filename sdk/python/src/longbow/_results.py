"""What calls give back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ._errors import InternalError


@dataclass(frozen=True, slots=True)
class Hit:
    """One row found: its id, its score (larger is nearer), its vector if it was asked for ([dimension] float32)."""

    id: int
    score: float
    vector: npt.NDArray[np.float32] | None = None


class SearchResult(Sequence[Hit]):
    """The rows found by one search, best first. A read-only sequence of Hit over an Arrow table.

    Ids are the numbers of the dataset's `id` column, unsigned as on the wire (int64 ids keep their bits). Rows of a
    dataset without ids, or with ids that don't spell a number, are named by their position in the dataset.
    """

    __slots__ = ("_table",)

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @property
    def ids(self) -> npt.NDArray[np.uint64]:
        """[k] uint64."""
        return np.asarray(self._table["id"].to_numpy(), dtype=np.uint64)

    @property
    def scores(self) -> npt.NDArray[np.float32]:
        """[k] float32, descending."""
        return np.asarray(self._table["score"].to_numpy(), dtype=np.float32)

    @property
    def vectors(self) -> npt.NDArray[np.float32] | None:
        """[k, dimension] float32 if the search asked for vectors, else None."""
        if "vector" not in self._table.column_names:
            return None
        rows = self._table["vector"].to_pylist()
        if any(row is None or len(row) != len(rows[0]) or len(row) % 4 for row in rows):
            raise InternalError("the server sent vectors of unequal or impossible size")
        return np.frombuffer(b"".join(rows), dtype="<f4").reshape(len(rows), -1 if rows else 0)

    @property
    def explanation(self) -> dict[str, Any] | None:
        """How the server found this, by segment, if the search asked to explain; else None."""
        text = (self._table.schema.metadata or {}).get(b"longbow.explain")
        if text is None:
            return None
        try:
            (explained,) = json.loads(text)
        except ValueError as error:
            raise InternalError(f"the server's explanation is not one JSON object: {error}") from error
        return dict(explained)

    def to_arrow(self) -> pa.Table:
        """Columns id: uint64, score: float32 (and vector: binary, little-endian float32, if asked for)."""
        return self._table

    def to_pandas(self) -> Any:
        """The same as a pandas DataFrame; needs pandas."""
        return self._table.to_pandas()

    def _hits(self) -> list[Hit]:
        vectors = self.vectors
        pairs = zip(self.ids.tolist(), self.scores.tolist(), strict=True)
        return [Hit(i, s, None if vectors is None else vectors[at]) for at, (i, s) in enumerate(pairs)]

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self._hits())

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> list[Hit]: ...
    def __getitem__(self, index: int | slice) -> Hit | list[Hit]:
        return self._hits()[index]

    def __repr__(self) -> str:
        best = ", ".join(f"{hit.id}: {hit.score:.4f}" for hit in self[:3])
        return f"SearchResult({len(self)} hits{'; ' + best if best else ''}{', ...' if len(self) > 3 else ''})"


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """One dataset: its name, how many rows it has, their size, and its columns where the server told them."""

    name: str
    rows: int
    size_bytes: int
    schema: pa.Schema | None = None

    @property
    def dimension(self) -> int | None:
        """Values per vector, if the columns are known and one of them is a vector."""
        if self.schema is None:
            return None
        for name in ("vector", "embedding"):
            at = self.schema.get_field_index(name)
            if at >= 0 and pa.types.is_fixed_size_list(self.schema.field(at).type):
                return int(self.schema.field(at).type.list_size)
        return None

    @property
    def metric(self) -> str | None:
        """The metric named by the first put, None if the columns are unknown or none was named."""
        value = ((self.schema.metadata if self.schema is not None else None) or {}).get(b"longbow.metric")
        return None if value is None else value.decode()
