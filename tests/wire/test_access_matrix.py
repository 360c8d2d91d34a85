"""Every verb x every kind of caller. The verbs come from the code (ListVerbs); one without a row here fails."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import access_keys as keys
import grpc
import numpy as np
import pyarrow as pa
import pytest
from flight_calls import exchange_query, vector_table
from raw_flight import (
    SERVICE,
    RawFlight,
    command_descriptor,
    field,
    fields,
    flight_data,
    ipc_messages,
    path_descriptor,
    put_messages,
)

VECTORS = np.eye(2, 4, dtype=np.float32)
TABLE = vector_table(VECTORS, text=pa.array(["x", "y"]))
RIGHTS = ["none", "read", "write", "admin"]
REFUSED = {"UNAUTHENTICATED", "PERMISSION_DENIED"}
HTTP_CODES = {200: "OK", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}


@dataclasses.dataclass
class Row:
    """What a verb takes, as this test says it: the code's own list must agree."""

    right: str
    scope: str
    messages: Callable[[str, str], list[bytes]]  # of dataset and namespace -> the requests of one call
    codes: tuple[str, ...] = ("OK",)  # how it ends for who may


def nothing(*_: str) -> list[bytes]:
    return [b""]


def body(**members: object) -> Callable[[str, str], list[bytes]]:
    """An action's body, in which DATASET and NAMESPACE stand for those of the call."""

    def make(dataset: str, namespace: str) -> list[bytes]:
        names = {"DATASET": dataset, "NAMESPACE": namespace}
        return [json.dumps({key: names.get(str(value), value) for key, value in members.items()}).encode()]

    return make


def exchange_search(dataset: str, _: str) -> list[bytes]:
    (schema, _), *batches = ipc_messages(exchange_query(dataset, VECTORS[0]))
    first = flight_data(command_descriptor(b"VectorSearch"), schema)
    return [first, *(flight_data(None, header, None, data) for header, data in batches)]


def exchange_ingest(dataset: str, _: str) -> list[bytes]:
    (schema, _), *batches = ipc_messages(TABLE)
    first = flight_data(path_descriptor("ingest", dataset), schema)
    return [first, *(flight_data(None, header, None, data) for header, data in batches)]


def native_search(dataset: str, _: str) -> list[bytes]:
    return [field(2, dataset) + field(3, VECTORS[0].tobytes()) + field(6, 1)]


def search_body(**more: object) -> Callable[[str, str], list[bytes]]:
    return body(dataset="DATASET", vector=[1, 0, 0, 0], k=1, **more)


