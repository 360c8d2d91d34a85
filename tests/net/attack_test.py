"""What hostile clients get: the server stays flat in memory and CPU, serves others meanwhile, and lives.

Every attack is one bounded exchange with 127.0.0.1. `under_attack` measures the server from outside while it runs.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time

import grpc
import pytest
from h2_frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Connection,
    frame,
    grpc_message,
    integer,
    preface,
)

ENHANCE_YOUR_CALM = (11).to_bytes(4, "big")
SERVICE = "/longbow.test.Echo/"


def literal(name: bytes, value: bytes) -> bytes:
    return b"\0" + integer(len(name), 7) + name + integer(len(value), 7) + value


def head(method: str = "Hold") -> bytes:
    return b"".join(
        literal(*header)
        for header in [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", (SERVICE + method).encode()),
            (b":authority", b"x"),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
        ]
    )


def opened(stream: int, method: str = "Hold") -> bytes:
    return frame(HEADERS, END_HEADERS, stream, head(method))


def goaway_reasons(frames) -> list[bytes]:
    return [payload[4:8] for kind, _, _, payload in frames if kind == GOAWAY]


class GoodClient:
    """Calls every 20 ms on a connection of its own and notes what went wrong and the longest wait."""

    def __init__(self, server):
        self.server = server
        self.failures: list[str] = []
        self.calls = 0
        self.longest_s = 0.0
        self.peak_mb = 0.0
        self.answered = threading.Event()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        with self.server.channel() as channel:
            call = channel.unary_unary(SERVICE + "Echo")
            while not self.done.wait(0.02):
                started = time.monotonic()
                try:
                    call(b"still there?", timeout=3)
                except grpc.RpcError as error:
                    self.failures.append(str(error.code()))
                self.calls += 1
                self.answered.set()
                self.longest_s = max(self.longest_s, time.monotonic() - started)
                self.peak_mb = max(self.peak_mb, self.server.rss_mb())


@contextlib.contextmanager
def under_attack(server, grow_mb: float = 40, cpu_s: float = 2.0):
    """Asserts afterwards that the server grew by less, used less CPU, and served a good client all the time."""
    with server.channel() as channel:
        channel.unary_unary(SERVICE + "Echo")(b"x", timeout=5)
    before_mb, before_cpu = server.rss_mb(), server.cpu_s()
    good = GoodClient(server)
    good.thread.start()
    try:
        assert good.answered.wait(5)
        yield
        good.peak_mb = max(good.peak_mb, server.rss_mb())
        good.answered.clear()
        assert good.answered.wait(5), "the good client got no answer after the attack"
    finally:
        good.done.set()
        good.thread.join()
    assert server.alive()
    assert good.failures == []
    assert good.longest_s < 1.5 * server.slack, f"a good client waited {good.longest_s:.1f} s"
    assert good.peak_mb - before_mb < grow_mb * server.slack, f"grew by {good.peak_mb - before_mb:.0f} MB"
    assert server.cpu_s() - before_cpu < cpu_s * server.slack, f"used {server.cpu_s() - before_cpu:.1f} s of CPU"


class TestHeaders:
    def test_one_header_announced_as_200_mb(self, echo):
        with under_attack(echo, grow_mb=10, cpu_s=0.5), Connection(echo.port) as raw:
            block = head() + b"\0" + integer(3, 7) + b"x-a" + integer(200 << 20, 7)
            raw.send(preface() + frame(HEADERS, 0, 1, block))
            for _ in range(500):
                if not raw.send(frame(CONTINUATION, 0, 1, b"y" * 16000)):
                    break
            else:
                pytest.fail("8 MB of one header were taken")

    def test_endless_continuation(self, echo):
        with under_attack(echo, grow_mb=10, cpu_s=0.5), Connection(echo.port) as raw:
            body = literal(b"x-a", b"b" * 20) * 500
            taken = raw.send(preface() + frame(HEADERS, 0, 1, head()))
            sent = 0
            while taken and sent < 32_000_000:
                taken = raw.send(frame(CONTINUATION, 0, 1, body))
                sent += len(body)
            assert sent < 32_000_000, "the flood was swallowed"

    def test_empty_continuation(self, echo):
        with under_attack(echo, grow_mb=10, cpu_s=0.5), Connection(echo.port) as raw:
            taken = raw.send(preface() + frame(HEADERS, 0, 1, head()))
            rounds = 0
            while taken and rounds < 2000:
                taken = raw.send(frame(CONTINUATION, 0, 1) * 1000)
                rounds += 1
            assert rounds < 2000, "two million empty frames were swallowed"

    def test_hpack_bomb(self, echo):
        """A few bytes that stand for 4 KB each, out of the dynamic table."""
        with under_attack(echo, grow_mb=10, cpu_s=1), Connection(echo.port) as raw:
            entry = b"\x40" + integer(3, 7) + b"x-b" + integer(4000, 7) + b"z" * 4000
            raw.send(preface() + frame(HEADERS, END_HEADERS | END_STREAM, 1, head() + entry))
            for stream in range(3, 303, 2):
                if not raw.send(frame(HEADERS, END_HEADERS, stream, head() + b"\xbe" * 12000)):
                    break
            frames = raw.read_frames(goaway_reasons)
        assert goaway_reasons(frames), "references to 48 MB were not answered by closing the connection"

    @pytest.mark.parametrize("size", [200_000, 5_000_000])
    def test_http1_head_of_any_size(self, echo, size):
        with under_attack(echo, grow_mb=10, cpu_s=0.5), contextlib.closing(echo.connect()) as raw:
            with contextlib.suppress(OSError):
                raw.sendall(b"GET /hello HTTP/1.1\r\nhost: x\r\nx: " + b"y" * size + b"\r\n\r\n")
            received = b""
            with contextlib.suppress(OSError):
                received = raw.recv(100)
        assert received[:12] in (b"HTTP/1.1 431", b"")


class TestFloods:
    def test_50_000_streams_opened_and_reset(self, echo):
        with under_attack(echo, cpu_s=1), Connection(echo.port) as raw:
            taken = raw.send(preface())
            stream = 1
            while taken and stream < 100_000:
                batch = b""
                for _ in range(100):
                    batch += opened(stream) + frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big"))
                    stream += 2
                taken = raw.send(batch)
            reasons = goaway_reasons(raw.read_frames(goaway_reasons))
            assert not taken or reasons, "50,000 streams opened and reset were served"
            assert reasons in ([ENHANCE_YOUR_CALM], [])
        assert echo.stats()[0] == 0

    def test_provoked_resets(self, echo):
        """WINDOW_UPDATE 0 is an error that the server has to answer with a reset: it does the resetting itself."""
        with under_attack(echo, cpu_s=1), Connection(echo.port) as raw:
            taken = raw.send(preface())
            stream = 1
            while taken and stream < 100_000:
                batch = b""
                for _ in range(100):
                    batch += opened(stream) + frame(WINDOW_UPDATE, 0, stream, b"\0\0\0\0")
                    stream += 2
                taken = raw.send(batch)
            assert not taken or goaway_reasons(raw.read_frames(goaway_reasons))

    def test_a_client_that_cancels_often_but_slowly_is_served(self, echo):
        """What a legal client does must not look like an attack."""
        with under_attack(echo), Connection(echo.port) as raw:
            raw.send(preface())
            stream = 1
            for _ in range(200):
                first = stream
                raw.send(b"".join(opened(first + 2 * n) for n in range(10)))
                time.sleep(0.002)
                raw.send(b"".join(frame(RST_STREAM, 0, first + 2 * n, (8).to_bytes(4, "big")) for n in range(10)))
                stream += 20
            raw.send(opened(stream, "Echo") + frame(DATA, END_STREAM, stream, grpc_message(b"served")))
            frames = raw.read_frames(lambda seen: any(kind == DATA for kind, *_ in seen))
        assert [payload for kind, _, _, payload in frames if kind == DATA] == [grpc_message(b"served")]

    @pytest.mark.parametrize("kind, payload", [(SETTINGS, b""), (PING, b"12345678")])
    def test_settings_and_pings_whose_answers_nobody_reads(self, echo, kind, payload):
        with under_attack(echo, grow_mb=15), Connection(echo.port, timeout_s=1) as raw:
            raw.send(preface())
            rounds = 0
            while rounds < 3000 and raw.send(frame(kind, 0, 0, payload) * 1000):
                rounds += 1
            assert rounds < 3000, "the server went on although nobody read its answers"

    def test_empty_data(self, echo):
        with under_attack(echo), Connection(echo.port) as raw:
            raw.send(preface() + opened(1) + frame(DATA, 0, 1, grpc_message(b"x")))
            rounds = 0
            while raw.send(frame(DATA, 0, 1) * 1000) and rounds < 1000:
                rounds += 1
            assert rounds < 1000, "a million empty frames were swallowed"

    def test_data_of_one_byte_that_nobody_reads(self, echo):
        with under_attack(echo, cpu_s=3), Connection(echo.port, timeout_s=1) as raw:
            raw.send(preface() + opened(1, "HoldUnread") + frame(DATA, 0, 1, grpc_message(b"x")))
            for _ in range(1000):
                if not raw.send(frame(DATA, 0, 1, b"x") * 1000):
                    break

    def test_a_message_in_pieces_of_one_byte(self, echo):
        """400 MB announced. The handler waits for them, so the window is renewed and every byte is taken."""
        with under_attack(echo, cpu_s=4), Connection(echo.port) as raw:
            raw.send(preface() + opened(1) + frame(DATA, 0, 1, b"\0" + (400 << 20).to_bytes(4, "big")))
            for _ in range(400):
                if not raw.send(frame(DATA, 0, 1, b"x") * 1000):
                    break
                time.sleep(0.002)


class TestSlowness:
    LIMITS = dict(header_timeout_ms=500, keepalive_ms=600, keepalive_timeout_ms=500)

    @pytest.mark.parametrize(
        "first, then",
        [
            (b"", b""),
            (b"POST /echo HTTP/1.1\r\n", b"x: y\r\n"),
            (b"P", b""),
            (b"PRI * HTTP/2.0\r\n", b""),
            (preface() + frame(HEADERS, 0, 1, b""), frame(CONTINUATION, 0, 1, literal(b"x", b"y"))),
            (preface() + (1000).to_bytes(3, "big") + bytes([HEADERS, 4, 0, 0, 0, 1]), b"\0"),
            (preface() + opened(1) + (1 << 19).to_bytes(3, "big") + bytes([DATA, 0, 0, 0, 0, 1]) + b"z" * 100, b""),
            (preface() + b"\0", b""),
        ],
        ids=[
            "silence",
            "slow head",
            "one byte",
            "slow preface",
            "slow header block",
            "slow HEADERS frame",
            "half a DATA frame",
            "half a frame head",
        ],
    )
    def test_what_never_gets_finished_is_cut_off(self, make_echo, first, then):
        server = make_echo(**self.LIMITS)
        with under_attack(server, cpu_s=0.5), contextlib.closing(server.connect(0.1)) as raw:
            raw.sendall(first)
            started = time.monotonic()
            with contextlib.suppress(ConnectionError):
                while time.monotonic() - started < 5:
                    with contextlib.suppress(TimeoutError):
                        if not raw.recv(4096):
                            break
                    if then:
                        raw.sendall(then)
            assert time.monotonic() - started < 2.5

    def test_half_frames_on_many_connections(self, make_echo):
        """A frame is buffered until it is whole, so a thousand announced megabytes must not become reality."""
        server = make_echo(keepalive_timeout_ms=3000)
        with under_attack(server), contextlib.ExitStack() as open_ones:
            for _ in range(300):
                raw = open_ones.enter_context(Connection(server.port))
                raw.send(
                    preface() + opened(1) + (1 << 20).to_bytes(3, "big") + bytes([DATA, 0, 0, 0, 0, 1]) + b"z" * 100
                )
            time.sleep(0.5)

    def test_too_many_connections(self, make_echo):
        server = make_echo(connections_max=50)
        with under_attack(server), contextlib.ExitStack() as open_ones:
            refused = 0
            for _ in range(100):
                raw = open_ones.enter_context(Connection(server.port, timeout_s=4))
                raw.send(preface())
                refused += not raw.read_frames(len)
            assert 50 <= refused <= 53
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if server.stats() == (0, 0):
                    break
            time.sleep(0.05)
        assert server.stats() == (0, 0)

    def test_clients_that_stop_reading(self, make_echo):
        """Their windows are wide open, their sockets are not read: what they asked for must not pile up."""
        server = make_echo(keepalive_timeout_ms=1000)
        with under_attack(server), contextlib.ExitStack() as open_ones:
            for _ in range(20):
                raw = open_ones.enter_context(Connection(server.port))
                window = (0x7FFF0000).to_bytes(4, "big")
                raw.send(preface((4).to_bytes(2, "big") + window) + frame(WINDOW_UPDATE, 0, 0, window))
                for stream in range(1, 21, 2):
                    raw.send(opened(stream, "Source") + frame(DATA, END_STREAM, stream, grpc_message(b"1000 1000000")))
            deadline = time.monotonic() + 5
            while server.stats()[0] > 1 and time.monotonic() < deadline:
                time.sleep(0.05)
            assert server.stats()[0] <= 1, "calls of deaf clients were kept"


class TestSmuggling:
    @pytest.mark.parametrize(
        "request_bytes, status",
        [
            (b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef", b"400"),
            (b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5, 5\r\n\r\nabcde", b"400"),
            (b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: +5\r\n\r\nabcde", b"400"),
            (
                b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
                b"400",
            ),
            (
                b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
                b"400",
            ),
            (b"POST /echo HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: x\r\n\r\n", b"400"),
            (b"POST /echo HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
            (b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length : 5\r\n\r\nabcde", b"400"),
            (b"GET /hello HTTP/1.1\r\nhost: x\r\n folded: y\r\n\r\n", b"400"),
        ],
    )
    def test_ambiguous_requests(self, echo, request_bytes, status):
        with contextlib.closing(echo.connect()) as raw:
            raw.sendall(request_bytes)
            received = b""
            with contextlib.suppress(OSError):
                while data := raw.recv(4096):
                    received += data
        assert received.split(b" ")[1] == status
        assert received.count(b"HTTP/1.1") == 1

    def test_nothing_behind_a_chunked_body_is_a_request(self, echo):
        """Both lengths in a pipelined head, where it is too late to refuse: the connection ends with its answer."""
        smuggled = b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n"
        first = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\na"
        second = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 40\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        with contextlib.closing(echo.connect()) as raw:
            raw.sendall(first + second + smuggled)
            received = b""
            with contextlib.suppress(OSError):
                while data := raw.recv(4096):
                    received += data
        assert b"hello" not in received

    def test_a_connection_of_garbage(self, echo):
        with under_attack(echo, grow_mb=10, cpu_s=1):
            for first in (
                b"\0" * 100_000,
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100_000,
                b"\x16\x03\x01" + b"\0" * 5000,
                b"\r\n" * 100_000,
            ):
                with contextlib.closing(echo.connect(1)) as raw, contextlib.suppress(OSError):
                    raw.sendall(first)
                    raw.shutdown(socket.SHUT_WR)
                    while raw.recv(65536):
                        pass
