"""Clients that mean harm, or hang: limits on everything a stranger can send. Bounded, loopback only.

Each attack runs against a server of its own; memory and CPU are read from /proc, and a good client must be served meanwhile.
"""

from __future__ import annotations

import contextlib
import threading
import time

import flight_calls as fc
import h2_frames as h2
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from longbow_server import LongbowServer, sanitized, wait_until
from raw_flight import RawFlight, field

MB = 1_000_000


class Watch:
    """Samples the server's memory while the attack runs, and keeps asking what a good client asks."""

    def __init__(self, server: LongbowServer):
        self.server = server
        self.peak_bytes = self.before_bytes = server.rss_bytes()
        self.slowest_s = 0.0
        self.failure: BaseException | None = None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        try:
            with RawFlight(self.server.data_port, timeout_s=20) as raw:
                while not self.done.wait(0.03):
                    self.peak_bytes = max(self.peak_bytes, self.server.rss_bytes())
                    started = time.monotonic()
                    raw.do_action("check_readiness").expect("OK")
                    self.slowest_s = max(self.slowest_s, time.monotonic() - started)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            self.failure = error

    def __enter__(self) -> Watch:
        self.cpu_before_s = self.server.cpu_seconds()
        self.thread.start()
        return self

    def __exit__(self, kind, *_: object) -> None:
        self.done.set()
        self.thread.join()
        if kind is None:
            if self.failure:
                raise self.failure
            assert self.server.alive(), self.server.log()[-3000:]

    def grown_mb(self) -> float:
        return 0.0 if sanitized() else (self.peak_bytes - self.before_bytes) / MB

    def cpu_s(self) -> float:
        return 0.0 if sanitized() else self.server.cpu_seconds() - self.cpu_before_s


def test_1_gib_message_is_refused(make_server):
    server = make_server()
    huge = pa.record_batch([pa.array(np.zeros(1 << 30, np.uint8))], names=["x"])
    with flight.connect(server.data_uri) as client, Watch(server) as watch:
        with pytest.raises(pa.ArrowInvalid, match="larger than max"):
            fc.put(client, "huge", huge)
        fc.put(client, "small", fc.vector_table(np.ones((3, 4), np.float32)))
        with contextlib.suppress(pa.ArrowKeyError):
            assert fc.row_count(client, "huge") == 0
    assert watch.grown_mb() < 700, "refused by its length, not after it was read"


def test_message_limit_may_be_set(make_server):
    server = make_server(grpc_max_recv_msg_size=1 << 20)
    with RawFlight(server.data_port) as raw:
        raw.put("d", fc.vector_table(np.ones((100_000, 4), np.float32))).expect("RESOURCE_EXHAUSTED", "larger than max")
        raw.put("d", fc.vector_table(np.ones((1_000, 4), np.float32))).expect("OK")
        assert raw.rows("d") == 1_000


def test_header_list_over_the_limit(make_server):
    server = make_server()
    with Watch(server) as watch, RawFlight(server.data_port) as raw:
        for size in (20_000, 200_000, 2_000_000):
            answer = raw.call(
                "/arrow.flight.protocol.FlightService/ListActions", [b""], metadata=[("x-large", "y" * size)]
            )
            assert answer.code != "OK", f"a header of {size} bytes was accepted"
        for _ in range(3):
            raw.do_action("check_readiness").expect("OK")
    assert watch.grown_mb() < 40


def test_header_announced_as_200_mb(make_server):
    """One header value of 200 MB is announced, 8 MB of it are sent: nothing may be buffered beyond the limit."""
    server = make_server()
    block = h2.request_headers() + b"\0" + h2.integer(3, 7) + b"x-a" + h2.integer(200 << 20, 7)
    with Watch(server) as watch, h2.Connection(server.data_port) as connection:
        connection.send(h2.preface() + h2.frame(h2.HEADERS, 0, 1, block))
        for _ in range(500):
            if not connection.send(h2.frame(h2.CONTINUATION, 0, 1, b"y" * 16_000)):
                break
        time.sleep(0.3)
    assert watch.grown_mb() < 20 and watch.cpu_s() < 1.5