SEARCH, HEALTH, REFLECTION = (
    "/longbow.v1.SearchService/",
    "/grpc.health.v1.Health/",
    "ServerReflection/ServerReflectionInfo",
)
SNAPSHOTS = ("FAILED_PRECONDITION", "NOT_FOUND", "INVALID_ARGUMENT")  # this server keeps none
ROWS = {
    SERVICE + "DoGet": Row("read", "dataset", lambda dataset, _: [field(1, dataset)]),
    SERVICE + "DoPut": Row("write", "dataset", lambda dataset, _: put_messages(dataset, TABLE)),
    SERVICE + "DoAction": Row("read", "any_key", lambda *_: [field(1, "ListVerbs")]),
    SERVICE + "DoExchange": Row(
        "read", "any_key", lambda *_: [flight_data(command_descriptor(b"x"))], ("UNIMPLEMENTED",)
    ),
    SERVICE + "ListActions": Row("read", "any_key", nothing),
    SERVICE + "ListFlights": Row("read", "visible", nothing),
    SERVICE + "GetFlightInfo": Row("read", "dataset", lambda dataset, _: [path_descriptor(dataset)]),
    SERVICE + "GetSchema": Row("read", "dataset", lambda dataset, _: [path_descriptor(dataset)]),
    SERVICE + "Handshake": Row("read", "any_key", nothing),
    HEALTH + "Check": Row("none", "public", nothing),
    HEALTH + "Watch": Row("none", "public", nothing, ("DEADLINE_EXCEEDED",)),
    SEARCH + "Search": Row("read", "dataset", native_search),
    SEARCH + "SearchStream": Row("read", "dataset", native_search),
    "/grpc.reflection.v1." + REFLECTION: Row("read", "any_key", lambda *_: [field(7, "")]),
    "/grpc.reflection.v1alpha." + REFLECTION: Row("read", "any_key", lambda *_: [field(7, "")]),
    "DoExchange/VectorSearch": Row("read", "dataset", exchange_search),
    "DoExchange/ingest": Row("write", "dataset", exchange_ingest),
    "VectorSearch": Row("read", "dataset", search_body()),
    "VectorSearchByID": Row("read", "dataset", body(dataset="DATASET", id=0, k=1)),
    "HybridSearch": Row("read", "dataset", search_body(text_query="x")),
    "check_readiness": Row("read", "dataset", body(dataset="DATASET")),
    "delete": Row("write", "dataset", body(dataset="DATASET", id=0)),
    "Delete": Row("write", "dataset", body(dataset="DATASET", id=0)),
    "count": Row("read", "dataset", body(dataset="DATASET")),
    "delete-vector": Row("write", "dataset", body(dataset="DATASET", vector_id=0)),
    "update": Row("write", "dataset", body(dataset="DATASET", id=0, set={"text": "z"})),
    "SetTtl": Row("write", "dataset", body(dataset="DATASET", ttl_seconds=3600)),
    "delete-dataset": Row("write", "dataset", body(dataset="DATASET")),
    "CreateNamespace": Row("write", "namespace", body(name="NAMESPACE"), ("ALREADY_EXISTS",)),
    "DeleteNamespace": Row("write", "namespace", body(name="NAMESPACE"), ("FAILED_PRECONDITION",)),
    "ListNamespaces": Row("read", "visible", nothing),
    "GetTotalNamespaceCount": Row("read", "visible", nothing),
    "GetNamespaceDatasetCount": Row("read", "namespace", body(name="NAMESPACE")),
    "NamespaceUsage": Row("read", "namespace", body(name="NAMESPACE")),
    "cluster-status": Row("read", "node", nothing, ("UNAVAILABLE",)),
    "ForceSnapshot": Row("admin", "node", nothing),
    "CreateSnapshot": Row("admin", "node", nothing, SNAPSHOTS),
    "SnapshotStatus": Row("admin", "node", body(id="x"), SNAPSHOTS),
    "CancelSnapshot": Row("admin", "node", body(id="x"), SNAPSHOTS),
    "ListSnapshots": Row("admin", "node", nothing, SNAPSHOTS),
    "DeleteSnapshot": Row("admin", "node", body(id="x"), SNAPSHOTS),
    "ListJobs": Row("read", "node", nothing),
    "CancelJob": Row("admin", "node", body(id="x"), ("NOT_FOUND",)),
    "ListVerbs": Row("read", "any_key", nothing),
    "GET /metrics": Row("read", "node", nothing),
    "GET /livez": Row("none", "public", nothing),
    "GET /startupz": Row("none", "public", nothing),
    "GET /readyz": Row("none", "public", nothing),
    "GET /health": Row("none", "public", nothing),
}

# name -> right and namespace; "": none, or one that does not hold
CALLERS = {
    "no key": ("", ""),
    "garbage": ("", ""),
    "expired": ("", ""),
    "revoked": ("", ""),
    "read": ("read", "ns1"),
    "write": ("write", "ns1"),
    "admin of ns1": ("admin", "ns1"),
    "other namespace": ("admin", "ns2"),
    "read everywhere": ("read", "*"),
    "admin": ("admin", "*"),
}


@dataclasses.dataclass
class Guarded:
    server: object
    raw: RawFlight
    keys: dict[str, str | None]

    def list_verbs(self) -> dict[str, dict]:
        answer = keys.act(self.raw, self.keys["admin"], "ListVerbs").only_message()
        return {verb["name"]: verb for verb in json.loads(fields(answer)[1][0])["verbs"]}

    def ask(self, verb: dict, row: Row, caller: str, dataset: str, namespace: str) -> tuple[str, str]:
        """How the call ends: code and words."""
        key, messages = self.keys[caller], row.messages(dataset, namespace)
        if verb["kind"] == "http":
            return HTTP_CODES[keys.http(self.server, verb["name"].removeprefix("GET "), key)], ""
        if verb["kind"] == "action":
            answer = keys.call(self.raw, key, "DoAction", field(1, verb["name"]) + field(2, messages[0]))
        else:
            path = "DoExchange" if verb["kind"] == "exchange" else verb["name"]
            answer = keys.call(self.raw, key, path, *messages)
        if verb["name"].endswith("SearchStream") and answer.code == "OK":  # each answer has a code of its own
            inner = fields(answer.messages[0])
            number = inner.get(2, [0])[0]
            (code,) = [code.name for code in grpc.StatusCode if code.value[0] == number]
            return code, inner.get(3, [b""])[0].decode()
        return answer.code, answer.details

    def put(self, dataset: str) -> None:
        answer = keys.call(self.raw, self.keys["admin"], "DoPut", *put_messages(dataset, TABLE))
        answer.expect("OK")

    def rows(self, dataset: str) -> int:
        answer = keys.call(self.raw, self.keys["admin"], "GetFlightInfo", path_descriptor(dataset)).only_message()
        return fields(answer)[4][0]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    from longbow_server import LongbowServer

    folder = tmp_path_factory.mktemp("access")
    file = keys.AccessFile(folder / "keys.json")
    made = {name: file.create(namespace or "*", right or "admin") for name, (right, namespace) in CALLERS.items()}
    file.change("revoke", f"--id={keys.key_id(made['revoked'])}")
    file.expire(made["expired"])
    made["no key"], made["garbage"] = None, "lb_nonsense"
    server = LongbowServer(folder / "data", access_file=file.path).start()
    try:
        with RawFlight(server.data_port, timeout_s=2) as raw:
            yield Guarded(server, raw, made)
        assert server.alive()
    finally:
        server.close()


