"""The real server for the tests marked `integration`."""

from __future__ import annotations

import os
import pathlib
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from longbow import LongbowClient

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 20.0


def binary() -> pathlib.Path:
    default = pathlib.Path(__file__).resolve().parents[3] / "build/release/bin/longbow"
    return pathlib.Path(os.environ.get("LONGBOW_BIN") or default)


@dataclass
class Server:
    """One running `longbow serve` on ports of its own choice."""

    process: subprocess.Popen[bytes]
    log: pathlib.Path
    data: str
    meta: str

    @classmethod
    def start(cls, folder: pathlib.Path) -> Server:
        path = binary()
        if not path.is_file():
            pytest.fail(f"no server at {path}: build it with 'make build', or name one in LONGBOW_BIN", pytrace=False)
        log = folder / "server.log"
        with log.open("ab") as stderr:
            process = subprocess.Popen(
                [
                    str(path),
                    "serve",
                    "--listen-addr=127.0.0.1:0",
                    "--meta-addr=127.0.0.1:0",
                    "--metrics-addr=127.0.0.1:0",
                    f"--data-path={folder / 'data'}",
                ],
                stdout=subprocess.PIPE,
                stderr=stderr,
                stdin=subprocess.DEVNULL,
            )
        line = _first_line(process)
        found = re.search(r"^longbow ready data=(\S+) meta=(\S+) ", line)
        if found is None:
            process.kill()
            process.wait()
            pytest.fail(f"the server did not start: {line!r}\n{log.read_text(errors='replace')[-4000:]}", pytrace=False)
        return cls(process, log, f"grpc://{found[1]}", f"grpc://{found[2]}")

    def kill(self) -> None:
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """Asks the server to stop; its exit status. A server that doesn't is killed and the test fails."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"the server did not stop within {STOP_WITHIN_S:g} s of SIGTERM", pytrace=False)
        return self._reap()

    def _reap(self) -> int:
        status = self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


def _first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    deadline = time.monotonic() + READY_WITHIN_S
    line = b""
    while not line.endswith(b"\n"):
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([process.stdout], [], [], left_s)[0]:
            return f"nothing within {READY_WITHIN_S:g} s"
        piece = os.read(process.stdout.fileno(), 4096)
        if not piece:
            return line.decode(errors="replace")
        line += piece
    return line.decode(errors="replace")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server.start(tmp_path_factory.mktemp("longbow"))
    yield running
    assert running.stop() == 0, running.log.read_text(errors="replace")[-4000:]


@pytest.fixture
def live(server: Server) -> Iterator[LongbowClient]:
    """A client of the real server."""
    with LongbowClient(server.data, server.meta) as client:
        client.wait_until_ready(timeout_s=30)
        yield client
