"""HTTP/2 by hand, for what no client library will send. All of it bounded, all of it to 127.0.0.1."""

from __future__ import annotations

import contextlib
import socket

import hpack
from raw_flight import SERVICE

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM = ACK = 1
END_HEADERS = 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def preface(settings: bytes = b"") -> bytes:
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings) + frame(SETTINGS, ACK, 0)


def setting(identifier: int, value: int) -> bytes:
    return identifier.to_bytes(2, "big") + value.to_bytes(4, "big")


def request_headers(method: str = "DoGet", *more: tuple[str, str]) -> bytes:
    """The header block of a gRPC call. Every entry is a never-indexed literal, so the block may be sent again and again."""
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", SERVICE + method),
        (":authority", "127.0.0.1"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *more,
    ]
    return hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*header) for header in headers])


def grpc_message(payload: bytes) -> bytes:
    return b"\0" + len(payload).to_bytes(4, "big") + payload


def integer(value: int, prefix_bits: int) -> bytes:
    """HPACK's integer (RFC 7541, 5.1)."""
    full = (1 << prefix_bits) - 1
    if value < full:
        return bytes([value])
    out = bytearray([full])
    value -= full
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class Connection:
    """A TCP connection that speaks frames. Context manager."""

    def __init__(self, port: int, timeout_s: float = 5.0):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(timeout_s)
        self.received = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> bool:
        """False once the server has closed the connection or takes no more."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def read_frames(self, until=lambda frames: False, limit_bytes: int = 64 << 20) -> list[tuple[int, int, int, bytes]]:
        """(kind, flags, stream, payload) of what comes until `until(frames)`, the end of the connection, or a timeout."""
        frames: list[tuple[int, int, int, bytes]] = []
        total = 0
        with contextlib.suppress(OSError):
            while total < limit_bytes and not until(frames):
                data = self.socket.recv(1 << 16)
                if not data:
                    break
                total += len(data)
                self.received += data
                while len(self.received) >= 9:
                    size = int.from_bytes(self.received[:3], "big")
                    if len(self.received) < 9 + size:
                        break
                    frames.append(
                        (
                            self.received[3],
                            self.received[4],
                            int.from_bytes(self.received[5:9], "big") & 0x7FFFFFFF,
                            self.received[9 : 9 + size],
                        )
                    )
                    self.received = self.received[9 + size :]
        return frames
