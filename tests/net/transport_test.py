"""What well-behaved clients get from HTTP/2: every kind of gRPC call, limits, deadlines, cancels, and stops."""

from __future__ import annotations

import concurrent.futures
import http.client
import itertools
import threading
import time

import grpc
import hpack
import pytest
from h2_frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Connection,
    frame,
    grpc_message,
    integer,
    preface,
    setting,
)

SERVICE = "/longbow.test.Echo/"
LITERALS = [(":scheme", "http"), (":authority", "127.0.0.1"), ("te", "trailers")]


def head(method: str, *more: tuple[str, str], verb: str = "POST", content_type: str = "application/grpc") -> bytes:
    """A header block of literals only, so that it may be sent many times."""
    block = b""
    for name, value in [
        (":method", verb),
        (":path", SERVICE + method),
        *LITERALS,
        ("content-type", content_type),
        *more,
    ]:
        block += b"\0" + integer(len(name), 7) + name.encode() + integer(len(value), 7) + value.encode()
    return block


class TestGrpc:
    @pytest.mark.parametrize("size", [0, 1, 1018, 1019, 1020, 16379, 16380, 65535, 65536, 1 << 20, 9_000_001])
    def test_unary_of_any_size(self, echo, size):
        sent = bytes(itertools.islice(itertools.cycle(range(251)), size))
        with echo.channel() as channel:
            assert channel.unary_unary(SERVICE + "Echo")(sent, timeout=20) == sent

    @pytest.mark.parametrize("method", ["Echo", "EchoLater"])
    def test_both_sides_stream_in_turns(self, echo, method):
        answered = threading.Semaphore(1)
        sent = [bytes([n]) * (n * 137) for n in range(200)]

        def requests():
            for message in sent:
                assert answered.acquire(timeout=10)
                yield message

        with echo.channel() as channel:
            received = []
            for message in channel.stream_stream(SERVICE + method)(requests(), timeout=20):
                received.append(message)
                answered.release()
        assert received == sent

    def test_client_streams(self, echo):
        messages = (b"x" * (n % 3000) for n in range(5000))
        with echo.channel() as channel:
            answer = channel.stream_unary(SERVICE + "Sink")(messages, timeout=20)
        assert answer == f"5000 {sum(n % 3000 for n in range(5000))}".encode()

    def test_server_streams_large_messages(self, echo):
        with echo.channel() as channel:
            sizes = [len(message) for message in channel.unary_stream(SERVICE + "Source")(b"20 6300000", timeout=30)]
        assert sizes == [6_300_000] * 20

    def test_a_slow_reader_slows_the_server_and_costs_no_memory(self, echo):
        with echo.channel() as channel:
            before = echo.rss_mb()
            stream = channel.unary_stream(SERVICE + "Source")(b"200 4000000", timeout=60)
            next(stream)
            time.sleep(0.5)
            assert echo.rss_mb() - before < 40 * echo.slack
            assert sum(1 for _ in stream) == 199

    def test_many_calls_at_once_on_one_connection(self, echo):
        with echo.channel() as channel:
            call = channel.unary_unary(SERVICE + "EchoLater")
            futures = [call.future(b"%d" % n * 100, timeout=30) for n in range(1000)]
            assert [future.result() for future in futures] == [b"%d" % n * 100 for n in range(1000)]

    def test_status_message_and_trailers(self, echo):
        with echo.channel() as channel, pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(SERVICE + "Fail")("9 schön %41\n100%".encode(), timeout=5)
        error = caught.value
        assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, "schön %41\n100%")
        assert dict(error.trailing_metadata()) == {"test-text": "a, b", "test-bytes-bin": b"\0\1\xff"}

    def test_a_very_long_message_is_cut_and_arrives(self, echo):
        with echo.channel() as channel, pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(SERVICE + "Fail")(b"3 " + b"long " * 20000, timeout=5)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert len(caught.value.details()) == 4096

    def test_unknown_method(self, echo):
        with echo.channel() as channel, pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/a.b/C")(b"", timeout=5)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, "unknown method /a.b/C")

    def test_a_compressed_message_is_refused_by_name(self, echo):
        with echo.channel() as channel, pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(SERVICE + "Echo")(b"a" * 10000, timeout=5, compression=grpc.Compression.Gzip)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert "compress" in caught.value.details().lower()

    def test_message_limit(self, make_echo):
        server = make_echo(message_max=1000)
        with server.channel() as channel:
            call = channel.unary_unary(SERVICE + "Echo")
            assert call(b"x" * 1000, timeout=5) == b"x" * 1000
            with pytest.raises(grpc.RpcError) as caught:
                call(b"x" * 1001, timeout=5)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.details() == "Received message larger than max (1001 vs. 1000)"

    def test_a_huge_announced_message_is_refused_before_it_is_sent(self, echo):
        with Connection(echo.port) as raw:
            raw.send(
                preface()
                + frame(HEADERS, END_HEADERS, 1, head("Sink"))
                + frame(DATA, 0, 1, b"\0" + (1 << 30).to_bytes(4, "big"))
            )
            frames = raw.read_frames(lambda seen: any(kind == HEADERS for kind, *_ in seen))
        answer = next(payload for kind, _, _, payload in frames if kind == HEADERS)
        assert b"Received message larger than max (1073741824 vs. 536870912)" in decode(answer)["grpc-message"]

    def test_a_request_cut_off_inside_a_message(self, echo):
        with Connection(echo.port) as raw:
            raw.send(
                preface() + frame(HEADERS, END_HEADERS, 1, head("Echo")) + frame(DATA, END_STREAM, 1, b"\0\0\0\0\5abc")
            )
            frames = raw.read_frames(lambda seen: any(kind == HEADERS for kind, *_ in seen))
        answer = decode(next(payload for kind, _, _, payload in frames if kind == HEADERS))
        assert answer["grpc-status"] == b"3"
        assert b"got 3 bytes, announced 5" in answer["grpc-message"]

    def test_other_verbs_than_post(self, echo):
        with Connection(echo.port) as raw:
            raw.send(preface() + frame(HEADERS, END_HEADERS | END_STREAM, 1, head("Echo", verb="GET")))
            frames = raw.read_frames(lambda seen: any(kind == HEADERS for kind, *_ in seen))
        assert decode(next(payload for kind, _, _, payload in frames if kind == HEADERS))[":status"] == b"405"

    def test_settings_say_the_limits(self, make_echo):
        server = make_echo(streams_max=7)
        with Connection(server.port) as raw:
            raw.send(preface())
            frames = raw.read_frames(lambda seen: any(kind == SETTINGS for kind, *_ in seen))
        payload = next(payload for kind, flags, _, payload in frames if kind == SETTINGS and not flags)
        settings = {
            int.from_bytes(payload[at : at + 2], "big"): int.from_bytes(payload[at + 2 : at + 6], "big")
            for at in range(0, len(payload), 6)
        }
        assert (settings[3], settings[4], settings[5], settings[6]) == (7, 1 << 20, 1 << 20, 16 << 10)

    def test_streams_above_the_limit_wait(self, make_echo):
        server = make_echo(streams_max=2)
        with server.channel() as channel:
            call = channel.unary_unary(SERVICE + "Hold")
            futures = [call.future(b"x", timeout=1) for _ in range(2)]
            server.wait_until(lambda: server.stats()[0] == 2)
            started = time.monotonic()
            assert channel.unary_unary(SERVICE + "Echo")(b"y", timeout=5) == b"y"
            assert time.monotonic() - started > 0.2
            assert {future.code() for future in futures} == {grpc.StatusCode.DEADLINE_EXCEEDED}

    def test_http2_without_grpc(self, echo):
        with Connection(echo.port) as raw:
            block = (
                head("", verb="POST", content_type="text/plain")
                .replace(SERVICE.encode(), b"/echo")
                .replace(integer(len(SERVICE), 7) + b"/echo", integer(5, 7) + b"/echo")
            )
            raw.send(preface() + frame(HEADERS, END_HEADERS, 1, block) + frame(DATA, END_STREAM, 1, b"plain body"))
            frames = raw.read_frames(lambda seen: any(flags & END_STREAM for kind, flags, *_ in seen if kind == DATA))
        assert b"".join(payload for kind, _, _, payload in frames if kind == DATA) == b"plain body"


