"""Fixtures shared by all suites.

`server` is one process for the whole run: tests keep apart by dataset name, and after each test it must still be the same
living process. Tests that restart, kill or configure take `make_server`.
"""

from __future__ import annotations

import itertools
import re

import numpy as np
import pyarrow.flight as flight
import pytest
from longbow_server import LongbowServer
from raw_flight import RawFlight

dataset_numbers = itertools.count(1)


class SharedServer:
    """Holds the run's server and replaces a dead one, so that one death is one failure and not a hundred."""

    def __init__(self, folder):
        self.folder = folder
        self.generation = 0
        self.server: LongbowServer | None = None

    def get(self) -> LongbowServer:
        if self.server is None or not self.server.alive():
            self.close()
            self.generation += 1
            self.server = LongbowServer(self.folder / f"data{self.generation}").start()
        return self.server

    def close(self) -> None:
        if self.server is not None:
            self.server.close()
            self.server = None


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory):
    shared = SharedServer(tmp_path_factory.mktemp("shared"))
    yield shared
    if shared.server is not None and shared.server.alive():
        # A clean end after all those tests; with a sanitizer this is where leaks are counted.
        exit_code = shared.server.stop(60)
        assert exit_code == 0, f"exit code {exit_code}:\n{shared.server.log()[-6000:]}"
    shared.close()


@pytest.fixture
def server(shared_server, request):
    """The run's server. Fails the test in its teardown if the process died or went deaf."""
    running = shared_server.get()
    request.node.longbow_servers = [running]
    yield running
    assert running.alive(), (
        f"the server died during this test, exit code {running.process.poll()}:\n{running.log()[-4000:]}"
    )
    assert health(running) == b"\x08\x01", "the server no longer answers its health check"


def health(running: LongbowServer) -> bytes:
    with RawFlight(running.data_port) as raw:
        return raw.unary("/grpc.health.v1.Health/Check", b"").only_message()


@pytest.fixture
def make_server(tmp_path, request):
    """Builds servers with their own data folder: make_server(**options) -> a started LongbowServer."""
    made: list[LongbowServer] = []
    request.node.longbow_servers = made

    def make(data_dir=None, start=True, **options) -> LongbowServer:
        made.append(LongbowServer(data_dir or tmp_path / f"data{len(made)}", **options))
        return made[-1].start() if start else made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def client(server):
    """pyarrow's client on the data port."""
    with flight.connect(server.data_uri) as connected:
        yield connected


@pytest.fixture(params=["data", "meta"])
def any_port_client(server, request):
    """pyarrow's client, once on each port: both serve everything."""
    with flight.connect(server.data_uri if request.param == "data" else server.meta_uri) as connected:
        yield connected


@pytest.fixture
def raw(server):
    """Plain gRPC on the data port: exact status codes, hand-made bytes."""
    with RawFlight(server.data_port) as connected:
        yield connected


@pytest.fixture
def dataset(request) -> str:
    """A dataset name that no other test uses."""
    return re.sub(r"\W+", "_", request.node.name)[:60] + f"_{next(dataset_numbers)}"


@pytest.fixture
def rng(request) -> np.random.Generator:
    """The same numbers in each run of one test, others for each test."""
    return np.random.default_rng(list(request.node.name.encode()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows the end of its servers' logs."""
    report = yield
    if report.failed:
        for server in getattr(item, "longbow_servers", []):
            if server.log_path.exists():
                report.sections.append(
                    (f"server log {server.log_path}", server.log_path.read_text(errors="replace")[-6000:])
                )
    return report
