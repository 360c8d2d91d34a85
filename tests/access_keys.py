"""Keys for tests: made by the real `longbow keys`, sent as the header that clients send."""

from __future__ import annotations

import json
import pathlib
import subprocess
import time

from longbow_server import LongbowServer, binary, clean_environment, wait_until
from raw_flight import SERVICE, Answer, RawFlight, field


def run_longbow(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(binary()), *arguments], capture_output=True, text=True, env=clean_environment(), timeout=30
    )


def run_keys(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_longbow("keys", *arguments)


class AccessFile:
    """The file that a server's access_file names."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def create(self, namespace: str, role: str, *more: str) -> str:
        """The text of a new key."""
        done = run_keys("create", f"--file={self.path}", f"--namespace={namespace}", f"--role={role}", *more)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def change(self, command: str, *arguments: str) -> str:
        done = run_keys(command, f"--file={self.path}", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def expire(self, key: str) -> None:
        """Makes a key one that ended an hour ago: nobody waits for that in a test."""
        content = json.loads(self.path.read_text())
        (found,) = [one for one in content["keys"] if one["id"] == key_id(key)]
        found["expires_unix_seconds"] = int(time.time()) - 3600
        self.path.write_text(json.dumps(content))


def key_id(key: str) -> str:
    return key.split("_")[1]


def bearer(key: str | None) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {key}")] if key is not None else []


def call(raw: RawFlight, key: str | None, method: str, *messages: bytes) -> Answer:
    """A method of Flight, or any other by its path, as the owner of `key`."""
    path = method if method.startswith("/") else SERVICE + method
    return raw.call(path, messages, metadata=bearer(key))


def act(raw: RawFlight, key: str | None, kind: str, body: dict | None = None) -> Answer:
    return call(raw, key, "DoAction", field(1, kind) + field(2, json.dumps(body) if body is not None else b""))


def await_key(raw: RawFlight, key: str, code: str, timeout_s: float = 10.0) -> None:
    """Until the server has read its file again."""
    wait_until(lambda: act(raw, key, "ListNamespaces").code == code, timeout_s, f"{code} for a key")


def http(server: LongbowServer, path: str, key: str | None) -> int:
    """The status of GET on the metrics port."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.metrics_port, timeout=10)
    try:
        connection.request("GET", path, headers=dict(bearer(key)))
        return connection.getresponse().status
    finally:
        connection.close()
