"""What HTTP/1.1 clients get from the network layer."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time

import pytest

SERVICE = "/longbow.test.Echo/"


class TestHttp:
    @pytest.fixture
    def web(self, echo):
        connection = http.client.HTTPConnection("127.0.0.1", echo.port, timeout=5)
        yield connection
        connection.close()

    def test_one_connection_serves_many_requests(self, web):
        web.request("GET", "/hello")
        assert web.getresponse().read() == b"hello"
        port = web.sock.getsockname()[1]
        for size in (0, 1, 100_000, 3_000_000):
            web.request("POST", "/echo", body=b"b" * size)
            answer = web.getresponse()
            assert (answer.status, answer.read()) == (200, b"b" * size)
        assert web.sock.getsockname()[1] == port

    def test_head_has_the_length_and_no_body(self, web):
        for _ in range(2):
            web.request("HEAD", "/large?12345")
            answer = web.getresponse()
            assert (answer.status, answer.getheader("content-length"), answer.read()) == (200, "12345", b"")

    def test_chunked_request(self, web):
        web.request(
            "POST",
            "/echo",
            body=iter([b"ab", b"c" * 70_000, b"d"]),
            encode_chunked=True,
            headers={"Transfer-Encoding": "chunked"},
        )
        answer = web.getresponse()
        assert (answer.read(), answer.getheader("connection")) == (b"ab" + b"c" * 70_000 + b"d", "close")

    @pytest.mark.parametrize("status", [204, 304, 418, 503])
    def test_chosen_status(self, web, status):
        web.request("GET", f"/status?{status}")
        answer = web.getresponse()
        assert (answer.status, answer.read()) == (status, b"")

    def test_body_limit(self, make_echo):
        server = make_echo(message_max=1000)
        web = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        web.request("POST", "/echo", body=b"x" * 1001)
        answer = web.getresponse()
        assert (answer.status, answer.read()) == (429, b"Received message larger than max (1001 vs. 1000)\n")
        web.close()

    def test_grpc_needs_http2(self, web):
        web.request("POST", SERVICE + "Echo", body=b"", headers={"content-type": "application/grpc"})
        assert web.getresponse().status == 505

    def test_a_client_that_stops_reading_is_cut_off(self, make_echo):
        server = make_echo(keepalive_timeout_ms=700)
        with contextlib.closing(server.connect()) as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.sendall(b"GET /large?50000000 HTTP/1.1\r\nhost: x\r\n\r\n")
            server.wait_until(lambda: server.stats()[0] == 1)
            server.wait_until(lambda: server.stats()[0] == 0, timeout_s=4)

    def test_a_slow_reader_is_not_idle(self, make_echo):
        server = make_echo(idle_timeout_ms=300)
        with contextlib.closing(server.connect()) as slow:
            slow.sendall(b"GET /large?20000000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            received = 0
            while data := slow.recv(1 << 18):
                received += len(data)
                time.sleep(0.01)
        assert received > 20_000_000

    def test_a_client_that_stops_sending_its_body_is_cut_off(self, make_echo):
        server = make_echo(keepalive_timeout_ms=700)
        with contextlib.closing(server.connect()) as stuck:
            stuck.sendall(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
            assert stuck.recv(100) == b""
            server.wait_until(lambda: server.stats() == (0, 0))

    def test_a_lost_client_closes_its_call(self, echo):
        lost = echo.connect()
        lost.sendall(b"GET /hold HTTP/1.1\r\nhost: x\r\n\r\n")
        echo.wait_until(lambda: echo.stats()[0] == 1)
        lost.close()
        echo.wait_until(lambda: echo.stats()[0] == 0)

    def test_pipelined_requests_are_answered_in_order(self, echo):
        with contextlib.closing(echo.connect()) as pipe:
            pipe.sendall(
                b"".join(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n%d" % n for n in range(5))
            )
            received = b""
            while received.count(b"HTTP/1.1 200") < 5 or not received.endswith(b"4"):
                data = pipe.recv(65536)
                assert data
                received += data
        assert [part[-1:] for part in received.split(b"HTTP/1.1 200 OK")[1:]] == [b"0", b"1", b"2", b"3", b"4"]