def decode(block: bytes) -> dict[str, bytes]:
    return {name.decode(): value for name, value in hpack.Decoder().decode(block, raw=True)}


class TestSmallFrames:
    """Many small frames at once are what busy clients send. h2 would close such a connection if it had to keep them."""

    @staticmethod
    def answer(raw: Connection, stream: int) -> bytes:
        frames = raw.read_frames(lambda seen: any(kind in (GOAWAY, DATA) for kind, *_ in seen))
        assert GOAWAY not in {kind for kind, *_ in frames}, frames
        return b"".join(payload for kind, _, number, payload in frames if kind == DATA and number == stream)

    def test_messages_in_a_frame_each(self, echo):
        with Connection(echo.port, timeout_s=20) as raw:
            raw.send(preface() + frame(HEADERS, END_HEADERS, 1, head("Sink")))
            batch = frame(DATA, 0, 1, grpc_message(b"12345678")) * 1000
            credit = {0: 65535, 1: 1 << 20}
            for _ in range(200):
                while min(credit.values()) < 13_000:
                    frames = raw.read_frames(lambda seen: any(kind in (GOAWAY, WINDOW_UPDATE) for kind, *_ in seen))
                    assert frames and GOAWAY not in {kind for kind, *_ in frames}, frames
                    for kind, _, stream, payload in frames:
                        credit[stream] += int.from_bytes(payload, "big") if kind == WINDOW_UPDATE else 0
                assert raw.send(batch)
                credit = {stream: left - 13_000 for stream, left in credit.items()}
            raw.send(frame(DATA, END_STREAM, 1))
            assert self.answer(raw, 1)[5:] == b"200000 1600000"

    def test_first_messages_on_many_streams(self, echo):
        streams = range(1, 501, 2)
        with Connection(echo.port, timeout_s=10) as raw:
            raw.send(preface() + b"".join(frame(HEADERS, END_HEADERS, stream, head("Echo")) for stream in streams))
            for _ in range(20):
                raw.send(b"".join(frame(DATA, 0, stream, grpc_message(b"ping")) for stream in streams))
                answered: set[int] = set()
                while len(answered) < len(streams):
                    frames = raw.read_frames(len)
                    assert frames and GOAWAY not in {kind for kind, *_ in frames}
                    answered |= {stream for kind, _, stream, _ in frames if kind == DATA}

    def test_frames_that_wait_for_a_handler(self, echo):
        """The handler reads one message and no more; what comes behind it waits, up to the window."""
        with Connection(echo.port, timeout_s=10) as raw:
            raw.send(preface() + frame(HEADERS, END_HEADERS, 1, head("HoldUnread")))
            raw.send(frame(DATA, 0, 1, grpc_message(b"first")))
            for _ in range(3):
                raw.send(frame(DATA, 0, 1, grpc_message(b"12345678")) * 1500)
            raw.send(frame(HEADERS, END_HEADERS, 3, head("Echo")) + frame(DATA, END_STREAM, 3, grpc_message(b"after")))
            assert self.answer(raw, 3) == grpc_message(b"after")


