"""Snapshots that were damaged, restores that were killed: a clear refusal, or the whole content, never half of it."""

from __future__ import annotations

import pathlib
import shutil
import signal
import subprocess

import flight_calls as fc
import numpy as np
import pyarrow.flight as flight
import pytest
from longbow_server import binary, clean_environment
from test_kill_points import all_kill_points
from test_rounds import snapshot

VECTORS = np.random.default_rng(3).random((900, 8), np.float32)


@pytest.fixture
def snapshots(make_server, folder_place, tmp_path) -> pathlib.Path:
    """A folder with one snapshot of two datasets, one of which has dead rows."""
    server = make_server(tmp_path / "data", **folder_place.options)
    with flight.connect(server.data_uri) as client:
        fc.put(client, "a", fc.vector_table(VECTORS))
        fc.put(client, "b", fc.vector_table(VECTORS[:5]))
        fc.action(client, "delete", {"dataset": "a", "ids": [1, 2, 3]})
        assert snapshot(client, "local")["state"] == "done"
    assert server.stop() == 0
    return tmp_path / "snapshots"


def restore(snapshots: pathlib.Path, data: pathlib.Path, kill_at: str = "") -> subprocess.CompletedProcess[str]:
    environment = clean_environment() | ({"LONGBOW_KILL_AT": kill_at} if kill_at else {})
    command = [str(binary()), "restore", f"--from={snapshots}", f"--data={data}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


def expect_content(make_server, data: pathlib.Path) -> None:
    server = make_server(data)
    with flight.connect(server.data_uri) as client:
        assert fc.scan_ids(client, "a") == [0, *range(4, 900)]
        assert fc.scan_ids(client, "b") == list(range(5))
        assert fc.search(client, "a", VECTORS[77], 1) == [(77, 1.0)]
    server.kill()


def test_every_object_damaged_in_every_way(snapshots, tmp_path, make_server):
    data = tmp_path / "restored"
    objects = sorted((snapshots / "objects").iterdir())
    assert len(objects) >= 8
    for path in objects:
        good = path.read_bytes()
        other = next(one for one in objects if one != path)
        harms = {
            "flipped": good[: len(good) // 2] + bytes([good[len(good) // 2] ^ 4]) + good[len(good) // 2 + 1 :],
            "cut": good[:-1],
            "longer": good + b"\0",
            "swapped": other.read_bytes(),
            "empty": b"",
            "missing": None,
        }
        for harm, bad in harms.items():
            path.unlink() if bad is None else path.write_bytes(bad)
            shutil.rmtree(data, ignore_errors=True)  # else what came whole before is not fetched again
            refused = restore(snapshots, data)
            assert refused.returncode == 1 and path.name in refused.stderr, (harm, refused)
            assert ("missing" if bad is None else "damaged") in refused.stderr
            assert "choose another one" in refused.stderr
            path.write_bytes(good)
    assert "restoring a snapshot" in make_server(data, start=False).refuse_to_start().log
    assert restore(snapshots, data).returncode == 0  # goes on in the folder that was refused
    expect_content(make_server, data)


def test_a_damaged_index(snapshots, tmp_path):
    [index] = (snapshots / "snapshots").iterdir()
    good = index.read_bytes()
    for bad in (good[:-1], good[:50], b"", good.replace(b"rows", b"rowz", 1), good.replace(b" 1 ", b" 2 ", 1)):
        index.write_bytes(bad)
        refused = restore(snapshots, tmp_path / "restored")
        assert refused.returncode == 1 and index.name in refused.stderr, refused
        assert not (tmp_path / "restored").exists()
    index.write_bytes(good)
    index.rename(index.with_name("20200101T000000Z-0123456789abcdef.json"))
    assert "is the index of snapshot" in restore(snapshots, tmp_path / "restored").stderr


def test_folders_that_are_not_empty_are_refused(snapshots, tmp_path):
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "letter.txt").write_text("dear")
    for folder, words in ((letters, "letter.txt"), (tmp_path / "data", "is a data folder already")):
        refused = restore(snapshots, folder)
        assert refused.returncode == 1 and words in refused.stderr, refused
    assert (letters / "letter.txt").read_text() == "dear" and len(list(letters.iterdir())) == 1


@pytest.mark.parametrize("point", [name for name in all_kill_points() if name.startswith("restore.")])
def test_a_killed_restore_goes_on(snapshots, tmp_path, make_server, point):
    for hit, nth in enumerate((1, 2, 5) if point == "restore.file.written" else (1, 1, 1)):
        data = tmp_path / f"restored{hit}"
        killed = restore(snapshots, data, f"{point}:{nth}")
        assert killed.returncode == -signal.SIGKILL, killed
        if point == "restore.formatted":
            expect_content(make_server, data)
        else:
            assert "was not finished" in make_server(data, start=False).refuse_to_start().log
            assert restore(snapshots, data).returncode == 0
            expect_content(make_server, data)
        shutil.rmtree(data)
