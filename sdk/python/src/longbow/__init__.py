"""Client of Longbow, the Arrow-native vector database.

from longbow import LongbowClient, col

with LongbowClient("grpc://127.0.0.1:3000") as client:
client.insert("docs", [{"id": 1, "vector": [0.1, 0.2], "title": "first"}])
for hit in client.search("docs", [0.1, 0.2], k=5, filters=col("title") == "first"):
print(hit.id, hit.score)
"""

from ._client import LongbowClient
from ._errors import (
    AbortedError,
    AlreadyExistsError,
    AuthenticationError,
    CancelledError,
    DataLossError,
    DeadlineError,
    FailedPreconditionError,
    InternalError,
    InvalidRequestError,
    LongbowError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
    UnsupportedError,
)
from ._filters import Column, Filter, col
from ._results import DatasetInfo, Hit, SearchResult
from ._retry import RetryPolicy
from ._rows import RowStream
from ._transport import BatchStream, Transport
from ._version import __version__

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "AuthenticationError",
    "BatchStream",
    "CancelledError",
    "Column",
    "DataLossError",
    "DatasetInfo",
    "DeadlineError",
    "FailedPreconditionError",
    "Filter",
    "Hit",
    "InternalError",
    "InvalidRequestError",
    "LongbowClient",
    "LongbowError",
    "NotFoundError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "RetryPolicy",
    "RowStream",
    "SearchResult",
    "Transport",
    "UnavailableError",
    "UnsupportedError",
    "__version__",
    "col",
]
