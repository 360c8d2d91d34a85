"""Whatever a user holds rows in -> checked Arrow record batches as the server stores them.

What leaves this file: a column `vector` of type FixedSizeList<number>[dimension] without nulls, NaN or infinity (if
the data has vectors), a column `id` of int64, uint64, int32, uint32 or utf8 without nulls (if it has ids), every other
column in a type the server can store and filter, in batches of about BATCH_BYTES.
"""

from __future__ import annotations

import json
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ._errors import InvalidRequestError
from ._limits import DIMENSION_MAX, check_name

BATCH_BYTES: Final = 6 << 20
METRICS: Final = ("euclidean", "cosine", "dot_product", "hamming", "jaccard")
ID: Final = "id"
VECTOR: Final = "vector"

_ID_TYPES: Final = (pa.int64(), pa.uint64(), pa.int32(), pa.uint32(), pa.string())


@dataclass(frozen=True)
class RowStream:
    """A schema and the batches that follow it. `batches` can be read once."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def row_stream(
    data: object,
    *,
    ids: object = None,
    metric: str | None = None,
    id_column: str = ID,
    vector_column: str = VECTOR,
) -> RowStream | None:
    """The rows of `data`, checked; None where there is nothing to send (an empty list has no columns either).

    Data in memory is checked to its last row before this returns. A RecordBatchReader is checked as it is read, since
    it may not fit in memory. Raises InvalidRequestError naming column and row (rows count from 0).
    """
    if metric is not None and metric not in METRICS:
        raise InvalidRequestError(f"unknown metric {metric!r}; known: {', '.join(METRICS)}")
    check_name(id_column, "id column")
    check_name(vector_column, "vector column")
    reader = _reader_of(data, ids, id_column, vector_column)
    if reader is None:
        return None
    shaper = _Shaper(reader.schema, id_column, vector_column)
    shaped = (shaper.shape(batch) for batch in reader if batch.num_rows)
    first = next(shaped, None)
    if first is None:
        first = shaper.shape(pa.RecordBatch.from_pylist([], schema=reader.schema))
    metadata = {"longbow.metric": metric} if metric else None
    schema = first.schema.with_metadata(metadata)

    def every() -> Iterator[pa.RecordBatch]:
        yield first
        yield from shaped

    sized = (batch.replace_schema_metadata(metadata) for batch in _resized(every()))
    return RowStream(schema, sized if isinstance(data, pa.RecordBatchReader) else iter(list(sized)))


# ---- sources ---------------------------------------------------------------------------------------------------------


def _reader_of(data: object, ids: object, id_column: str, vector_column: str) -> pa.RecordBatchReader | None:
    if ids is not None and not isinstance(data, np.ndarray):
        raise InvalidRequestError(f"'ids' goes with a NumPy array of vectors; here ids are the column {id_column!r}")
    if isinstance(data, pa.RecordBatchReader):
        return data
    if isinstance(data, pa.Table):
        return data.to_reader()
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data]).to_reader()
    if isinstance(data, np.ndarray):
        columns: dict[str, Any] = {} if ids is None else {id_column: ids}
        return _from_columns({**columns, vector_column: data}, vector_column)
    if isinstance(data, Mapping):
        return _from_columns(data, vector_column)
    if type(data).__module__.partition(".")[0] == "pandas":
        return _from_pandas(data)
    if hasattr(data, "__arrow_c_stream__"):  # polars, DuckDB, anything that speaks the Arrow stream interface
        return pa.RecordBatchReader.from_stream(data)
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _from_dicts(data, vector_column) if data else None
    raise InvalidRequestError(
        f"cannot insert a {type(data).__name__}: give a list of dicts, a dict of columns, a NumPy array "
        "[n, dimension], a PyArrow Table, RecordBatch or RecordBatchReader, or a pandas or Polars DataFrame"
    )


def _from_pandas(frame: Any) -> pa.RecordBatchReader:
    if not hasattr(frame, "columns"):
        raise InvalidRequestError(f"cannot insert a pandas {type(frame).__name__}: give a DataFrame")
    try:
        return pa.Table.from_pandas(frame, preserve_index=False).to_reader()
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InvalidRequestError(f"the DataFrame does not fit Arrow: {error}") from error


def _from_dicts(rows: Sequence[object], vector_column: str) -> pa.RecordBatchReader:
    names: dict[str, None] = {}
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InvalidRequestError(f"row {number} is a {type(row).__name__}, expected a dict")
        names.update(dict.fromkeys(row))
    # Without a value in one row is null there; for id and vector the checks below refuse that by row number.
    return _from_columns({name: [row.get(name) for row in rows] for name in names}, vector_column)  # type: ignore[attr-defined]


def _from_columns(columns: Mapping[Any, Any], vector_column: str) -> pa.RecordBatchReader:
    arrays: dict[str, pa.Array] = {}
    for name, values in columns.items():
        check_name(name, "column")
        arrays[name] = _vectors_from(name, values) if name == vector_column else _column_from(name, values)
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise InvalidRequestError(f"columns differ in length: {sizes}")
    return pa.table(arrays).to_reader()


def _column_from(name: str, values: Any) -> pa.Array:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise InvalidRequestError(
            f"column {name!r}: expected a sequence of values, got {type(values).__name__}; a single row is [row]"
        )
    if not isinstance(values, np.ndarray):
        values = list(values)
        if any(isinstance(value, Mapping) for value in values):
            values = [_json_text(name, row, value) for row, value in enumerate(values)]
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InvalidRequestError(f"column {name!r}: {error}") from error


def _json_text(name: str, row: int, value: object) -> str | None:
    if value is None:
        return None
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"column {name!r}, row {row}: cannot be written as JSON: {error}") from error


def _vectors_from(name: str, values: Any) -> pa.Array:
    """FixedSizeList<float32> from a [n, dimension] array or n sequences of numbers; Arrow arrays pass through."""
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise InvalidRequestError(f"column {name!r}: expected vectors, got {type(values).__name__}")
    matrix = values if isinstance(values, np.ndarray) and values.dtype != object else _matrix_of(name, list(values))
    if matrix.ndim != 2:
        raise InvalidRequestError(f"column {name!r}: expected shape [n, dimension], got {list(matrix.shape)}")
    if matrix.dtype.kind not in "fiu":
        raise InvalidRequestError(f"column {name!r}: vectors must be real numbers, got dtype {matrix.dtype}")
    _check_dimension(name, matrix.shape[1])
    # Overflow becomes infinity, which the check of the finished column reports with its row.
    with np.errstate(over="ignore"):
        flat = np.ascontiguousarray(matrix, dtype=np.float32).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), matrix.shape[1])


def _matrix_of(name: str, vectors: list[Any]) -> np.ndarray[Any, Any]:
    expected: int | None = None
    for row, vector in enumerate(vectors):
        if vector is None:
            raise InvalidRequestError(f"column {name!r}, row {row}: no vector")
        if isinstance(vector, (str, bytes)) or not hasattr(vector, "__len__"):
            raise InvalidRequestError(
                f"column {name!r}, row {row}: expected a sequence of numbers, got {type(vector).__name__}"
            )
        expected = len(vector) if expected is None else expected
        if len(vector) != expected:
            raise InvalidRequestError(
                f"column {name!r}, row {row}: dimension mismatch: got {len(vector)}, row 0 has {expected}"
            )
    try:
        matrix = np.asarray(vectors)
    except ValueError as error:
        raise InvalidRequestError(f"column {name!r}: vectors must be flat sequences of numbers: {error}") from error
    if matrix.dtype.kind not in "fiu" and matrix.ndim == 2:
        _refuse_element(name, vectors)
    return matrix if vectors else np.empty((0, 1), np.float32)


def _refuse_element(name: str, vectors: list[Any]) -> None:
    for row, vector in enumerate(vectors):
        for value in vector:
            if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
                raise InvalidRequestError(
                    f"column {name!r}, row {row}: expected numbers, got {type(value).__name__} {value!r}"
                )


# ---- shaping ---------------------------------------------------------------------------------------------------------


class _Shaper:
    """Brings each batch of one source into the form promised above; remembers its columns and the rows gone by."""

    def __init__(self, schema: pa.Schema, id_column: str, vector_column: str) -> None:
        self._rename = {id_column: ID, vector_column: VECTOR}
        names = [self._rename.get(name, name) for name in schema.names]
        for name in names:
            check_name(name, "column")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InvalidRequestError(f"two columns would be called {twice[0]!r}")
        if not names:
            raise InvalidRequestError("the data has no columns")
        self._schema: pa.Schema | None = None
        self._rows_before = 0

    def shape(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        fields: list[pa.Field] = []
        arrays: list[pa.Array] = []
        for field, column in zip(batch.schema, batch.columns, strict=True):
            name = self._rename.get(field.name, field.name)
            if name == VECTOR:
                array = self._vectors(field.name, column)
            elif name == ID:
                array = self._ids(field.name, column)
            elif pa.types.is_null(field.type):
                continue  # nothing but nulls, of no type: leaving the column out says the same
            else:
                array = _plain(field.name, column)
            arrays.append(array)
            # Only vectors keep field metadata: it says how their elements are to be read.
            fields.append(pa.field(name, array.type, metadata=field.metadata if name == VECTOR else None))
        shaped = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
        if self._schema is None:
            self._schema = shaped.schema
        elif not shaped.schema.equals(self._schema):
            raise InvalidRequestError(
                f"the batch from row {self._rows_before} on differs in schema: got {_brief(shaped.schema)}, "
                f"the first has {_brief(self._schema)}"
            )
        self._rows_before += batch.num_rows
        return shaped

    def _refuse(self, name: str, flags: Any, problem: str) -> None:
        """Raises if a flag is set, naming the first such row."""
        bad = np.flatnonzero(np.asarray(flags))
        if bad.size:
            raise InvalidRequestError(f"column {name!r}, row {self._rows_before + int(bad[0])}: {problem}")

    def _ids(self, name: str, column: pa.Array) -> pa.Array:
        column = _plain(name, column)
        if pa.types.is_integer(column.type) and column.type not in _ID_TYPES:
            column = column.cast(pa.int64())
        if column.type not in _ID_TYPES:
            raise InvalidRequestError(f"column {name!r}: an id is an integer or text, got {column.type}")
        if column.null_count:
            self._refuse(name, column.is_null().to_numpy(zero_copy_only=False), "no id")
        return column

    def _vectors(self, name: str, column: pa.Array) -> pa.Array:
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        kind = column.type
        if not (pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)):
            raise InvalidRequestError(f"column {name!r}: expected lists of numbers, got {kind}")
        if not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
            raise InvalidRequestError(f"column {name!r}: vectors must be real numbers, got {kind}")
        if column.null_count:
            self._refuse(name, column.is_null().to_numpy(zero_copy_only=False), "no vector")
        dimension = self._dimension(name, column)
        values = column.flatten()
        if not pa.types.is_fixed_size_list(kind):
            # Lists are what Python and pandas make of vectors; float64 there is no wish. A fixed-size list is one.
            values = values.cast(pa.float32(), safe=False)
        if values.null_count:
            flags = values.is_null().to_numpy(zero_copy_only=False).reshape(-1, dimension).any(axis=1)
            self._refuse(name, flags, "a vector element is null")
        if pa.types.is_floating(values.type):
            elements = values.to_numpy(zero_copy_only=False)
            finite = np.isfinite(elements)
            if not finite.all():
                self._refuse(
                    name,
                    ~finite.reshape(-1, dimension).all(axis=1),
                    f"a vector element is NaN or infinite as {elements.dtype}",
                )
        return pa.FixedSizeListArray.from_arrays(values, dimension)

    def _dimension(self, name: str, column: pa.Array) -> int:
        if pa.types.is_fixed_size_list(column.type):
            dimension = int(column.type.list_size)
        elif self._schema is not None:
            dimension = int(self._schema.field(VECTOR).type.list_size)
        else:
            dimension = int(pc.list_value_length(column)[0].as_py()) if len(column) else 1
        _check_dimension(name, dimension)
        if not pa.types.is_fixed_size_list(column.type):
            lengths = np.asarray(pc.list_value_length(column))
            wrong = lengths != dimension
            if wrong.any():
                got = int(lengths[np.flatnonzero(wrong)[0]])
                self._refuse(name, wrong, f"dimension mismatch: got {got}, row 0 has {dimension}")
        return dimension


def _check_dimension(name: str, dimension: int) -> None:
    if not 1 <= dimension <= DIMENSION_MAX:
        raise InvalidRequestError(f"column {name!r}: dimension must be in 1..{DIMENSION_MAX}, got {dimension}")


def _plain(name: str, column: pa.Array) -> pa.Array:
    """Text and bytes in their 32-bit form, dictionaries as their values: what every server version can filter."""
    try:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_large_string(column.type) or column.type == pa.string_view():
            return column.cast(pa.string())
        if pa.types.is_large_binary(column.type) or column.type == pa.binary_view():
            return column.cast(pa.binary())
    except pa.ArrowException as error:
        raise InvalidRequestError(f"column {name!r}: {error}") from error
    return column


def _resized(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of about BATCH_BYTES: large ones cut, small neighbours joined."""
    pending: list[pa.RecordBatch] = []
    pending_bytes = 0
    for batch in batches:
        rows = max(1, int(batch.num_rows * BATCH_BYTES / max(batch.nbytes, 1)))
        for at in range(0, batch.num_rows, rows):
            piece = batch.slice(at, rows)
            if pending and pending_bytes + piece.nbytes > BATCH_BYTES:
                yield _joined(pending)
                pending, pending_bytes = [], 0
            pending.append(piece)
            pending_bytes += piece.nbytes
    if pending:
        yield _joined(pending)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def _brief(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)
