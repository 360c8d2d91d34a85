"""The processes that are compared: each builds its index once and then measures when it is told to."""

from __future__ import annotations

import json
import select
import subprocess
import time
from pathlib import Path
from typing import IO, Any

LOG_TAIL_LINES = 12


class Contestant:
    """A program that prints 'ready' before each run, waits for a line, and in the end writes its JSON and exits with 0.

    Whatever goes wrong becomes `failure`, in words; the others go on.
    """

    def __init__(self, name: str, command: list[str], report: Path, environment: dict[str, str] | None = None) -> None:
        self.name = name
        self.report_path = report
        self.failure = ""
        self.log_path = report.with_suffix(".log")
        self.command = [*command, "--json", str(report)]
        self.environment = environment
        self.process: subprocess.Popen[str] | None = None
        self.log: IO[str] | None = None

    def start(self, timeout_s: float) -> None:
        """Returns when the index is built and the program waits for its first run."""
        self.launch()
        self.wait_until_ready(timeout_s)

    def run_to_end(self, timeout_s: float) -> None:
        """For a program that waits for nobody."""
        self.launch()
        self.finish(timeout_s)
        self.close()

    def launch(self) -> None:
        self.report_path.unlink(missing_ok=True)
        self.log = self.log_path.open("w")
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=self.environment,
        )

    def run_once(self, timeout_s: float, last: bool) -> None:
        """One run; returns when the program waits for the next, or has ended after the last."""
        if self.failure or self.process is None or self.process.stdin is None:
            return
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.fail("ended before its last run")
            return
        if last:
            self.finish(timeout_s)
        else:
            self.wait_until_ready(timeout_s)

    def report(self) -> dict[str, Any] | None:
        if self.failure:
            return None
        loaded: dict[str, Any] = json.loads(self.report_path.read_text())
        if loaded["system"] != self.name:
            # One program may stand in a comparison twice, with different options.
            loaded["system"] = self.name
            self.report_path.write_text(json.dumps(loaded, indent=1) + "\n")
        return loaded

    def wait_until_ready(self, timeout_s: float) -> None:
        assert self.process is not None and self.process.stdout is not None
        deadline = time.monotonic() + timeout_s
        while True:
            readable = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]
            if not readable:
                self.fail(f"took longer than {timeout_s:.0f} s")
                return
            line = self.process.stdout.readline()
            if line == "ready\n":
                return
            if line == "":
                self.process.wait()
                self.fail(f"ended with exit status {self.process.returncode}")
                return

    def finish(self, timeout_s: float) -> None:
        assert self.process is not None
        try:
            self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.fail(f"took longer than {timeout_s:.0f} s")
            return
        if self.process.returncode != 0 or not self.report_path.exists():
            self.fail(f"ended with exit status {self.process.returncode}")

    def fail(self, why: str) -> None:
        self.close()
        tail = self.log_path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        self.failure = why + (f": {tail[-1]}" if tail else "") + f" (log: {self.log_path})"

    def close(self) -> None:
        """Ends the process if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.log is not None:
            self.log.close()
