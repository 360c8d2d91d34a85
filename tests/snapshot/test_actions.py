"""The actions: what they answer, what they refuse, and that no client chooses where anything is written."""

from __future__ import annotations

import http.server
import json
import threading
import time

import flight_calls as fc
import numpy as np
import pyarrow.flight as flight
import pytest
from longbow_server import wait_until
from raw_flight import RawFlight
from s3_server import free_port
from test_rounds import snapshot, wait_for

HOSTILE = [
    "../x", "..", ".", "/etc/passwd", "/", "//", "a/../../b", "local/../..", "local/", "./local", "LOCAL", "local\0", "local\n", " local",
    "s3://bucket/x", "s3://other", "file:///etc", "http://127.0.0.1:1/", "gs://b/x", "\\\\host\\share", "C:\\x", "%2e%2e%2f", "..%2f",
    "%2e%2e/", "..\\", "..;/", "....//", "~", "~root", "$HOME", "`id`", "$(id)", ";id", "|id", "&", "*", "?", "{}", "\u202e", "\ufeff",
    "CON", "NUL", "a" * 1000, "segments", "../data/MANIFEST", "objects", "snapshots", "partial", "LOCK", "-rf", "--help", "\u2025/x",
    "..\u2215x", "\uff0e\uff0e/", "\r\nX: y", "\x7f", "\x1b[2J", "20260131T120000Z-00000000000000a7/../../x",
    "20260131T120000Z-00000000000000a7", "../20260131T120000Z-00000000000000", "20260131T120000Z-00000000000000A7",
]  # fmt: skip


@pytest.fixture
def server(make_server, place, tmp_path):
    running = make_server(tmp_path / "data", start=False, **place.options)
    running.environment = place.environment
    return running.start()


@pytest.fixture
def client(server):
    with flight.connect(server.data_uri) as connected:
        fc.put(connected, "a", fc.vector_table(np.random.default_rng(1).random((300, 8), np.float32)))
        fc.put(connected, "ns/b", fc.vector_table(np.zeros((2, 3), np.float32)))
        yield connected


def test_a_snapshot_from_begin_to_end(client, place, tmp_path):
    status = snapshot(client, place.target)
    assert status["state"] == "done" and "error" not in status
    assert status["files_done"] == status["files_total"] > 4
    assert status["bytes_done"] == status["bytes_total"] == status["bytes_copied"] > 0
    assert status["target"] == place.path and status["dataset"] == ""
    again = snapshot(client, place.target)
    assert again["bytes_copied"] == 0 and again["bytes_total"] == status["bytes_total"]
    fc.action(client, "delete", {"dataset": "a", "id": 7})
    of_one = fc.action_json(client, "CreateSnapshot", {"target": place.target, "dataset": "a"})["id"]
    assert wait_for(client, of_one)["state"] == "done"
    listed = fc.action_json(client, "ListSnapshots", {"target": place.target})["snapshots"]
    assert {entry["id"] for entry in listed} == {status["id"], again["id"], of_one}
    one = next(entry for entry in listed if entry["id"] == of_one)
    assert (one["dataset"], one["datasets"], one["rows"]) == ("a", 1, 299)
    assert one["lsn"] > listed[0]["lsn"]
    shown = place.run("snapshots", "--from", place.path)
    assert shown.returncode == 0 and all(entry["id"] in shown.stdout for entry in listed), shown.stderr
    restored = place.restore(tmp_path / "restored")
    assert restored.returncode == 0 and "2 datasets, 302 rows" in restored.stdout, restored
    assert place.run("fsck", str(tmp_path / "restored")).returncode == 0


def test_what_is_refused(server, client, place):
    with RawFlight(server.data_port) as raw:
        raw.do_action("CreateSnapshot", {"target": place.target, "dataset": "nobody"}).expect(
            "NOT_FOUND", "dataset nobody not found"
        )
        other = "s3" if place.target == "local" else "local"
        raw.do_action("CreateSnapshot", {"target": other}).expect("FAILED_PRECONDITION", "this node keeps no snapshots")
        raw.do_action("CreateSnapshot", b"[").expect("INVALID_ARGUMENT", "invalid snapshot request")
        raw.do_action("CreateSnapshot", {"target": 7}).expect("INVALID_ARGUMENT")
        raw.do_action("SnapshotStatus", {}).expect("NOT_FOUND", "no such snapshot")
        assert fc.action_json(client, "ListSnapshots") == {"snapshots": []}


def test_hostile_names_reach_nothing(server, client, place, tmp_path):
    before = {path for path in tmp_path.rglob("*") if "data" not in path.parts[len(tmp_path.parts)]}
    with RawFlight(server.data_port) as raw:
        for name in HOSTILE:
            for kind in ("CreateSnapshot", "ListSnapshots"):
                raw.do_action(kind, {"target": name}).expect("INVALID_ARGUMENT", "unknown target of snapshots")
            raw.do_action("CreateSnapshot", {"target": place.target, "dataset": name}).expect("NOT_FOUND")
            for kind in ("SnapshotStatus", "CancelSnapshot"):
                raw.do_action(kind, {"id": name}).expect("NOT_FOUND", "no such snapshot")
    for name in HOSTILE:
        if "\0" not in name and not name.startswith("2026"):
            refused = place.restore(tmp_path / "restored", f"--snapshot={name}")
            assert refused.returncode in (1, 2) and not (tmp_path / "restored").exists(), name
        if len([n for n in HOSTILE[: HOSTILE.index(name)] if "\0" not in n]) > 15 and place.proxy:
            break  # the same code; each costs a process
    after = {path for path in tmp_path.rglob("*") if "data" not in path.parts[len(tmp_path.parts)]}
    assert after == before


