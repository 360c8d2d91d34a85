"""Rates, open calls, queues and answer sizes: who takes too much is told to wait, and nobody else notices."""

from __future__ import annotations

import re
import threading
import time

import access_keys as keys
import flight_calls as fc
import numpy as np
import pyarrow.flight as flight
import pytest
from raw_flight import SERVICE, Answer, RawFlight, put_messages

VECTORS = np.eye(4, 8, dtype=np.float32)


@pytest.fixture
def file(tmp_path) -> keys.AccessFile:
    return keys.AccessFile(tmp_path / "keys.json")


def hint_ms(answer: Answer) -> int:
    """How long a refusal says to wait: in its words, and as gRPC's clients read it."""
    answer.expect("RESOURCE_EXHAUSTED")
    (words,) = re.findall(r"retry in (\d+) ms$", answer.details)
    assert answer.trailers["grpc-retry-pushback-ms"] == words
    return int(words)


def test_a_key_has_its_rate_and_others_do_not_pay_for_it(make_server, file):
    slow = file.create("a", "write", "--requests-per-second=1")
    free = file.create("b", "write")
    server = make_server(access_file=file.path)
    with RawFlight(server.data_port) as raw, RawFlight(server.meta_port) as meta:
        answers = [keys.act([raw, meta][i % 2], slow, "ListNamespaces") for i in range(12)]
        taken = sum(answer.code == "OK" for answer in answers)
        assert 1 <= taken < 12, "over both ports together"
        refused = [answer for answer in answers if answer.code != "OK"]
        refused[0].expect("RESOURCE_EXHAUSTED", f"key {keys.key_id(slow)} may make 1 requests per second")
        assert all(keys.act(raw, free, "ListNamespaces").code == "OK" for _ in range(20))
        time.sleep(hint_ms(keys.act(raw, slow, "ListNamespaces")) / 1000 + 0.05)
        assert keys.act(raw, slow, "ListNamespaces").code == "OK", "the hint was enough"
        assert raw.unary("/grpc.health.v1.Health/Check", b"").code == "OK"
        file.change("limit", "--namespace=c", "--rows=1")  # the file is read again: what was used up stays so
    assert server.alive()


def test_the_keys_of_a_namespace_share_its_rate(make_server, file):
    one, two = file.create("a", "read"), file.create("a", "read")
    operator = file.create("*", "admin")
    file.change("limit", "--namespace=*", "--requests-per-second=1")
    server = make_server(access_file=file.path)
    with RawFlight(server.data_port) as raw:
        answers = [keys.act(raw, key, "ListNamespaces") for _ in range(8) for key in (one, two)]
        assert 1 <= sum(answer.code == "OK" for answer in answers) < 12
        assert any("namespace a may make 1 requests" in answer.details for answer in answers)
        assert all(keys.act(raw, operator, "ListNamespaces").code == "OK" for _ in range(20))


def test_bytes_of_a_stream_slow_it_down_and_do_not_end_it(make_server, file):
    key = file.create("a", "write", "--bytes-per-second=1MiB")
    server = make_server(access_file=file.path)
    vectors = np.random.default_rng(1).random((1_000, 128), np.float32)  # half a megabyte
    batch = fc.vector_table(vectors)
    schema, rows = put_messages("a/docs", batch)
    started = time.monotonic()
    with RawFlight(server.data_port) as raw:
        raw.call(SERVICE + "DoPut", [schema, *[rows] * 8], metadata=keys.bearer(key)).expect("OK")
        took = time.monotonic() - started
        assert took > 2, "four megabytes at one a second, after a burst of one"


def test_the_whole_node_has_a_rate(make_server):
    server = make_server(rate_limit_rps=2, rate_limit_burst=5)
    with RawFlight(server.data_port) as raw:
        answers = [raw.do_action("ListNamespaces") for _ in range(40)]
        refused = [answer for answer in answers if answer.code != "OK"]
        assert refused and hint_ms(refused[0]) <= 1000
        assert "the node may make 2 requests per second" in refused[0].details
        assert all(raw.unary("/grpc.health.v1.Health/Check", b"").code == "OK" for _ in range(40))
    metrics = server.http("GET", "/metrics")[2]
    assert re.search(r'longbow_rate_limit_requests_total\{status="throttled"\} [1-9]', metrics)


