"""An S3 server of its own process (moto), and a proxy in front of it that fails some requests.

Both listen on 127.0.0.1 and live as long as their `with` block.
"""

from __future__ import annotations

import http.client
import http.server
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.request

START_TIMEOUT_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class S3Server:
    """moto's server: keeps everything in memory, takes any key."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> S3Server:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                urllib.request.urlopen(f"{self.endpoint}/moto-api/", timeout=5).close()
                return self
            except OSError:
                assert self.process.poll() is None, "the S3 server ended by itself"
                assert time.monotonic() < end, "the S3 server does not answer"
                time.sleep(0.1)

    def __exit__(self, *_) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def make_bucket(self, name: str) -> None:
        request = urllib.request.Request(f"{self.endpoint}/{name}", method="PUT", headers={"Authorization": SIGNED})
        urllib.request.urlopen(request, timeout=10).close()


# moto looks for a key in it and checks nothing else.
SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"

FAILURES = ("500", "503", "closed", "answer lost")


class FailingProxy:
    """Hands on requests, but fails `share` of them: an error of the server, a closed connection, or, worst of all, an answer
    that is lost after the request was carried out. `seed` repeats which."""

    def __init__(self, upstream: S3Server, share: float, seed: int) -> None:
        self.failed = self.passed = 0
        dice = random.Random(seed)
        lock = threading.Lock()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.read_body()
                with lock:
                    failure = dice.choice(FAILURES) if dice.random() < share else None
                    proxy.failed += failure is not None
                    proxy.passed += failure is None
                if failure == "closed":
                    self.close_connection = True
                    return
                if failure in ("500", "503"):
                    return self.answer(int(failure), {}, b"<Error><Code>SlowDown</Code></Error>")
                connection = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=20)
                try:
                    connection.request(self.command, self.path, body, dict(self.headers))
                    answer = connection.getresponse()
                    content = answer.read()
                finally:
                    connection.close()
                if failure == "answer lost":
                    self.close_connection = True
                    return
                self.answer(answer.status, dict(answer.getheaders()), content)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def read_body(self) -> bytes:
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    del self.headers["Transfer-Encoding"]
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                    return body
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                        self.send_header(name, value)
                length = headers.get("Content-Length", len(content)) if self.command == "HEAD" else len(content)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *_) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address) -> None:
                pass  # clients hang up on purpose

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> FailingProxy:
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()
