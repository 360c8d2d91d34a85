"""Fixtures of the crash suites."""

from __future__ import annotations

import os
import subprocess

import flight_calls as fc
import pyarrow.flight as flight
import pytest
from data_folder import vectors
from longbow_server import LongbowServer


@pytest.fixture
def stopped(make_server) -> LongbowServer:
    """A server that was killed: checkpoint, segment and deleted rows on disk, 40 acknowledged puts in the log after it."""
    server = make_server()
    with flight.connect(server.data_uri) as client:
        fc.put(client, "d", fc.vector_table(vectors(500), text=[f"t{i}" for i in range(500)]))
        fc.action(client, "delete", {"dataset": "d", "id": "3"})
        fc.action(client, "ForceSnapshot")
        for i in range(40):
            fc.put(
                client, "d", fc.vector_table(vectors(5, i), ids=list(range(1000 + 5 * i, 1005 + 5 * i)), text=["x"] * 5)
            )
    server.kill()
    return server


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 100 MB: room for one log file of 64 MB, not for two."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"this root may not mount a tmpfs: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
