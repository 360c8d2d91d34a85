"""A memory budget under a real limit of the kernel's: ten times as much is put as may be held, and nothing is lost.

LONGBOW_BUDGET_MIB and LONGBOW_BUDGET_DIMENSION make the same run larger or its rows smaller; -s shows its figures.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import threading
import time
from dataclasses import dataclass, field

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from longbow_server import LongbowServer, sanitized, wait_until

MIB = 1 << 20
BUDGET = int(os.environ.get("LONGBOW_BUDGET_MIB", "64")) * MIB
DIMENSION = int(os.environ.get("LONGBOW_BUDGET_DIMENSION", "1024"))
INNER_DIMENSION = 24  # in which rows differ, as embeddings do: graphs of noise would take most of the time
DATASETS = 4  # each has its own graphs: rows that wait for one do not hold up the others
BATCH_ROWS = MIB // (4 * DIMENSION)
TIMEOUT_S = 300 + 8 * BUDGET // MIB
LIMIT = max(BUDGET * 6 // 5, BUDGET + 32 * MIB)  # what the kernel allows the process, page cache included


@pytest.fixture(autouse=True)
def memory_means_something():
    if sanitized():
        pytest.skip("a sanitizer's own memory hides the server's")


class ControlGroup:
    """A control group of version 2 or 1 that limits memory."""

    def __init__(self, limit_bytes: int):
        version_1 = pathlib.Path("/sys/fs/cgroup/memory")
        version_2 = pathlib.Path("/sys/fs/cgroup")
        name = f"longbow_test_{time.monotonic_ns()}"
        if (version_1 / "memory.limit_in_bytes").exists():
            self.folder, limit = version_1 / name, "memory.limit_in_bytes"
        else:
            self.folder, limit = version_2 / name, "memory.max"
        self.folder.mkdir()
        try:
            (self.folder / limit).write_text(str(limit_bytes))
        except OSError:
            self.folder.rmdir()
            raise

    def add(self, pid: int) -> None:
        (self.folder / "cgroup.procs").write_text(str(pid))

    def kills(self) -> int:
        for name in ("memory.events", "memory.oom_control"):
            if (self.folder / name).exists():
                return int(re.search(r"^oom_kill (\d+)$", (self.folder / name).read_text(), re.M)[1])
        raise AssertionError("the kernel does not say whether it killed anything")

    def remove(self) -> None:
        wait_until(lambda: not (self.folder / "cgroup.procs").read_text(), 10, "the control group is empty")
        self.folder.rmdir()


@pytest.fixture
def limited():
    try:
        group = ControlGroup(LIMIT)
    except OSError as why:
        pytest.skip(f"NOT TESTED: no control group with a memory limit can be made here: {why}")
    yield group
    group.remove()


def anonymous_bytes(server: LongbowServer) -> int:
    status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024


def metric(server: LongbowServer, name: str) -> float:
    return float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", server.http("GET", "/metrics")[2], re.M)[1])


def batch(dataset: int, number: int) -> np.ndarray:
    directions = np.random.default_rng(1).standard_normal((INNER_DIMENSION, DIMENSION), np.float32)
    random = np.random.default_rng([dataset, number])
    rows = random.standard_normal((BATCH_ROWS, INNER_DIMENSION), np.float32) @ directions
    return rows + 0.1 * random.standard_normal((BATCH_ROWS, DIMENSION), np.float32)


@dataclass
class Load:
    """Puts batches one after another until all are acknowledged; one that is refused is sent again."""

    server: LongbowServer
    dataset: int
    batches: int
    acknowledged: int = 0
    refused: list[str] = field(default_factory=list)

    def run(self) -> None:
        with flight.connect(self.server.data_uri) as client:
            while self.acknowledged < self.batches:
                first = self.acknowledged * BATCH_ROWS
                table = fc.vector_table(
                    batch(self.dataset, self.acknowledged), pa.array(np.arange(first, first + BATCH_ROWS), pa.int64())
                )
                try:
                    fc.put(client, f"d{self.dataset}", table, flight.FlightCallOptions(timeout=60))
                    self.acknowledged += 1
                except pa.ArrowInvalid as refused:  # what pyarrow makes of RESOURCE_EXHAUSTED
                    assert "retry in" in str(refused), refused
                    self.refused.append(str(refused))
                    time.sleep(0.2)


def check_every_row(server: LongbowServer, loads: list[Load]) -> None:
    with flight.connect(server.data_uri) as client:
        for load in loads:
            seen = np.zeros(load.acknowledged * BATCH_ROWS, bool)
            ticket = json.dumps({"name": f"d{load.dataset}"}).encode()
            for chunk in client.do_get(flight.Ticket(ticket)):
                ids = chunk.data["id"].to_numpy()
                assert not seen[ids].any(), "a row came twice"
                seen[ids] = True
            assert seen.all(), f"d{load.dataset}: {np.count_nonzero(~seen)} acknowledged rows are gone"
            for number in (0, load.batches // 2, load.batches - 1):
                found = fc.search(client, f"d{load.dataset}", batch(load.dataset, number)[7], 1)
                assert found[0][0] == number * BATCH_ROWS + 7


@pytest.mark.timeout(TIMEOUT_S)
def test_ten_times_the_budget_under_a_limit_of_the_kernel(limited, make_server):
    # Graphs of less effort: what is tested is where their memory goes, and they would take most of the time.
    server = make_server(start=False, max_memory=f"{BUDGET // MIB}MiB", hnsw_m=12, hnsw_ef_construction=32)
    launch(server, limited)
    batches = 10 * BUDGET // (DIMENSION * 4 * BATCH_ROWS * DATASETS)
    loads = [Load(server, dataset, batches) for dataset in range(DATASETS)]
    begin = time.monotonic()
    threads = [threading.Thread(target=load.run) for load in loads]
    peak = 0
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert server.alive(), f"the server died; kills by the kernel: {limited.kills()}\n{server.log()[-3000:]}"
        peak = max(peak, anonymous_bytes(server))
        time.sleep(0.02)
    assert [load.acknowledged for load in loads] == [batches] * DATASETS
    put_s = time.monotonic() - begin
    check_every_row(server, loads)
    report = {
        "budget_mib": BUDGET // MIB,
        "limit_mib": LIMIT // MIB,
        "rows": DATASETS * batches * BATCH_ROWS,
        "dimension": DIMENSION,
        "float_mib": DATASETS * batches * BATCH_ROWS * DIMENSION * 4 // MIB,
        "put_s": round(put_s, 1),
        "refused_with_hint": sum(len(load.refused) for load in loads),
        "peak_anonymous_mib": round(peak / MIB, 1),
        "kills": limited.kills(),
        "segments_moved": metric(server, "longbow_segments_moved_to_files_total"),
    }
    print(json.dumps(report))
    assert limited.kills() == 0
    assert peak <= LIMIT, f"{peak / MIB:.0f} MiB at most"
    assert metric(server, "longbow_segments_moved_to_files_total") > 0
    server.kill()
    launch(server, limited)
    check_every_row(server, loads)
    assert server.alive() and limited.kills() == 0


def launch(server: LongbowServer, group: ControlGroup) -> None:
    server.launch()
    group.add(server.pid)
    server.wait_ready()


def test_a_tiny_budget_refuses_in_time_and_takes_the_rest(make_server, rng):
    server = make_server(max_memory="32MiB")
    with flight.connect(server.data_uri) as client:
        begin = time.monotonic()
        with pytest.raises(pa.ArrowInvalid, match=r"message larger than max \(\d+ vs. 6291456\)"):
            fc.put(client, "d", fc.vector_table(rng.random((14_000, 384), np.float32)))
        assert time.monotonic() - begin < 5
        assert b"d" not in [flight_info.descriptor.path[0] for flight_info in client.list_flights()]
        refusals = []

        def hammer(number: int) -> None:
            with flight.connect(server.data_uri) as own:
                for _ in range(6):
                    try:
                        fc.put(own, f"h{number}", fc.vector_table(rng_of(number).random((4_000, 384), np.float32)))
                    except pa.ArrowInvalid as refused:
                        refusals.append(str(refused))

        threads = [threading.Thread(target=hammer, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
            assert not thread.is_alive(), "a put hangs"
        assert refusals and all("(max_memory)" in text or "in progress hold" in text for text in refusals), refusals
        assert metric(server, "longbow_memory_refusals_total") > 0

        def puts_again() -> bool:
            try:
                fc.put(client, "small", fc.vector_table(rng.random((100, 384), np.float32)))
                return True
            except pa.ArrowInvalid:
                return False

        wait_until(puts_again, 60, "puts are taken again")
        assert fc.row_count(client, "small") == 100


def rng_of(number: int) -> np.random.Generator:
    return np.random.default_rng(number)


@pytest.mark.parametrize("value", ["1", "31MiB", "lots", "-5", "12 parsecs"])
def test_nonsense_is_refused_by_name(make_server, value):
    server = make_server(start=False, max_memory=value)
    failed = server.refuse_to_start()
    assert "max_memory" in failed.log, failed.log