class TestEndings:
    def test_deadline(self, echo):
        started = time.monotonic()
        with Connection(echo.port) as raw:
            raw.send(
                preface()
                + frame(HEADERS, END_HEADERS, 1, head("Hold", ("grpc-timeout", "300m")))
                + frame(DATA, 0, 1, grpc_message(b"x"))
            )
            frames = raw.read_frames(lambda seen: any(kind == HEADERS for kind, *_ in seen))
        answer = decode(next(payload for kind, _, _, payload in frames if kind == HEADERS))
        assert answer["grpc-status"] == b"4"
        assert 0.25 < time.monotonic() - started < 1.5

    def test_deadlines_end_streams_that_wait_for_the_window(self, echo):
        """A client that gives no window would otherwise keep a stream, and what waits on it, for ever."""
        streams = range(1, 201, 2)
        before = echo.rss_mb()
        with Connection(echo.port, timeout_s=3) as raw:
            raw.send(preface(setting(4, 0)))
            for stream in streams:
                raw.send(
                    frame(HEADERS, END_HEADERS, stream, head("Source", ("grpc-timeout", "300m")))
                    + frame(DATA, END_STREAM, stream, grpc_message(b"100 6000000"))
                )
            started = time.monotonic()

            def ended(frames):
                return {
                    stream
                    for kind, flags, stream, _ in frames
                    if kind == RST_STREAM or (kind == HEADERS and flags & END_STREAM)
                }

            frames = raw.read_frames(lambda seen: len(ended(seen)) == 100)
            assert ended(frames) == set(streams)
            assert time.monotonic() - started < 2
            assert {kind for kind, *_ in frames} <= {HEADERS, SETTINGS, RST_STREAM}
            echo.wait_until(lambda: echo.stats()[0] == 0)
            echo.wait_until(lambda: echo.rss_mb() - before < 40 * echo.slack)
            assert raw.send(
                frame(HEADERS, END_HEADERS, 301, head("Source")) + frame(DATA, END_STREAM, 301, grpc_message(b"1 0"))
            )

    def test_a_deadline_in_the_middle_of_a_message_resets(self, echo):
        with Connection(echo.port, timeout_s=3) as raw:
            raw.send(
                preface()
                + frame(HEADERS, END_HEADERS, 1, head("Source", ("grpc-timeout", "300m")))
                + frame(DATA, END_STREAM, 1, grpc_message(b"1 6000000"))
            )
            frames = raw.read_frames(lambda seen: any(kind == RST_STREAM for kind, *_ in seen))
        assert sum(len(payload) for kind, _, _, payload in frames if kind == DATA) == 65535
        assert [payload for kind, _, _, payload in frames if kind == RST_STREAM] == [(8).to_bytes(4, "big")]
        echo.wait_until(lambda: echo.stats()[0] == 0)

    @pytest.mark.parametrize("method", ["Hold", "HoldUnread", "Source"])
    def test_a_cancelled_call_is_closed_at_once(self, echo, method):
        with echo.channel() as channel:
            stream = channel.stream_stream(SERVICE + method)(iter([b"1000000 100000"]))
            echo.wait_until(lambda: echo.stats()[0] == 1)
            stream.cancel()
            echo.wait_until(lambda: echo.stats()[0] == 0, timeout_s=1)

    def test_a_lost_connection_closes_its_calls(self, echo):
        with Connection(echo.port) as raw:
            raw.send(preface())
            for stream in range(1, 41, 2):
                raw.send(frame(HEADERS, END_HEADERS, stream, head("Hold")) + frame(DATA, 0, stream, grpc_message(b"x")))
            echo.wait_until(lambda: echo.stats()[0] == 20)
        echo.wait_until(lambda: echo.stats() == (0, 0))

    def test_the_server_stops_after_the_calls_in_flight(self, make_echo):
        server = make_echo()
        with server.channel() as channel:
            release = threading.Event()

            def requests():
                yield b"1"
                release.wait(5)
                yield b"2"

            stream = channel.stream_stream(SERVICE + "Echo")(requests(), timeout=10)
            assert next(stream) == b"1"
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                closing = pool.submit(server.close)
                time.sleep(0.3)
                release.set()
                assert list(stream) == [b"2"]
                closing.result()

    def test_the_server_stops_although_calls_do_not_end(self, make_echo):
        server = make_echo()
        with server.channel() as channel:
            held = [channel.unary_unary(SERVICE + "Hold").future(b"x") for _ in range(5)]
            raw = Connection(server.port)
            raw.send(
                preface(setting(4, 0))
                + frame(HEADERS, END_HEADERS, 1, head("Source"))
                + frame(DATA, END_STREAM, 1, grpc_message(b"9 1000000"))
            )
            web = server.connect()
            web.sendall(b"GET /hold HTTP/1.1\r\nhost: x\r\n\r\n")
            server.wait_until(lambda: server.stats()[0] == 7)
            started = time.monotonic()
            server.close()  # asserts that no call is left
            assert 1.5 < time.monotonic() - started < 6
            assert GOAWAY in {kind for kind, *_ in raw.read_frames()}
            assert {call.code() for call in held} <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
            web.close()


