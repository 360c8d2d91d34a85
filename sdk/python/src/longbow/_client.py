"""The client: one object, one method per thing the database does."""

from __future__ import annotations

import builtins
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ._errors import (
    DeadlineError,
    InternalError,
    InvalidRequestError,
    LongbowError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)
from ._filters import FilterLike, Json, col, filters_to_json
from ._limits import (
    DIMENSION_MAX,
    EF_MAX,
    IDS_MAX,
    K_MAX,
    QUERIES_MAX,
    RECALL_TARGET_MIN,
    RowIdLike,
    check_count,
    check_id,
    check_ids,
    check_name,
    check_timeout,
)
from ._results import DatasetInfo, SearchResult
from ._retry import RetryPolicy, call_with_retry
from ._rows import ID, VECTOR, RowStream, row_stream
from ._transport import BatchStream, FlightTransport, Transport

T = TypeVar("T")

TIMEOUT_S: Final = 30.0
BULK_TIMEOUT_S: Final = 600.0
_SCAN_LIMIT_MAX: Final = 2**63 - 1


class LongbowClient:
    """A connection to a Longbow server.

    Thread safe: share one between threads. Connects on the first call. Use it as a context manager, or call close().

    Every method raises a LongbowError: InvalidRequestError before the network where the request itself is wrong,
    NotFoundError for an unknown dataset, UnavailableError where no server answers, DeadlineError after `timeout_s`, and
    so on. Searches, scans and listings are repeated on UNAVAILABLE by `retry`; what changes something never is.
    """

    def __init__(
        self,
        uri: str = "grpc://127.0.0.1:3000",
        meta_uri: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        bulk_timeout_s: float = BULK_TIMEOUT_S,
        retry: RetryPolicy | None = None,
        tls_root_certs: bytes | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Nothing is sent yet.

        uri             grpc://host:port, or grpc+tls://host:port
        meta_uri        address for listings and namespaces; the same by default, since every port serves everything
        api_key         sent as `authorization: Bearer <key>`
        timeout_s       of a whole call, repetitions included; bulk_timeout_s: the same of inserts and scans
        retry           how idempotent calls are repeated; RetryPolicy(attempts=1) switches that off
        tls_root_certs  PEM text of the authorities to trust with grpc+tls, instead of the system's
        transport       replaces the network, for tests; uri and what follows from it are then unused
        """
        self._timeout_s = check_timeout(timeout_s)
        self._bulk_timeout_s = check_timeout(bulk_timeout_s, "bulk_timeout_s")
        self._retry = RetryPolicy() if retry is None else retry
        self._closed = False
        self._transport_or_double: Transport = (
            FlightTransport(uri, meta_uri, api_key, tls_root_certs) if transport is None else transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connection back. Further calls raise LongbowError. May be called twice."""
        if not self._closed:
            self._closed = True
            self._transport_or_double.close()

    # ---- rows --------------------------------------------------------------------------------------------------------

    def insert(
        self,
        dataset: str,
        data: object,
        *,
        ids: npt.ArrayLike | None = None,
        metric: str | None = None,
        id_column: str = ID,
        vector_column: str = VECTOR,
        timeout_s: float | None = None,
    ) -> int:
        """Adds rows, or replaces those whose id is there already; returns how many were acknowledged.

        On return the rows are durable and every search, get and scan sees them. A dataset is made by its first insert.

        data    list of dicts · dict of columns · NumPy array [n, dimension] · PyArrow Table, RecordBatch or
                RecordBatchReader · pandas or Polars DataFrame · anything with `__arrow_c_stream__`
        ids     [n] ints or texts, with a NumPy array only
        metric  "euclidean" (default), "cosine", "dot_product" or, for packed bits in uint8, "hamming" or "jaccard";
                counts in a dataset's first insert

        Lists of floats become vectors of float32; dicts inside a column become JSON text. Rows without an id column are
        known by their position and always added. Data in memory is checked wholly before anything is sent; a
        RecordBatchReader batch by batch while it is sent. If the call fails on the way a part of the rows may have been
        stored: with ids it is safe to insert them all again.
        """
        check_name(dataset)
        limit_s = self._bulk_timeout_s if timeout_s is None else check_timeout(timeout_s)
        transport = self._transport()
        stream = row_stream(data, ids=ids, metric=metric, id_column=id_column, vector_column=vector_column)
        if stream is None:
            return 0
        rows = 0

        def counted() -> Iterator[pa.RecordBatch]:
            nonlocal rows
            for batch in stream.batches:
                rows += batch.num_rows
                yield batch

        transport.put(dataset, RowStream(stream.schema, counted()), limit_s)
        return rows

    def get(self, dataset: str, ids: Iterable[RowIdLike], *, timeout_s: float | None = None) -> pa.Table:
        """The rows with these ids, all columns, in the order asked for; ids that don't exist are left out."""
        wanted = list(dict.fromkeys(check_ids(ids)))
        if len(wanted) > IDS_MAX:
            raise InvalidRequestError(f"at most {IDS_MAX} ids in one get, got {len(wanted)}")
        table = self.scan(dataset, filters=col(ID).isin(wanted), timeout_s=timeout_s)
        if table.num_rows == 0:
            return table
        id_type = table.schema.field(ID).type
        order = pa.array([str(i) for i in wanted]).cast(id_type)
        return table.take(pc.sort_indices(pc.index_in(table[ID], value_set=order)))

    def scan(
        self,
        dataset: str,
        *,
        limit: int | None = None,
        filters: FilterLike | None = None,
        timeout_s: float | None = None,
    ) -> pa.Table:
        """The dataset's rows as one table, in no promised order: at most `limit`, only those that pass `filters`."""
        stream = self._open_scan(dataset, limit, filters, timeout_s)
        return pa.Table.from_batches(stream.batches, schema=stream.schema)

    def scan_batches(
        self,
        dataset: str,
        *,
        limit: int | None = None,
        filters: FilterLike | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """As scan, one batch at a time, for datasets larger than memory. Leaving the loop early ends the call."""
        return self._open_scan(dataset, limit, filters, timeout_s).batches

    def _open_scan(
        self, dataset: str, limit: int | None, filters: FilterLike | None, timeout_s: float | None
    ) -> BatchStream:
        ticket: Json = {"name": check_name(dataset)}
        if limit is not None:
            ticket["limit"] = check_count(limit, "limit", _SCAN_LIMIT_MAX)
        if conditions := filters_to_json(filters):
            ticket["filters"] = conditions
        # Only the opening is repeated: once batches flow, a break is the caller's to handle.
        return self._call(lambda t, left: t.get(_encode(ticket), left), self._bulk_timeout_s, timeout_s)

    def delete(self, dataset: str, ids: Iterable[RowIdLike], *, timeout_s: float | None = None) -> None:
        """Deletes rows by id; on return they are gone from every search, get and scan.

        NotFoundError if an id isn't there, and then nothing is deleted. Never repeated by itself: the second try of a
        delete whose answer was lost would say NotFoundError.
        """
        wanted = check_ids(ids)
        if len(wanted) > IDS_MAX:
            raise InvalidRequestError(f"at most {IDS_MAX} ids in one delete, got {len(wanted)}")
        body = {"dataset": check_name(dataset), "ids": [str(i) for i in wanted]}
        if wanted:
            self._action("delete", body, timeout_s, repeat=False)

    # ---- search ------------------------------------------------------------------------------------------------------

    def search(
        self,
        dataset: str,
        vector: npt.ArrayLike,
        k: int = 10,
        *,
        filters: FilterLike | None = None,
        ef: int | None = None,
        recall_target: float | None = None,
        include_vectors: bool = False,
        radius: float | None = None,
        score_min: float | None = None,
        explain: bool = False,
        timeout_s: float | None = None,
    ) -> SearchResult:
        """The k rows nearest to `vector` ([dimension] numbers), best first; fewer only where fewer rows qualify.

        filters    rows must pass: `col("published") >= date(2026, 1, 1)`, a dict, or a list of those (all must hold)
        ef         beam width: larger finds more of the true neighbours and takes longer; else the server's default
        recall_target  in the place of ef, 0.5 to below 1: the share of the true neighbours to come back on average
        radius     only rows at most this far away (L2 distance, or 1 - cosine); not for dot_product
        score_min  only rows with at least this score
        explain    the result's `explanation` says how it was found
        """
        query = _vectors(vector, dimensions=1)
        request = _search_request(dataset, k, filters, _effort(ef, recall_target), include_vectors)
        request |= _search_limits(radius, score_min, explain)
        request["vector"] = query.tolist()
        ticket = _encode({"search": request})

        def run(transport: Transport, left_s: float) -> SearchResult:
            stream = transport.get(ticket, left_s)
            return SearchResult(pa.Table.from_batches(stream.batches, schema=stream.schema))

        return self._call(run, self._timeout_s, timeout_s)

    def search_batch(
        self,
        dataset: str,
        vectors: npt.ArrayLike,
        k: int = 10,
        *,
        filters: FilterLike | None = None,
        ef: int | None = None,
        recall_target: float | None = None,
        include_vectors: bool = False,
        timeout_s: float | None = None,
    ) -> builtins.list[SearchResult]:
        """One result for each row of `vectors` ([n, dimension]), in their order, in one round trip."""
        queries = _vectors(vectors, dimensions=2)
        request = _search_request(dataset, k, filters, _effort(ef, recall_target), include_vectors)
        if len(queries) > QUERIES_MAX:
            raise InvalidRequestError(f"at most {QUERIES_MAX} vectors in one batch, got {len(queries)}")
        if not len(queries):
            return []
        request["vectors"] = queries.tolist()
        answers = self._action("VectorSearch", request, timeout_s)
        if len(answers) != len(queries):
            raise InternalError(f"asked {len(queries)} searches, got {len(answers)} answers")
        try:
            return [SearchResult(pa.ipc.open_stream(answer).read_all()) for answer in answers]
        except pa.ArrowException as error:
            raise InternalError(f"the answer is no Arrow stream: {error}") from error

    def search_by_id(
        self, dataset: str, row_id: RowIdLike, k: int = 10, *, timeout_s: float | None = None
    ) -> SearchResult:
        """The k rows nearest to the row with this id, itself included. NotFoundError if there is none."""
        body = {
            "dataset": check_name(dataset),
            "id": str(check_id(row_id)),
            "k": check_count(k, "k", K_MAX),
        }
        answer = self._json_action("VectorSearchByID", body, timeout_s)
        try:
            arrays = [pa.array(answer["ids"], pa.uint64()), pa.array(answer["scores"], pa.float32())]
            return SearchResult(pa.Table.from_arrays(arrays, names=["id", "score"]))
        except (KeyError, pa.ArrowException, TypeError, OverflowError) as error:
            raise InternalError(f"the answer has no matching ids and scores: {error}") from error

    # ---- datasets and namespaces -------------------------------------------------------------------------------------

    def list(self, *, timeout_s: float | None = None) -> builtins.list[DatasetInfo]:
        """All datasets with their row counts, by name."""
        found = self._call(lambda t, left: t.datasets(left), self._timeout_s, timeout_s)
        # The listing names namespaces too, as entries without rows or columns.
        if any(info.schema is None and info.rows == 0 for info in found):
            namespaces = set(self.list_namespaces(timeout_s=timeout_s))
            found = [info for info in found if info.schema is not None or info.rows or info.name not in namespaces]
        return sorted(found, key=lambda info: info.name)

    def info(self, dataset: str, *, timeout_s: float | None = None) -> DatasetInfo:
        """Rows, size and columns of one dataset."""
        name = check_name(dataset)
        return self._call(lambda t, left: t.dataset(name, left), self._timeout_s, timeout_s)

    def delete_dataset(self, dataset: str, *, timeout_s: float | None = None) -> None:
        """Deletes a dataset with all its rows. Not repeated: a second try could not tell its own success."""
        self._action("delete-dataset", {"dataset": check_name(dataset)}, timeout_s, repeat=False)

    def create_namespace(self, name: str, *, timeout_s: float | None = None) -> None:
        """Makes a namespace; its datasets are called "name/dataset"."""
        body = {"name": check_name(name, "namespace")}
        self._action("CreateNamespace", body, timeout_s, meta=True, repeat=False)

    def delete_namespace(self, name: str, *, timeout_s: float | None = None) -> None:
        """Deletes a namespace."""
        body = {"name": check_name(name, "namespace")}
        self._action("DeleteNamespace", body, timeout_s, meta=True, repeat=False)

    def list_namespaces(self, *, timeout_s: float | None = None) -> builtins.list[str]:
        """The names of all namespaces, sorted; "default" is always there."""
        answer = self._json_action("ListNamespaces", {}, timeout_s, meta=True)
        names = answer.get("namespaces")
        if not isinstance(names, builtins.list):
            raise InternalError("the answer has no list of namespaces")
        return sorted(str(name) for name in names)

    # ---- the server --------------------------------------------------------------------------------------------------

    def snapshot(self, *, timeout_s: float | None = None) -> None:
        """Has the server write a checkpoint now, so that its next start has less to replay."""
        limit_s = self._bulk_timeout_s if timeout_s is None else timeout_s
        self._action("ForceSnapshot", {}, limit_s, repeat=False)

    def is_ready(self, dataset: str | None = None, *, timeout_s: float | None = None) -> bool:
        """Whether the server answers and has no work pending (for `dataset`). False too where no server answers.

        Rows need no waiting for: an acknowledged insert is searchable. NotFoundError for an unknown dataset.
        """
        return self._why_not_ready(dataset, timeout_s) is None

    def wait_until_ready(self, dataset: str | None = None, *, timeout_s: float = 60.0) -> None:
        """Returns as soon as is_ready; DeadlineError with the last reason after `timeout_s`."""
        deadline = time.monotonic() + check_timeout(timeout_s)
        pause_s = 0.02
        while True:
            left_s = deadline - time.monotonic()
            reason = self._why_not_ready(dataset, max(left_s, 0.05))
            if reason is None:
                return
            if time.monotonic() + pause_s >= deadline:
                raise DeadlineError(f"not ready after {timeout_s:g} s: {reason}")
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.5)

    def _why_not_ready(self, dataset: str | None, timeout_s: float | None) -> str | None:
        body = {} if dataset is None else {"dataset": check_name(dataset)}
        try:
            answer = self._json_action("check_readiness", body, timeout_s, repeat=False)
        except (UnavailableError, DeadlineError, ResourceExhaustedError) as error:
            return error.message
        status = answer.get("status")
        if status == "READY":
            return None
        reason = str(answer.get("reason") or status or "no status in the answer")
        if status == "NOT_FOUND":
            raise NotFoundError(reason)
        return reason

    # ---- calls -------------------------------------------------------------------------------------------------------

    def _transport(self) -> Transport:
        if self._closed:
            raise LongbowError("the client is closed")
        return self._transport_or_double

    def _call(
        self,
        call: Callable[[Transport, float], T],
        default_s: float,
        timeout_s: float | None,
        *,
        repeat: bool = True,
    ) -> T:
        limit_s = default_s if timeout_s is None else check_timeout(timeout_s)
        policy = self._retry if repeat else RetryPolicy(attempts=1)
        return call_with_retry(lambda left_s: call(self._transport(), left_s), policy, limit_s)

    def _action(
        self, name: str, body: Mapping[str, Any], timeout_s: float | None, *, meta: bool = False, repeat: bool = True
    ) -> builtins.list[bytes]:
        encoded = _encode(body)
        return self._call(
            lambda t, left: t.action(name, encoded, left, meta=meta), self._timeout_s, timeout_s, repeat=repeat
        )

    def _json_action(
        self, name: str, body: Mapping[str, Any], timeout_s: float | None, *, meta: bool = False, repeat: bool = True
    ) -> Json:
        results = self._action(name, body, timeout_s, meta=meta, repeat=repeat)
        try:
            answer = json.loads(results[0]) if results else None
        except ValueError as error:
            raise InternalError(f"{name}: the answer is no JSON: {error}") from error
        if not isinstance(answer, dict):
            raise InternalError(f"{name}: expected a JSON object as answer, got {type(answer).__name__}")
        return answer


def _encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _effort(ef: int | None, recall_target: float | None) -> Json:
    """How far a search looks. Absent keys are the defaults; older servers refuse keys they don't know."""
    if recall_target is None:
        return {} if ef is None else {"ef": check_count(ef, "ef", EF_MAX)}
    if ef is not None:
        raise InvalidRequestError("ef and recall_target exclude each other: give one of them")
    if not RECALL_TARGET_MIN <= recall_target < 1:
        raise InvalidRequestError(
            f"recall_target must be at least {RECALL_TARGET_MIN} and below 1, got {recall_target}"
        )
    return {"recall_target": float(recall_target)}


def _search_request(dataset: str, k: int, filters: FilterLike | None, effort: Json, include_vectors: bool) -> Json:
    request: Json = {"dataset": check_name(dataset), "k": check_count(k, "k", K_MAX)}
    if conditions := filters_to_json(filters):
        request["filters"] = conditions
    request |= effort
    if include_vectors:
        request["include_vectors"] = True
        request["vector_format"] = "f32"
    return request


def _search_limits(radius: float | None, score_min: float | None, explain: bool) -> Json:
    limits: Json = {}
    for name, limit in (("radius", radius), ("score_min", score_min)):
        if limit is not None:
            if not math.isfinite(limit):
                raise InvalidRequestError(f"{name} must be a finite number, got {limit}")
            limits[name] = float(limit)
    if explain:
        limits["explain"] = True
    return limits


def _vectors(values: npt.ArrayLike, *, dimensions: int) -> npt.NDArray[np.float32]:
    """Query vectors as float32, [dimension] or [n, dimension], or InvalidRequestError."""
    shape = "[dimension]" if dimensions == 1 else "[n, dimension]"
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InvalidRequestError(f"query vectors must have the shape {shape}: {error}") from error
    if array.ndim != dimensions:
        raise InvalidRequestError(f"query must have the shape {shape}, got {[*array.shape]}")
    if array.size and array.dtype.kind not in "fiu":
        raise InvalidRequestError(f"query must hold real numbers, got dtype {array.dtype}")
    if (len(array) and not 1 <= array.shape[-1] <= DIMENSION_MAX) or (dimensions == 1 and not len(array)):
        raise InvalidRequestError(f"query dimension must be in 1..{DIMENSION_MAX}, got {array.shape[-1]}")
    with np.errstate(over="ignore"):
        narrow = array.astype(np.float32)
    finite = np.isfinite(narrow)
    if not finite.all():
        at = np.argwhere(~finite)[0].tolist()
        raise InvalidRequestError(f"query element {at} is NaN or infinite (as float32)")
    return narrow