def test_without_a_place_there_are_no_snapshots(make_server):
    server = make_server()
    with RawFlight(server.data_port) as raw:
        raw.do_action("CreateSnapshot", {}).expect("FAILED_PRECONDITION", "set snapshot_path, or s3_bucket")
        raw.do_action("ListSnapshots", {}).expect("FAILED_PRECONDITION")


def test_settings_that_cannot_be_stop_the_start(make_server):
    refused = make_server(start=False, s3_bucket="no bucket").refuse_to_start()
    assert "is no name of a bucket" in refused.log
    refused = make_server(start=False, s3_bucket="bucket", s3_endpoint="ftp://x").refuse_to_start()
    assert "is no endpoint" in refused.log


class Silent(http.server.BaseHTTPRequestHandler):
    """Takes a connection and says nothing."""

    def handle(self) -> None:
        time.sleep(60)


def test_a_store_that_is_away_or_deaf_fails_the_snapshot_in_time(make_server, tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent) as deaf:
        deaf.daemon_threads = True
        threading.Thread(target=deaf.serve_forever, daemon=True).start()
        for port, is_deaf in ((free_port(), False), (deaf.server_address[1], True)):
            server = make_server(
                start=False, s3_bucket="bucket", s3_endpoint=f"http://127.0.0.1:{port}", drain_timeout="1s"
            )
            server.environment = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "a secret"}
            server.start()
            with flight.connect(server.data_uri) as client:
                fc.put(client, "a", fc.vector_table(np.zeros((3, 4), np.float32)))
                id = fc.action_json(client, "CreateSnapshot")["id"]
                with RawFlight(server.data_port) as raw:
                    if is_deaf:
                        raw.do_action("CreateSnapshot", {}).expect("RESOURCE_EXHAUSTED", "is being taken")
                        fc.put(client, "a", fc.vector_table(np.zeros((3, 4), np.float32)))  # nobody waits
                        fc.action(client, "CancelSnapshot", {"id": id})
                status = wait_for(client, id)
                assert status["state"] == ("cancelled" if is_deaf else "failed"), status
                if not is_deaf:
                    assert "Could not connect" in status["error"] and "secret" not in json.dumps(status)
                    fc.action_json(client, "CreateSnapshot")  # and a stop does not wait for it long
            assert server.stop(20) == 0
            assert "a secret" not in server.log()
        deaf.shutdown()


def test_a_cancelled_snapshot_is_none(make_server, folder_place, tmp_path):
    server = make_server(tmp_path / "data", **folder_place.options)
    with flight.connect(server.data_uri) as client:
        rows = np.random.default_rng(1).random((40_000, 64), np.float32)
        fc.put(client, "a", fc.vector_table(rows))
        id = fc.action_json(client, "CreateSnapshot", {"target": "local"})["id"]
        fc.action(client, "CancelSnapshot", {"id": id})
        state = wait_for(client, id)["state"]
        listed = fc.action_json(client, "ListSnapshots")["snapshots"]
        assert (state, len(listed)) in (("cancelled", 0), ("done", 1))
        assert snapshot(client, "local")["state"] == "done"
        metrics = server.http("GET", "/metrics")[2]
        assert 'longbow_snapshots_total{status="ok"}' in metrics
    wait_until(lambda: not list((tmp_path / "snapshots" / "partial").iterdir()), 5, "nothing half is left")


def test_removing_one(server, client, place, tmp_path):
    first = snapshot(client, place.target)["id"]
    fc.put(client, "a", fc.vector_table(np.random.default_rng(2).random((500, 8), np.float32)))
    second = snapshot(client, place.target)["id"]
    with RawFlight(server.data_port) as raw:
        for hostile in HOSTILE:
            raw.do_action("DeleteSnapshot", {"target": place.target, "id": hostile}).expect(
                "NOT_FOUND", "nothing was removed"
            )
        raw.do_action("DeleteSnapshot", {"target": place.target}).expect("NOT_FOUND", "nothing was removed")
    answer = fc.action_json(client, "DeleteSnapshot", {"target": place.target, "id": first})
    assert answer["id"] == first and answer["objects"] > 0 and answer["bytes"] > 0
    assert [entry["id"] for entry in fc.action_json(client, "ListSnapshots")["snapshots"]] == [second]
    restored = place.restore(tmp_path / "restored")
    assert restored.returncode == 0 and "502 rows" in restored.stdout, restored
    third = snapshot(client, place.target)["id"]
    kept = place.run("snapshots", "--from", place.path, "--keep", "1")
    assert kept.returncode == 0 and f"removed snapshot {second}" in kept.stdout, kept
    gone = place.run("snapshots", "--from", place.path, "--remove", third)
    assert gone.returncode == 0 and "1 snapshots removed" in gone.stdout, gone
    assert place.run("snapshots", "--from", place.path, "--remove", third).returncode == 1
    assert place.run("snapshots", "--from", place.path, "--remove", third, "--keep", "2").returncode == 2
