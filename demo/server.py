"""One `longbow serve` process, on ports of its own choice and a data folder it is given."""

from __future__ import annotations

import os
import pathlib
import re
import select
import signal
import subprocess
import time


class ServerFailed(Exception):
    """The server did not start or stop as it should; server.log in its folder tells more."""


class Server:
    """Started by the constructor, which returns when the server takes calls. End it with kill() or stop()."""

    def __init__(self, binary: pathlib.Path, folder: pathlib.Path, start_within_s: float) -> None:
        """Runs `binary` on `folder`/data; its log is appended to `folder`/server.log."""
        self._log = folder / "server.log"
        started = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(binary),
                    "serve",
                    "--listen-addr=127.0.0.1:0",
                    "--meta-addr=127.0.0.1:0",
                    "--metrics-addr=127.0.0.1:0",
                    f"--data-path={folder / 'data'}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:
            line = self._first_line(started + start_within_s)
            found = re.match(r"longbow ready data=(\S+) meta=(\S+) ", line)
            if found is None:
                took_s = time.monotonic() - started
                raise ServerFailed(f"server not ready: after {took_s:.1f} s it had said {line!r}, not its ready line")
        except BaseException:
            self.kill()
            raise
        self.data_uri = f"grpc://{found[1]}"
        self.meta_uri = f"grpc://{found[2]}"
        self.start_s = time.monotonic() - started

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def _first_line(self, deadline: float) -> str:
        assert self._process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([self._process.stdout], [], [], left_s)[0]:
                break
            piece = os.read(self._process.stdout.fileno(), 4096)
            if not piece:
                break
            line += piece
        return line.decode(errors="replace")

    def kill(self) -> None:
        """SIGKILL: no chance to save anything. Does nothing if the process has ended."""
        if self._process.poll() is None:
            self._process.kill()
        self._reap()

    def stop(self, within_s: float) -> None:
        """SIGTERM; ServerFailed if the process then lives on for `within_s` or ends with an error."""
        self._process.send_signal(signal.SIGTERM)
        try:
            status = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"server did not stop within {within_s:g} s of SIGTERM") from None
        self._reap()
        if status != 0:
            raise ServerFailed(f"server ended with status {status}")

    def _reap(self) -> None:
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
