"""What is in a data folder, how to harm it, and what the `stopped` server's must give back afterwards."""

from __future__ import annotations

import hashlib
import pathlib

import flight_calls as fc
import numpy as np
import pyarrow.flight as flight
from longbow_server import LongbowServer

LOCK_FILES = {"LOCK"}  # names the owner; not data


def fingerprint(folder: pathlib.Path) -> dict[str, str]:
    """Every file of the data folder and the hash of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in LOCK_FILES
    }


def files(folder: pathlib.Path, kind: str) -> list[pathlib.Path]:
    """The files of a kind: `log`, `mark` (how far the log is committed), `manifest`, `format`, `segment` (rows as Parquet), `bitmap`
    (which of them are dead), `derived` (made from the segments: vectors, columns, graphs)."""
    everything = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in LOCK_FILES and path.stat().st_size
    ]

    def kind_of(path: pathlib.Path) -> str:
        suffixes = {".log": "log", ".parquet": "segment", ".bits": "bitmap"}
        return {"MANIFEST": "manifest", "COMMITTED": "mark", "FORMAT": "format"}.get(
            path.name, suffixes.get(path.suffix, "derived")
        )

    return [path for path in everything if kind_of(path) == kind]


def used_size(log: pathlib.Path) -> int:
    """Where the records end: the rest of the file is preallocated zeros."""
    data = log.read_bytes()
    offset = 64  # of the file's header
    while data[offset : offset + 4] == b"LREC":
        body = int.from_bytes(data[offset + 56 : offset + 64], "little")
        offset += 72 + (body + 7) // 8 * 8
    return offset


def overwrite(path: pathlib.Path, offset: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def crc32c(data: bytes) -> int:
    """CRC-32C, bit by bit: enough for a header."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def vectors(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, 16), np.float32)


EXPECTED_IDS = [0, 1, 2] + list(range(4, 500)) + list(range(1000, 1200))


def check_rows(server: LongbowServer) -> None:
    with flight.connect(server.data_uri) as client:
        assert fc.scan_ids(client, "d") == EXPECTED_IDS
        assert fc.search(client, "d", vectors(500)[77], 1) == [(77, 1.0)]
        assert fc.search(client, "d", vectors(5, 39)[4], 1) == [(1199, 1.0)]


def flip(path: pathlib.Path, offset: int) -> None:
    overwrite(path, offset, bytes([path.read_bytes()[offset] ^ 0x41]))
