"""A client of longbow.v1.SearchService whose messages are made from what the server's reflection says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import grpc
import numpy as np
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICE = "longbow.v1.SearchService"


class SearchClient:
    """One channel. `request` builds a SearchRequest; `search` and `stream` send them."""

    def __init__(self, target: str):
        self.channel = grpc.insecure_channel(target, [("grpc.max_receive_message_length", -1)])
        service = DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel)).FindServiceByName(SERVICE)
        method = service.methods_by_name["Search"]
        self.request_class = GetMessageClass(method.input_type)
        coding = {
            "request_serializer": self.request_class.SerializeToString,
            "response_deserializer": GetMessageClass(method.output_type).FromString,
        }
        self._search = self.channel.unary_unary(f"/{SERVICE}/Search", **coding)
        self._stream = self.channel.stream_stream(f"/{SERVICE}/SearchStream", **coding)

    def request(self, collection: str, vectors: np.ndarray | None = None, **more) -> Message:
        """vectors: [dim] or [n, dim], float32, float64 or int64."""
        request = self.request_class(collection=collection, **more)
        if vectors is not None:
            request.vectors = np.ascontiguousarray(vectors).tobytes()
            request.queries = 1 if vectors.ndim == 1 else len(vectors)
            request.element_type = {"float32": 0, "float64": 1, "int64": 2}[vectors.dtype.name]
        return request

    def search(self, collection: str, vectors: np.ndarray | None = None, timeout: float = 30, **more) -> Message:
        return self._search(self.request(collection, vectors, **more), timeout=timeout)

    def stream(self, requests: Iterable[Message], timeout: float = 60) -> Iterator[Message]:
        return self._stream(iter(requests), timeout=timeout)

    def close(self) -> None:
        self.channel.close()

    def __enter__(self) -> SearchClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