class TestConnections:
    def test_a_dead_peer_is_found_by_ping(self, make_echo):
        server = make_echo(keepalive_ms=400, keepalive_timeout_ms=400)
        with Connection(server.port) as raw:
            started = time.monotonic()
            raw.send(preface())
            raw.read_frames()
            assert 0.6 < time.monotonic() - started < 3

    def test_a_living_idle_peer_is_kept(self, make_echo):
        server = make_echo(keepalive_ms=300, keepalive_timeout_ms=300)
        with server.channel() as channel:
            call = channel.stream_stream(SERVICE + "Hold")(iter([b"x"]))
            time.sleep(2)
            assert server.stats() == (1, 1)
            call.cancel()

    def test_idle_connections_are_closed_and_busy_ones_are_not(self, make_echo):
        server = make_echo(idle_timeout_ms=500, keepalive_timeout_ms=1000)
        with server.channel() as channel, Connection(server.port) as raw:
            call = channel.stream_stream(SERVICE + "Hold")(iter([b"x"]))
            raw.send(preface())
            web = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
            web.request("GET", "/hello")
            assert web.getresponse().read() == b"hello"
            started = time.monotonic()
            assert GOAWAY in {
                kind for kind, *_ in raw.read_frames(lambda seen: any(kind == GOAWAY for kind, *_ in seen))
            }
            assert web.sock.recv(1) == b""
            assert 0.2 < time.monotonic() - started < 2
            time.sleep(0.5)
            assert server.stats()[0] == 1
            call.cancel()
            web.close()
            server.wait_until(lambda: server.stats() == (0, 0), timeout_s=4)

    def test_bytes_in_flight_are_limited(self, make_echo):
        """Messages that handlers hold count until they let go; a call too many is refused, the others go on."""
        server = make_echo(bytes_in_flight_max=20_000_000)
        before = server.rss_mb()
        with server.channel() as channel:
            hold = channel.stream_stream(SERVICE + "HoldUnread")
            keep_open = threading.Event()

            def requests():
                yield b"x" * 5_000_000
                keep_open.wait(20)

            calls = []
            for _ in range(4):
                calls.append(hold(requests()))
            server.wait_until(lambda: server.rss_mb() - before > 15)
            time.sleep(0.5)
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(SERVICE + "Echo")(b"y" * 2_000_000, timeout=5)
            assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "limit 20000000" in caught.value.details()
            assert server.rss_mb() - before < 40 * server.slack
            for call in calls:
                call.cancel()
            keep_open.set()
            server.wait_until(lambda: server.stats()[0] == 0)
            assert channel.unary_unary(SERVICE + "Echo")(b"y" * 2_000_000, timeout=5) == b"y" * 2_000_000

    def test_a_stream_between_messages_waits_for_memory(self, make_echo):
        server = make_echo(bytes_in_flight_max=6_000_000)
        with server.channel() as channel, server.channel(("grpc.use_local_subchannel_pool", 1)) as other:
            release = threading.Event()

            def numbers():
                yield b"first"
                release.wait(20)
                yield b"second"

            stream = channel.stream_stream(SERVICE + "Echo")(numbers(), timeout=20)
            assert next(stream) == b"first"
            held = other.stream_stream(SERVICE + "HoldUnread")(iter([b"x" * 6_500_000]))
            time.sleep(0.5)
            release.set()
            answers = []
            reader = threading.Thread(target=lambda: answers.extend(stream))
            reader.start()
            time.sleep(0.3)
            held.cancel()
            reader.join(5)
            assert answers == [b"second"]
