"""A server of many tiny datasets, as an application with one for each of its users has, with as few descriptors as a shell
gives it.

LONGBOW_TEST_DATASETS sets their number (1,000).
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import flight_calls as fc
import numpy as np
import pyarrow.flight as flight
import pytest
from longbow_server import sanitized

DATASETS = int(os.environ.get("LONGBOW_TEST_DATASETS", 1_000))
KIB_EACH_MAX = 100
DESCRIPTORS_MAX = 1_024  # a shell's `ulimit -n`
MAPPINGS_MAX = 65_530  # Linux's vm.max_map_count: what 10,000 datasets must fit into


def footprint(pid: int) -> dict[str, int]:
    status = Path(f"/proc/{pid}/status").read_text()
    return {
        "KiB": int(status.split("RssAnon:")[1].split()[0]),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "mappings": Path(f"/proc/{pid}/maps").read_text().count("\n"),
    }


@pytest.mark.skipif(sanitized(), reason="a sanitizer's memory is not the server's")
@pytest.mark.timeout(900)
def test_many_tiny_datasets(make_server, rng):
    server = make_server(start=False)
    server.prefix = ["prlimit", f"--nofile={DESCRIPTORS_MAX}:{DESCRIPTORS_MAX}"]
    server.start()
    empty = footprint(server.process.pid)
    with flight.connect(server.data_uri) as client:
        vectors = rng.random((3, 64), np.float32)
        for number in range(DATASETS):
            fc.put(client, f"user{number}", fc.vector_table(vectors + number))

    def expect_little_is_held() -> None:
        held = {name: count - empty[name] for name, count in footprint(server.process.pid).items()}
        print(f"\n{DATASETS} datasets: {held}")
        assert held["KiB"] <= KIB_EACH_MAX * DATASETS
        assert held["descriptors"] <= 3 * DATASETS
        assert held["mappings"] / DATASETS <= MAPPINGS_MAX / 10_000 * 0.9

    expect_little_is_held()
    for clean in (False, True):
        assert server.stop() == 0 if clean else server.kill() is None
        started = time.monotonic()
        server.start()
        took_s = time.monotonic() - started
        print(f"restart: {took_s:.2f} s")
        assert took_s < max(10 * DATASETS / 10_000, 3)
        expect_little_is_held()
        with flight.connect(server.data_uri) as client:
            assert sum(1 for _ in client.list_flights()) == DATASETS
            for number in rng.choice(DATASETS, 20, replace=False):
                assert fc.scan_ids(client, f"user{number}") == [0, 1, 2]
                query = (vectors[1] + number).astype(np.float32)
                assert [hit for hit, _ in fc.search(client, f"user{number}", query, 1)] == [1]