@pytest.mark.parametrize("payload", ["small headers", "empty frames"])
def test_endless_continuation(make_server, payload):
    server = make_server()
    one = b"\0" + h2.integer(3, 7) + b"x-a" + h2.integer(20, 7) + b"b" * 20
    frames = (
        h2.frame(h2.CONTINUATION, 0, 1, one * 500)
        if payload == "small headers"
        else h2.frame(h2.CONTINUATION, 0, 1) * 1_000
    )
    with Watch(server) as watch, h2.Connection(server.data_port) as connection:
        connection.send(h2.preface() + h2.frame(h2.HEADERS, 0, 1, h2.request_headers()))
        cut_off = any(not connection.send(frames) for _ in range(1_000))
        assert cut_off, "the server went on reading headers without an end"
    assert watch.grown_mb() < 30 and watch.cpu_s() < 3


def test_hpack_bomb(make_server):
    """A 4 KB entry of the dynamic table, referenced 12,000 times a request: 48 MB of headers from 12 KB."""
    server = make_server()
    entry = b"\x40" + h2.integer(3, 7) + b"x-b" + h2.integer(4_000, 7) + b"z" * 4_000
    with Watch(server) as watch, h2.Connection(server.data_port) as connection:
        connection.send(
            h2.preface() + h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, 1, h2.request_headers() + entry)
        )
        for stream in range(3, 403, 2):
            if not connection.send(
                h2.frame(h2.HEADERS, h2.END_HEADERS, stream, h2.request_headers() + b"\xbe" * 12_000)
            ):
                break
        connection.socket.settimeout(0.5)
        connection.read_frames()
    assert watch.grown_mb() < 60


def reset_flood(server: LongbowServer, streams: int, method: str, body: bytes) -> tuple[int, bool]:
    """Opens and resets `streams` streams on one connection as fast as it goes. Streams sent, and whether it was cut off."""
    block = h2.request_headers(method)
    sent = 0
    with h2.Connection(server.data_port) as connection:
        connection.send(h2.preface())
        for first in range(1, 2 * streams, 200):
            burst = b"".join(
                h2.frame(h2.HEADERS, h2.END_HEADERS, stream, block)
                + (h2.frame(h2.DATA, h2.END_STREAM, stream, body) if body else b"")
                + h2.frame(h2.RST_STREAM, 0, stream, b"\0\0\0\x08")
                for stream in range(first, first + 200, 2)
            )
            if not connection.send(burst):
                return sent, True
            sent += 100
        connection.socket.settimeout(1)
        return sent, any(kind == h2.GOAWAY for kind, *_ in connection.read_frames())


@pytest.mark.parametrize(
    "method, body",
    [("DoGet", b""), ("DoAction", h2.grpc_message(field(1, "check_readiness")))],
    ids=["headers only", "with a request"],
)
def test_50000_opened_and_reset_streams(make_server, method, body):
    server = make_server()
    with Watch(server) as watch:
        sent, cut_off = reset_flood(server, 50_000, method, body)
        assert cut_off or sent == 50_000
    assert watch.grown_mb() < 60, f"{sent} streams, cut off: {cut_off}"
    assert watch.cpu_s() < 15
    assert watch.slowest_s < 5


def test_resets_provoked_by_bad_frames(make_server):
    """A WINDOW_UPDATE of 0 makes the server itself reset each stream (CVE-2025-8671)."""
    server = make_server()
    block = h2.request_headers()
    with Watch(server) as watch, h2.Connection(server.data_port) as connection:
        connection.send(h2.preface())
        for first in range(1, 100_000, 200):
            burst = b"".join(
                h2.frame(h2.HEADERS, h2.END_HEADERS, stream, block) + h2.frame(h2.WINDOW_UPDATE, 0, stream, b"\0\0\0\0")
                for stream in range(first, first + 200, 2)
            )
            if not connection.send(burst):
                break
    assert watch.grown_mb() < 60 and watch.slowest_s < 5


@pytest.mark.parametrize("kind, payload", [(h2.SETTINGS, b""), (h2.PING, b"12345678")], ids=["settings", "ping"])
def test_frames_whose_answers_are_never_read(make_server, kind, payload):
    server = make_server()
    with Watch(server) as watch, h2.Connection(server.data_port, timeout_s=1) as connection:
        connection.send(h2.preface())
        for _ in range(200):
            if not connection.send(h2.frame(kind, 0, 0, payload) * 1_000):
                break
    assert watch.grown_mb() < 60 and watch.slowest_s < 5


@pytest.fixture
def big(make_server):
    """A server with a 100 MB dataset."""
    server = make_server()
    with flight.connect(server.data_uri) as client:
        fc.put(client, "big", fc.vector_table(np.ones((32_768, 768), np.float32)), max_chunksize=8_192)
    return server


