"""Starts `net_echo_server`, the small server that only has the network layer (src/net/testing/echo_server.cc)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
BUILD_DIR = Path(os.environ.get("LONGBOW_BUILD_DIR", Path(__file__).parents[2] / "build" / "release")).resolve()


class EchoServer:
    """One server process on a free port of 127.0.0.1."""

    # Sanitizers keep freed memory and take their own, and are slow: limits on memory and time are multiplied by this.
    slack = 1

    def __init__(self, **options: object):
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        binary = BUILD_DIR / "test" / "net_echo_server"
        assert binary.exists(), f"{binary} is not built: build the target net_echo_server, or set LONGBOW_BUILD_DIR"
        if any(name in binary.read_bytes() for name in (b"__asan_init", b"__tsan_init")):
            self.slack = 4
        self.process = subprocess.Popen([binary, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("listening "), f"the server did not start: {self.process.stderr.read()}"
        self.port = int(line.split()[1])
        self.stopped: str | None = None

    def alive(self) -> bool:
        return self.process.poll() is None

    def rss_mb(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE_BYTES / 1e6

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def stats(self) -> tuple[int, int]:
        """Calls and connections open now, this question's own not counted."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stats", timeout=5) as answer:
            calls, connections, *_ = answer.read().split()
        return int(calls) - 1, int(connections) - 1

    def wait_until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"did not happen in time; calls and connections open: {self.stats()}"
            time.sleep(0.01)

    def channel(self, *options: tuple[str, object]) -> grpc.Channel:
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        return grpc.insecure_channel(f"127.0.0.1:{self.port}", options=[*unlimited, *options])

    def connect(self, timeout_s: float = 5.0) -> socket.socket:
        connected = socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def close(self) -> None:
        """SIGTERM; the server must end by itself, cleanly, with no call left over."""
        if self.stopped is not None:
            return
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            out, err = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
        self.stopped = out
        assert self.process.returncode == 0, f"the server ended with {self.process.returncode}: {err}"
        assert out == "stopped 0\n", f"calls were left over: {out}"


@pytest.fixture
def make_echo():
    """make_echo(**flags) -> a started EchoServer."""
    made: list[EchoServer] = []

    def make(**options: object) -> EchoServer:
        made.append(EchoServer(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def echo():
    """One server with default limits for all tests of a file. It must live to the end."""
    server = EchoServer()
    yield server
    server.close()
