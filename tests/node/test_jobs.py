"""Compactions as clients see them: how far, how long yet, and ended on request."""

from __future__ import annotations

import flight_calls as fc
import numpy as np
import pyarrow.flight as flight
from longbow_server import wait_until
from raw_flight import RawFlight

ROWS = 8_000


def jobs(client, **wanted) -> list[dict]:
    listed = fc.action_json(client, "ListJobs")["jobs"]
    return [job for job in listed if all(job[key] == value for key, value in wanted.items())]


def size_bytes(server) -> int:
    return sum(file.stat().st_size for file in server.data_dir.glob("segments/**/*") if file.is_file())


def test_a_compaction_can_be_watched_and_ended(make_server, tmp_path):
    # One percent of a core: it takes long enough to be seen.
    server = make_server(
        tmp_path / "data", compaction_interval="100ms", compaction_cpu_percent=1, segment_rows_max=4096
    )
    with flight.connect(server.data_uri) as client, RawFlight(server.data_port) as raw:
        assert jobs(client) == []
        raw.do_action("CancelJob", {"id": "compaction-1"}).expect("NOT_FOUND", "ListJobs lists them")
        raw.do_action("CancelJob", b"[").expect("INVALID_ARGUMENT", "invalid job request")
        fc.put(client, "a", fc.vector_table(np.random.default_rng(3).random((ROWS, 64), np.float32)))
        fc.action(client, "delete", {"dataset": "a", "ids": list(range(0, ROWS, 2))})
        wait_until(lambda: jobs(client, state="running", kind="compaction"), 60, "a compaction to begin")
        wait_until(lambda: jobs(client)[-1]["done"] > 0, 60, "its first rows")
        job = jobs(client)[-1]
        assert (job["dataset"], job["unit"]) == ("a", "rows") and 0 < job["done"] <= job["total"]
        assert job["per_second"] > 0 and job["eta_seconds"] >= 0 and "error" not in job
        assert fc.action_json(client, "CancelJob", {"id": job["id"]}) == {"id": job["id"]}
        wait_until(lambda: jobs(client, id=job["id"], state="cancelled"), 60, "its end")
        assert fc.scan(client, "a").num_rows == ROWS / 2
        assert not jobs(client, state="running"), "what was cancelled is left alone for a while"


def test_compactions_give_space_back_unless_they_are_off(make_server, tmp_path):
    off = make_server(tmp_path / "off", compaction_enabled="false", segment_rows_max=4096)
    on = make_server(tmp_path / "on", compaction_interval="100ms", segment_rows_max=4096)
    sizes = {}
    for server in (off, on):
        with flight.connect(server.data_uri) as client:
            table = fc.vector_table(np.random.default_rng(3).random((ROWS, 64), np.float32))
            for _ in range(4):
                fc.put(client, "a", table)
            if server is on:
                wait_until(lambda: jobs(client, state="done") and not jobs(client, state="running"), 120, "compactions")
            fc.action(client, "ForceSnapshot", {})
            if server is on:
                wait_until(lambda own=server: size_bytes(own) < 1.25 * sizes[off] / 4, 120, "the space of dead rows")
            sizes[server] = size_bytes(server)
            assert fc.scan(client, "a").num_rows == ROWS
            assert server is on or jobs(client) == []
