"""Namespaces: what they hold, what they may hold, and ten thousand of them."""

from __future__ import annotations

import json
import threading
import time

import access_keys as keys
import flight_calls as fc
import numpy as np
import pyarrow.flight as flight
import pytest
from longbow_server import sanitized, wait_until
from raw_flight import RawFlight, fields, put_messages

VECTORS = np.eye(4, 8, dtype=np.float32)


@pytest.fixture
def file(tmp_path) -> keys.AccessFile:
    made = keys.AccessFile(tmp_path / "keys.json")
    made.admin = made.create("*", "admin")
    return made


def put(raw: RawFlight, key: str, name: str, first_id: int, rows: int = 4):
    table = fc.vector_table(np.tile(VECTORS, (rows // 4 + 1, 1))[:rows], ids=np.arange(first_id, first_id + rows))
    return keys.call(raw, key, "DoPut", *put_messages(name, table))


def usage(raw: RawFlight, key: str, name: str) -> dict:
    answer = keys.act(raw, key, "NamespaceUsage", {"name": name})
    (one,) = json.loads(fields(answer.only_message())[1][0])["namespaces"]
    return one


def test_rows_are_limited_and_deletes_make_room(make_server, file):
    file.change("limit", "--namespace=small", "--rows=10")
    server = make_server(access_file=file.path)
    with RawFlight(server.data_port) as raw:
        put(raw, file.admin, "small/a", 0).expect("OK")
        put(raw, file.admin, "small/b", 0).expect("OK")
        refused = put(raw, file.admin, "small/c", 0)
        refused.expect("RESOURCE_EXHAUSTED", "namespace small may hold 10 rows and holds 8, and 4 more came")
        put(raw, file.admin, "other/c", 0).expect("OK")
        for _ in range(3):
            put(raw, file.admin, "small/a", 0, 2).expect("OK")  # replaces two rows, again and again
        assert usage(raw, file.admin, "small")["rows"] == 8
        keys.act(raw, file.admin, "delete", {"dataset": "small/a", "ids": [0, 1, 2]}).expect("OK")
        put(raw, file.admin, "small/b", 10).expect("OK")
        shown = usage(raw, file.admin, "small")
        assert (shown["datasets"], shown["rows"], shown["limits"]["rows"]) == (2, 9, 10) and shown["bytes"] > 0
        # Another limit counts at once, and after a restart, too.
        file.change("limit", "--namespace=small", "--rows=20")
        wait_until(lambda: usage(raw, file.admin, "small")["limits"]["rows"] == 20, 10, "the new limit")
        put(raw, file.admin, "small/b", 20).expect("OK")
    server.kill()
    server.start()
    with RawFlight(server.data_port) as raw:
        assert usage(raw, file.admin, "small")["rows"] == 13
        put(raw, file.admin, "small/b", 30, 8).expect("RESOURCE_EXHAUSTED", "holds 13")


def test_datasets_and_bytes_are_limited(make_server, file):
    file.change("limit", "--namespace=*", "--datasets=2", "--bytes=16KiB")
    file.change("limit", "--namespace=wide", "--datasets=100")
    server = make_server(access_file=file.path)
    with RawFlight(server.data_port) as raw:
        for name in ("a/1", "a/2", "b/1", "plain", "other", *(f"wide/{i}" for i in range(5))):
            put(raw, file.admin, name, 0).expect("OK")
        put(raw, file.admin, "a/3", 0).expect("RESOURCE_EXHAUSTED", "namespace a may hold 2 datasets and holds 2")
        put(raw, file.admin, "third", 0).expect("RESOURCE_EXHAUSTED", "namespace default")
        put(raw, file.admin, "b/1", 0, 1_000).expect("RESOURCE_EXHAUSTED", "16 KiB of rows")
        put(raw, file.admin, "wide/1", 0, 1_000).expect("OK")
        keys.act(raw, file.admin, "delete-dataset", {"dataset": "a/1"}).expect("OK")
        put(raw, file.admin, "a/3", 0).expect("OK")


def test_many_clients_at_once_do_not_get_past_a_limit(make_server, file):
    file.change("limit", "--namespace=small", "--rows=100")
    server = make_server(access_file=file.path)
    with RawFlight(server.data_port) as raw:
        codes: list[str] = []

        def load(number: int) -> None:
            for i in range(12):
                codes.append(put(raw, file.admin, f"small/{number % 2}", number * 1_000 + i * 4).code)

        threads = [threading.Thread(target=load, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(codes) == {"OK", "RESOURCE_EXHAUSTED"}
        assert usage(raw, file.admin, "small")["rows"] == codes.count("OK") * 4 <= 100
        put(raw, file.admin, "small/0", 90_000, 1)
        assert usage(raw, file.admin, "small")["rows"] >= 96, "and all of it can be used"


@pytest.mark.parametrize("content", ["no such namespace", "other's"])
def test_usage_of_what_is_not_there_or_not_ours(make_server, file, content):
    key = file.create("ns1", "read")
    server = make_server(access_file=file.path)
    with RawFlight(server.data_port) as raw:
        if content == "other's":
            keys.act(raw, key, "NamespaceUsage", {"name": "ns2"}).expect("PERMISSION_DENIED")
        else:
            keys.act(raw, key, "NamespaceUsage", {"name": "ns1"}).expect("NOT_FOUND", "namespace not found: ns1")


def test_ten_thousand_namespaces(make_server, file):
    """Each with a limit and a key of its own, and by name only: what a tenant costs beside its datasets."""
    server = make_server(access_file=file.path, max_memory="1GiB")
    count = 10_000
    content = json.loads(file.path.read_text())
    pattern = dict(content["keys"][0], role="write")
    content["keys"] += [dict(pattern, id=f"{i:016x}", namespace=f"tenant{i}") for i in range(count)]
    content["namespaces"] = [{"name": f"tenant{i}", "rows": 1_000, "requests_per_second": 50} for i in range(count)]
    options = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {file.admin}".encode())])
    with flight.connect(server.data_uri) as client:

        def act(kind: str, body: dict | None = None) -> dict:
            action = flight.Action(kind, json.dumps(body or {}).encode())
            return json.loads(next(iter(client.do_action(action, options))).body.to_pybytes())

        before = server.rss_bytes()
        file.path.write_text(json.dumps(content))
        threads = [
            threading.Thread(
                target=lambda k=k: [act("CreateNamespace", {"name": f"tenant{i}"}) for i in range(k, count, 8)]
            )
            for k in range(8)
        ]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        created_s = time.monotonic() - started
        assert act("GetTotalNamespaceCount")["count"] == count + 1
        started = time.monotonic()
        shown = act("NamespaceUsage")["namespaces"]
        usage_s = time.monotonic() - started
        assert len(shown) == count + 1 and shown[1]["limits"]["rows"] == 1_000
        started = time.monotonic()
        listed = list(client.list_flights(options=options))
        list_s = time.monotonic() - started
        assert len(listed) == count
        each_bytes = (server.rss_bytes() - before) / count
    assert server.stop(30) == 0
    started = time.monotonic()
    server.start()
    start_s = time.monotonic() - started
    print(
        f"\n{count} namespaces: created in {created_s:.1f} s, usage {usage_s:.2f} s, listed {list_s:.2f} s, "
        f"start {start_s:.2f} s, {each_bytes:.0f} bytes each"
    )
    if not sanitized():
        assert each_bytes < 8_192 and usage_s < 5 and list_s < 5 and start_s < 10
    with RawFlight(server.data_port) as raw:
        put(raw, file.admin, "tenant77/docs", 0).expect("OK")
        assert usage(raw, file.admin, "tenant77")["datasets"] == 1
