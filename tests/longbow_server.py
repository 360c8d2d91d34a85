"""A `longbow serve` process under test: start, stop, kill, restart, look at it from outside.

Everything goes through the command line, the one line on stdout and /proc, so the suites know nothing of the inside.
"""

from __future__ import annotations

import http.client
import mmap
import os
import pathlib
import re
import select
import signal
import subprocess
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
READY = re.compile(r"^longbow ready data=(\S+):(\d+) meta=(\S+):(\d+) metrics=(\S+):(\d+) pid=(\d+)\s*$")
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0


def binary() -> pathlib.Path:
    """The server binary: LONGBOW_BIN, else the release build. A missing one fails the test that asks."""
    path = pathlib.Path(os.environ.get("LONGBOW_BIN", REPOSITORY / "build" / "release" / "bin" / "longbow"))
    if not path.is_file():
        raise FileNotFoundError(f"no server binary at {path}: run `make build`, or point LONGBOW_BIN at one")
    return path


def sanitized() -> bool:
    """Whether the binary carries a sanitizer: its memory figures then say nothing and everything takes longer."""
    with open(binary(), "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image:
        return image.find(b"__asan_init") >= 0 or image.find(b"__tsan_init") >= 0


class StartFailed(Exception):
    """The process ended, or said nothing in time, before it was ready."""

    def __init__(self, message: str, exit_code: int | None, log: str):
        super().__init__(f"{message}; exit code {exit_code}; stderr:\n{log}")
        self.exit_code = exit_code
        self.log = log


class LongbowServer:
    """One server on free loopback ports. The data folder outlives the process: start() after kill() is a restart."""

    def __init__(self, data_dir: pathlib.Path, **options: object):
        self.data_dir = pathlib.Path(data_dir)
        self.options = options  # max_memory=1 -> --max-memory=1
        self.log_path = self.data_dir.parent / f"{self.data_dir.name}.log"
        self.process: subprocess.Popen[str] | None = None
        self.environment: dict[str, str] = {}  # besides the options
        self.prefix: list[str] = []  # a command that becomes the server, as `prlimit --nofile=1024`
        self.kill_at = ""  # "name:nth": where the next process kills itself, see src/base/kill_point.h
        self.data_port = self.meta_port = self.metrics_port = 0

    def start(self) -> LongbowServer:
        """Starts and waits for the ready line. StartFailed otherwise; no process is left behind then."""
        self.launch()
        return self.wait_ready()

    def launch(self) -> None:
        """Starts without waiting."""
        assert self.process is None, "already running"
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        arguments = [
            *self.prefix,
            str(binary()),
            "serve",
            "--listen-addr=127.0.0.1:0",
            "--meta-addr=127.0.0.1:0",
            "--metrics-addr=127.0.0.1:0",
            f"--data-path={self.data_dir}",
        ]
        arguments += [f"--{key.replace('_', '-')}={value}" for key, value in self.options.items()]
        with open(self.log_path, "ab") as log:
            self.log_start = log.tell()
            environment = (
                clean_environment() | self.environment | ({"LONGBOW_KILL_AT": self.kill_at} if self.kill_at else {})
            )
            self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> LongbowServer:
        assert self.process is not None and self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], timeout_s)
        line = self.process.stdout.readline() if readable else ""
        match = READY.match(line)
        if not match:
            if not readable:
                self.process.kill()
            exit_code = self.reap(STOP_TIMEOUT_S)
            raise StartFailed(f"no ready line within {timeout_s} s, got {line!r}", exit_code, self.log())
        self.data_port, self.meta_port, self.metrics_port = (int(match[i]) for i in (2, 4, 6))
        assert int(match[7]) == self.process.pid, f"the ready line names another pid: {line!r}"
        return self

    def refuse_to_start(self, timeout_s: float = START_TIMEOUT_S) -> StartFailed:
        """Starts and expects a refusal: the process ends by itself with an exit code above 0."""
        try:
            self.launch()
            self.wait_ready(timeout_s)
        except StartFailed as failed:
            assert failed.exit_code is not None and failed.exit_code > 0, f"ended by a signal or was stuck: {failed}"
            return failed
        self.kill()
        raise AssertionError("the server started although it had to refuse")

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """SIGTERM; the exit code. TimeoutExpired (after SIGKILL) if it does not end in time."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.reap(timeout_s)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.reap(STOP_TIMEOUT_S)

    def close(self) -> None:
        """Whatever state it is in, nothing runs afterwards."""
        if self.process is not None:
            self.kill()

    def reap(self, timeout_s: float) -> int:
        assert self.process is not None
        process = self.process
        try:
            exit_code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            self.process = None
            if process.stdout:
                process.stdout.close()
        return exit_code

    # --- seen from outside ---

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def data_uri(self) -> str:
        return f"grpc://127.0.0.1:{self.data_port}"

    @property
    def meta_uri(self) -> str:
        return f"grpc://127.0.0.1:{self.meta_port}"

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        """stderr since the last launch."""
        with open(self.log_path, "rb") as file:
            file.seek(self.log_start)
            return file.read().decode("utf-8", "replace")

    def rss_bytes(self) -> int:
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_seconds(self) -> float:
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def http(self, method: str, path: str, timeout_s: float = 10.0) -> tuple[int, str, str]:
        """Status, content type and body from the metrics port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=timeout_s)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.getheader("content-type", ""), answer.read().decode()
        finally:
            connection.close()


def clean_environment() -> dict[str, str]:
    """Ours without anything that would configure the server behind the test's back; LONGBOW_ISA picks the kernels."""
    keep = {"LONGBOW_ISA"}
    return {key: value for key, value in os.environ.items() if not key.startswith("LONGBOW_") or key in keep}


def wait_until(condition, timeout_s: float, what: str, interval_s: float = 0.02):
    """Polls until `condition()` is truthy and returns that value; AssertionError with `what` after `timeout_s`."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {timeout_s} s: {what}; last value {value!r}"
        time.sleep(interval_s)