def test_streams_stalled_at_window_zero_end_at_their_deadline(big):
    """The client grants no byte and asks for the deadline: the server must notice by itself."""
    block = h2.request_headers("DoGet", ("grpc-timeout", "700m"))
    ticket = h2.grpc_message(field(1, "big"))
    streams = range(1, 2 * 50, 2)
    with Watch(big) as watch, h2.Connection(big.data_port, timeout_s=6) as connection:
        connection.send(h2.preface(h2.setting(4, 0)))
        started = time.monotonic()
        for stream in streams:
            connection.send(
                h2.frame(h2.HEADERS, h2.END_HEADERS, stream, block) + h2.frame(h2.DATA, h2.END_STREAM, stream, ticket)
            )

        def ended(frames) -> set[int]:
            return {
                stream
                for kind, flags, stream, _ in frames
                if kind == h2.RST_STREAM or kind == h2.HEADERS and flags & h2.END_STREAM
            }

        frames = connection.read_frames(until=lambda seen: len(ended(seen)) == len(streams))
        assert ended(frames) == set(streams), f"{len(ended(frames))} of {len(streams)} streams ended"
        assert 0.6 < time.monotonic() - started < 5
    assert watch.grown_mb() < 300, "a stalled stream holds a few batches at most"


def test_client_that_stops_reading(big):
    """Sixteen connections ask for 100 MB each and never read a byte: memory stays, others are served, the end frees all."""
    descriptors = big.descriptors()
    window = h2.setting(4, 2**31 - 1)
    with Watch(big) as watch, contextlib.ExitStack() as stack:
        for _ in range(16):
            connection = stack.enter_context(h2.Connection(big.data_port))
            connection.send(
                h2.preface(window)
                + h2.frame(h2.WINDOW_UPDATE, 0, 0, (2**31 - 65_536).to_bytes(4, "big"))
                + h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.request_headers("DoGet"))
                + h2.frame(h2.DATA, h2.END_STREAM, 1, h2.grpc_message(field(1, "big")))
            )
        time.sleep(1.5)
        with flight.connect(big.data_uri) as client:
            assert fc.scan(client, "big", limit=5).num_rows == 5
    assert watch.grown_mb() < 700, "16 x 100 MB were asked for"
    assert watch.slowest_s < 3
    wait_until(lambda: big.descriptors() <= descriptors + 2, 15, "the connections are closed")


def test_keepalive_drops_a_frozen_client(make_server):
    server = make_server(grpc_keepalive_time="1s", grpc_keepalive_timeout="1s")
    with h2.Connection(server.data_port, timeout_s=10) as frozen:
        frozen.send(h2.preface())
        started = time.monotonic()
        frozen.read_frames()  # answers no PING; ends when the server closes
        assert time.monotonic() - started < 8, "a client that answers no ping is dropped"


def test_half_a_header_does_not_hold_a_connection_for_ever(make_server):
    """Slow heads: an HTTP/1 request line, half an HTTP/2 preface. Closed after the header timeout (10 s by default)."""
    server = make_server()
    with (
        h2.Connection(server.metrics_port, timeout_s=25) as http1,
        h2.Connection(server.data_port, timeout_s=25) as http2,
    ):
        http1.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        http2.send(b"PRI * HT")
        started = time.monotonic()
        http1.read_frames()
        http2.read_frames()
        assert time.monotonic() - started < 22


def test_many_idle_connections(make_server):
    server = make_server()
    with Watch(server) as watch, contextlib.ExitStack() as stack:
        for _ in range(500):
            stack.enter_context(h2.Connection(server.data_port)).send(h2.preface())
        with flight.connect(server.data_uri) as client:
            fc.put(client, "d", fc.vector_table(np.ones((10, 4), np.float32)))
            assert fc.row_count(client, "d") == 10
    assert watch.grown_mb() < 60


def test_what_is_no_http(make_server, rng):
    server = make_server()
    with Watch(server):
        for port in (server.data_port, server.meta_port, server.metrics_port):
            for data in (
                rng.bytes(5_000),
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.bytes(500),
                b"GET / HTTP/9.9\r\n\r\n",
                b"\r\n" * 5_000,
                b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
                h2.preface() + rng.bytes(20_000),
                b"GET /metrics HTTP/1.1\r\nHost: x\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
                b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
            ):
                with h2.Connection(port, timeout_s=0.3) as connection:
                    connection.send(data)
                    connection.read_frames()
        with RawFlight(server.meta_port) as raw:
            raw.do_action("check_readiness").expect("OK")
        assert server.http("GET", "/livez")[0] == 200