def expected(row: Row, caller: str) -> set[str]:
    right, namespace = CALLERS[caller]
    if row.scope == "public":
        return set(row.codes)
    if not right:
        return {"UNAUTHENTICATED"}
    covers = {"node": namespace == "*", "dataset": namespace in ("ns1", "*"), "namespace": namespace in ("ns1", "*")}
    if RIGHTS.index(right) < RIGHTS.index(row.right) or not covers.get(row.scope, True):
        return {"PERMISSION_DENIED"}
    return set(row.codes)


def test_every_verb_has_a_row(guarded):
    listed = guarded.list_verbs()
    assert set(listed) == set(ROWS), "verbs of the code and rows of this test"
    for name, row in ROWS.items():
        assert (listed[name]["right"], listed[name]["scope"]) == (row.right, row.scope), name


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("name", ROWS)
def test_matrix(guarded, name, caller):
    verb, row = guarded.list_verbs()[name], ROWS[name]
    guarded.put("ns1/docs")
    code, words = guarded.ask(verb, row, caller, "ns1/docs", "ns1")
    assert code in expected(row, caller), (code, words)
    if code in REFUSED:
        assert guarded.rows("ns1/docs") == 2, "refused, and yet it happened"
        if row.scope in ("dataset", "namespace"):
            # The same words for what is not there: nobody learns what exists.
            absent_code, absent_words = guarded.ask(verb, row, caller, "ns1/none", "ns1")
            assert (absent_code, absent_words) == (code, words)


@pytest.mark.parametrize("dataset", ["default/ns1/docs", "default/default/ns1/docs"])
def test_no_detour_leads_into_another_namespace(guarded, dataset):
    guarded.put("ns1/docs")
    default_key = guarded.keys["other namespace"]
    for method, message in (("DoGet", field(1, dataset)), ("GetFlightInfo", path_descriptor(dataset))):
        keys.call(guarded.raw, default_key, method, message).expect("PERMISSION_DENIED")
        keys.call(guarded.raw, guarded.keys["read"], method, message).expect("OK")


def test_one_exchange_cannot_wander(guarded):
    """Each row of a binary search names its dataset: a later one in another namespace is refused."""
    guarded.put("ns1/docs")
    guarded.put("ns2/docs")
    query = exchange_query("ns1/docs", VECTORS[0])
    both = pa.Table.from_batches([query, exchange_query("ns2/docs", VECTORS[0])]).combine_chunks().to_batches()[0]
    (schema, _), *batches = ipc_messages(both)
    messages = [flight_data(command_descriptor(b"VectorSearch"), schema)]
    messages += [flight_data(None, header, None, data) for header, data in batches]
    keys.call(guarded.raw, guarded.keys["read"], "DoExchange", *messages).expect("PERMISSION_DENIED", "ns2")


def test_lists_show_what_the_caller_may_see(guarded):
    guarded.put("ns1/docs")
    guarded.put("ns2/secret")
    guarded.put("plain")

    def seen(caller: str) -> tuple[set[str], list[str], int]:
        key = guarded.keys[caller]
        flights = keys.call(guarded.raw, key, "ListFlights", b"").expect("OK").messages
        names = {fields(fields(info)[2][0])[3][0].decode() for info in flights}
        spaces = json.loads(fields(keys.act(guarded.raw, key, "ListNamespaces").only_message())[1][0])
        count = json.loads(fields(keys.act(guarded.raw, key, "GetTotalNamespaceCount").only_message())[1][0])
        return names, spaces["namespaces"], count["count"]

    assert seen("read") == ({"ns1/docs"}, ["ns1"], 1)
    names, spaces, count = seen("admin")
    assert {"ns1/docs", "ns2/secret", "plain"} <= names and spaces == ["default", "ns1", "ns2"] and count == 3


def test_what_is_not_served_is_told_to_nobody_without_a_key(guarded):
    for method in ("NoSuchMethod", "/no.such.Service/Method"):
        keys.call(guarded.raw, None, method, b"").expect("UNAUTHENTICATED")
        keys.call(guarded.raw, guarded.keys["read"], method, b"").expect("UNIMPLEMENTED")
    keys.act(guarded.raw, guarded.keys["read"], "NoSuchAction").expect("UNIMPLEMENTED")