def test_open_calls_are_counted_and_given_back(make_server, file):
    key, other = file.create("a", "write"), file.create("b", "write")
    server = make_server(access_file=file.path, max_calls_per_key=2)
    release = threading.Event()
    schema, rows = put_messages("a/docs", fc.vector_table(VECTORS))

    begun = threading.Semaphore(0)

    def held():
        yield schema
        begun.release()  # the schema was sent
        release.wait(20)
        yield rows

    with RawFlight(server.data_port) as raw:
        answers: list[Answer] = []
        threads = [
            threading.Thread(
                target=lambda: answers.append(raw.call(SERVICE + "DoPut", held(), metadata=keys.bearer(key)))
            )
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in threads:
                assert begun.acquire(timeout=10)
            time.sleep(0.5)
            answer = keys.act(raw, key, "ListNamespaces")
            answer.expect("RESOURCE_EXHAUSTED", "has 2 calls open, its limit")
            assert hint_ms(answer) > 0
            assert keys.act(raw, other, "ListNamespaces").code == "OK"
        finally:
            release.set()
            for thread in threads:
                thread.join()
        assert [answer.code for answer in answers] == ["OK", "OK"]
        assert keys.act(raw, key, "ListNamespaces").code == "OK"


def test_a_small_request_for_a_huge_answer_is_refused(make_server):
    server = make_server(max_call_memory="64KiB")
    with flight.connect(server.data_uri) as client, RawFlight(server.data_port) as raw:
        fc.put(client, "docs", fc.vector_table(np.random.default_rng(1).random((1_000, 64), np.float32)))
        query = [0.5] * 64
        assert raw.search(dataset="docs", vector=query, k=1_000).code == "OK"
        refused = raw.search(dataset="docs", vector=query, k=1_000, include_vectors=True)
        refused.expect("RESOURCE_EXHAUSTED", "max_call_memory", "64 KiB")
        raw.search(dataset="docs", vectors=[query] * 100, k=100).expect("RESOURCE_EXHAUSTED", "fewer queries at once")
        raw.do_action("VectorSearch", {"dataset": "docs", "vector": query, "k": 1_000, "include_vectors": True}).expect(
            "RESOURCE_EXHAUSTED"
        )
        assert raw.search(dataset="docs", vector=query, k=100_000).code == "OK", "k is not what comes back"


def test_clients_take_turns(make_server, rng):
    """One client has hundreds of expensive searches waiting; another's one search does not wait for them."""
    server = make_server(search_threads=1)
    vectors = rng.random((20_000, 128), np.float32)
    with flight.connect(server.data_uri) as client, RawFlight(server.data_port, timeout_s=120) as greedy:
        fc.put(client, "docs", fc.vector_table(vectors))
        heavy = {"dataset": "docs", "vectors": vectors[:200].tolist(), "k": 100, "ef": 2_000}
        started = time.monotonic()
        assert greedy.search(**heavy).code == "OK"
        one_s = time.monotonic() - started
        threads = [threading.Thread(target=lambda: greedy.search(**heavy)) for _ in range(12)]
        for thread in threads:
            thread.start()
        time.sleep(one_s)
        started = time.monotonic()
        fc.search(client, "docs", vectors[0], 1)
        waited_s = time.monotonic() - started
        still_running = sum(thread.is_alive() for thread in threads)
        for thread in threads:
            thread.join()
        assert still_running >= 4, "the other's work was not over anyway"
        assert waited_s < 4 * one_s + 1, f"waited {waited_s:.2f} s for others' searches of {one_s:.2f} s each"


def test_a_client_whose_calls_wait_too_long_gets_no_more_in(make_server, rng):
    server = make_server(search_threads=1, max_queue_age="50ms")
    vectors = rng.random((20_000, 128), np.float32)
    with flight.connect(server.data_uri) as client, RawFlight(server.data_port, timeout_s=120) as greedy:
        fc.put(client, "docs", fc.vector_table(vectors))
        heavy = {"dataset": "docs", "vectors": vectors[:200].tolist(), "k": 100, "ef": 2_000}
        answers: list[Answer] = []
        threads = [threading.Thread(target=lambda: answers.append(greedy.search(**heavy))) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        late = greedy.search(**heavy)
        assert fc.search(client, "docs", vectors[0], 1), "another client is let in"
        for thread in threads:
            thread.join()
        assert hint_ms(late) == 1000 and "max_queue_age" in late.details
        assert sum(answer.code == "OK" for answer in answers) >= 2


@pytest.mark.parametrize("option", ["rate_limit_rps", "max_calls", "max_queue_age", "max_call_memory"])
def test_wrong_limits_stop_the_start(make_server, option):
    failed = make_server(start=False, **{option: "-1"}).refuse_to_start()
    assert option in failed.log.replace("-", "_"), failed.log
