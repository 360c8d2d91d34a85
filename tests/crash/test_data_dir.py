"""The data folder: one owner, damage and newer formats refused without a change, torn tails cut, full disks survived."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pytest
from longbow_server import LongbowServer, StartFailed, wait_until

LOCK_FILES = {"LOCK"}  # names the owner; not data


def fingerprint(folder: pathlib.Path) -> dict[str, str]:
    """Every file of the data folder and the hash of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in LOCK_FILES
    }


def files(folder: pathlib.Path, kind: str) -> list[pathlib.Path]:
    """The files of a kind: `log`, `mark` (how far the log is committed), `manifest`, `format`, `segment` (all that a checkpoint wrote)."""
    everything = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in LOCK_FILES and path.stat().st_size
    ]

    def kind_of(path: pathlib.Path) -> str:
        return {"MANIFEST": "manifest", "COMMITTED": "mark", "FORMAT": "format"}.get(
            path.name, "log" if path.suffix == ".log" else "segment"
        )

    return [path for path in everything if kind_of(path) == kind]


def used_size(log: pathlib.Path) -> int:
    """Where the records end: the rest of the file is preallocated zeros. Records are padded to 8 bytes and these end in an
    Arrow stream, whose last 8 bytes are not all zero."""
    return (len(log.read_bytes().rstrip(b"\0")) + 7) // 8 * 8


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


EXPECTED_IDS = [0, 1, 2] + list(range(4, 500)) + list(range(1000, 1200))


def check_rows(server: LongbowServer) -> None:
    with flight.connect(server.data_uri) as client:
        assert fc.scan_ids(client, "d") == EXPECTED_IDS
        assert fc.search(client, "d", vectors(500)[77], 1) == [(77, 1.0)]
        assert fc.search(client, "d", vectors(5, 39)[4], 1) == [(1199, 1.0)]


def flip(path: pathlib.Path, offset: int) -> None:
    overwrite(path, offset, bytes([path.read_bytes()[offset] ^ 0x41]))


def test_restart_without_damage(stopped):
    stopped.start()
    check_rows(stopped)


def test_second_process_on_the_same_folder(make_server, tmp_path):
    first = make_server(tmp_path / "data")
    with flight.connect(first.data_uri) as client:
        fc.put(client, "d", fc.vector_table(vectors(10)))
    second = make_server(tmp_path / "data", start=False)
    second.log_path = tmp_path / "second.log"
    failed = second.refuse_to_start()
    assert re.search(rf"\b{first.pid}\b", failed.log), f"the message must name process {first.pid}:\n{failed.log}"
    assert str(tmp_path / "data") in failed.log
    with flight.connect(first.data_uri) as client:
        fc.put(client, "d", fc.vector_table(vectors(10), ids=list(range(10, 20))))
        assert fc.row_count(client, "d") == 20
    first.kill()
    second.start()  # the lock dies with its owner


def test_any_flipped_byte_of_the_log_is_refused(stopped):
    """At ten places before the last record: file and offset are named, nothing is written; repaired, all is there."""
    log = files(stopped.data_dir, "log")[-1]
    used = used_size(log)
    for part in np.linspace(0.02, 0.9, 10):
        offset = int(used * part)
        flip(log, offset)
        before = fingerprint(stopped.data_dir)
        failed = stopped.refuse_to_start()
        assert log.name in failed.log, failed.log
        named = int(re.search(r"at offset (\d+)", failed.log)[1])
        assert named <= offset < named + 40_000, f"byte {offset} was flipped: {failed.log}"
        assert fingerprint(stopped.data_dir) == before, "a refused folder was changed"
        flip(log, offset)
    stopped.start()
    check_rows(stopped)


@pytest.mark.parametrize("kind", ["manifest", "segment", "format"])
def test_any_flipped_byte_of_a_checkpoint_is_refused(stopped, kind):
    damaged = files(stopped.data_dir, kind)
    assert damaged, f"no {kind} files in {list(fingerprint(stopped.data_dir))}"
    for path in damaged:
        for part in (0, 0.3, 0.7, 1):
            flip(path, int((path.stat().st_size - 1) * part))
            before = fingerprint(stopped.data_dir)
            failed = stopped.refuse_to_start()
            assert path.name in failed.log, failed.log
            assert fingerprint(stopped.data_dir) == before, "a refused folder was changed"
            flip(path, int((path.stat().st_size - 1) * part))
    stopped.start()
    check_rows(stopped)


@pytest.mark.parametrize("kind", ["log", "segment", "format"])
def test_missing_file_is_refused(stopped, kind, tmp_path):
    """Never an empty start over somebody's data."""
    path = files(stopped.data_dir, kind)[0]
    path.rename(tmp_path / "aside")
    before = fingerprint(stopped.data_dir)
    failed = stopped.refuse_to_start()
    assert fingerprint(stopped.data_dir) == before
    assert stopped.data_dir.name in failed.log
    if kind == "segment":
        assert path.name in failed.log, failed.log
    (tmp_path / "aside").rename(path)
    stopped.start()
    check_rows(stopped)


def test_missing_manifest_is_not_needed_or_refused(stopped):
    """As long as the log still has everything, the rows come from there."""
    files(stopped.data_dir, "manifest")[0].unlink()
    try:
        stopped.start()
    except StartFailed as failed:
        assert failed.exit_code > 0 and "MANIFEST" in failed.log
        return
    check_rows(stopped)


def test_missing_manifest_after_the_log_was_cut_is_refused(make_server):
    """The log begins in the middle then: a gap, and not a fresh folder."""
    server = make_server()
    big = np.ones((20_000, 512), np.float32)  # 41 MB: the second put opens a second log file
    with flight.connect(server.data_uri) as client:
        for number in range(3):
            fc.put(client, "big", fc.vector_table(big, ids=np.arange(20_000) + 20_000 * number))
        fc.action(client, "ForceSnapshot")
        fc.put(client, "d", fc.vector_table(vectors(5)))
    server.kill()
    assert files(server.data_dir, "log")[0].name != f"{1:020d}.log", "the log was not cut: the test shows nothing"
    manifest = files(server.data_dir, "manifest")[0]
    kept = manifest.read_bytes()
    manifest.unlink()
    before = fingerprint(server.data_dir)
    server.refuse_to_start()
    assert fingerprint(server.data_dir) == before
    manifest.write_bytes(kept)
    server.start()
    with flight.connect(server.data_uri) as client:
        assert fc.row_count(client, "big") == 60_000 and fc.scan_ids(client, "d") == list(range(5))


@pytest.mark.parametrize("kind", ["manifest", "segment"])
def test_shortened_file_is_refused(stopped, kind):
    path = files(stopped.data_dir, kind)[0]
    whole = path.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        before = fingerprint(stopped.data_dir)
        assert path.name in stopped.refuse_to_start().log
        assert fingerprint(stopped.data_dir) == before
    path.write_bytes(whole)
    stopped.start()
    check_rows(stopped)


@pytest.mark.parametrize("cut", [False, True], ids=["in the preallocated part", "at the end of a cut file"])
@pytest.mark.parametrize("garbage", ["random bytes", "zeros", "half a record", "one byte"])
def test_torn_tail_is_cut(stopped, garbage, cut):
    """What a crash may leave behind the last acknowledged record."""
    log = files(stopped.data_dir, "log")[-1]
    used = used_size(log)
    records = log.read_bytes()[:used]
    tail = {
        "random bytes": np.random.default_rng(9).bytes(5_000),
        "zeros": bytes(8_192),
        "half a record": records[-700:-200],
        "one byte": b"\x7f",
    }[garbage]
    if cut:
        log.write_bytes(records + tail)
    else:
        overwrite(log, used, tail)
    for _ in range(2):  # and the repaired log is a good one
        stopped.start()
        check_rows(stopped)
        stopped.kill()


def test_torn_tail_again_and_again(stopped):
    """Garbage of several lengths, one crash after the other; rows put afterwards survive as well."""
    log = files(stopped.data_dir, "log")[-1]
    for size in (1, 17, 300, 4_097):
        records = log.read_bytes()[: used_size(log)]
        log.write_bytes(records + np.random.default_rng(size).bytes(size))
        stopped.start()
        check_rows(stopped)
        stopped.kill()
    stopped.start()
    with flight.connect(stopped.data_uri) as client:
        fc.put(client, "after", fc.vector_table(vectors(7)))
    stopped.kill()
    stopped.start()
    check_rows(stopped)
    with flight.connect(stopped.data_uri) as client:
        assert fc.scan_ids(client, "after") == list(range(7))


def test_acknowledged_records_cut_away_are_missed(stopped):
    """A log that ends before its last acknowledged record is damaged, not torn."""
    log = files(stopped.data_dir, "log")[-1]
    used = used_size(log)
    whole = log.read_bytes()
    for keep in (used // 2, used - 9, 64):
        log.write_bytes(whole[:keep])
        before = fingerprint(stopped.data_dir)
        assert log.name in stopped.refuse_to_start().log
        assert fingerprint(stopped.data_dir) == before
    log.write_bytes(whole)
    stopped.start()
    check_rows(stopped)


@pytest.mark.parametrize("harm", ["flipped", "emptied", "removed"])
def test_commit_mark_is_refused_or_not_needed(stopped, harm):
    """Either the server says what is wrong with it, or it has every row without it. Never fewer rows."""
    for mark in files(stopped.data_dir, "mark"):
        good = mark.read_bytes()
        if harm == "flipped":
            flip(mark, len(good) // 2)
        elif harm == "emptied":
            mark.write_bytes(b"")
        else:
            mark.unlink()
        try:
            stopped.start()
        except StartFailed as failed:
            assert mark.name in failed.log
            mark.write_bytes(good)
            stopped.start()
        check_rows(stopped)
        stopped.kill()


def test_newer_log_is_refused(stopped):
    """The file header of docs/formats/log.md with the next version and a right checksum."""
    log = files(stopped.data_dir, "log")[-1]
    header = bytearray(log.read_bytes()[:64])
    version = int.from_bytes(header[8:12], "little")
    header[8:12] = (version + 1).to_bytes(4, "little")
    header[60:64] = crc32c(bytes(header[:60])).to_bytes(4, "little")
    overwrite(log, 0, bytes(header))
    before = fingerprint(stopped.data_dir)
    failed = stopped.refuse_to_start()
    assert log.name in failed.log and "version" in failed.log, failed.log
    assert fingerprint(stopped.data_dir) == before


def test_newer_manifest_is_refused(stopped):
    """The header line of docs/formats/manifest.md with the next version and a right checksum."""
    manifest = files(stopped.data_dir, "manifest")[0]
    line, json_text = manifest.read_bytes().split(b"\n", 1)
    magic, version, size, checksum = line.split(b" ")
    start = b" ".join([magic, version, size, b""])
    assert checksum == b"%08x" % crc32c(start + json_text), "the test's idea of the header line is wrong"
    start = b" ".join([magic, b"%d" % (int(version) + 1), size, b""])
    manifest.write_bytes(start + b"%08x" % crc32c(start + json_text) + b"\n" + json_text)
    before = fingerprint(stopped.data_dir)
    failed = stopped.refuse_to_start()
    assert "MANIFEST" in failed.log and re.search("version|newer", failed.log), failed.log
    assert fingerprint(stopped.data_dir) == before


def test_newer_folder_is_refused(stopped):
    path = files(stopped.data_dir, "format")[0]
    name, version = path.read_text().split()
    path.write_text(f"{name} {int(version) + 1}\n")
    before = fingerprint(stopped.data_dir)
    failed = stopped.refuse_to_start()
    assert "FORMAT" in failed.log and re.search("version|newer", failed.log), failed.log
    assert fingerprint(stopped.data_dir) == before


def test_somebody_elses_folder_is_refused(make_server, tmp_path):
    """Files that are not ours: a mistyped path must not become a data folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    failed = make_server(folder, start=False).refuse_to_start()
    assert "home" in failed.log
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]


def test_path_that_is_no_folder_is_refused(make_server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    server = make_server(tmp_path / "file", start=False)
    server.log_path = tmp_path / "server.log"
    assert "file" in server.refuse_to_start().log
    assert (tmp_path / "file").read_text() == "not a folder"


# --- stopping ---


def test_sigterm_when_idle(make_server):
    server = make_server()
    with flight.connect(server.data_uri) as client:
        fc.put(client, "d", fc.vector_table(vectors(10)))
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 5
    server.start()
    with flight.connect(server.data_uri) as client:
        assert fc.row_count(client, "d") == 10


def test_sigterm_under_load(make_server):
    """Exit code 0 within seconds, with puts, a long scan and a silent stream open; acknowledged rows are there after."""
    server = make_server()
    acknowledged: list[int] = [0, 0, 0]
    stopping = threading.Event()
    failures: list[BaseException] = []

    def put_until_stopped(number: int) -> None:
        try:
            with flight.connect(server.data_uri, generic_options=[("grpc.use_local_subchannel_pool", 1)]) as client:
                while True:
                    base = acknowledged[number]
                    fc.put(client, f"d{number}", fc.vector_table(vectors(20, base), ids=list(range(base, base + 20))))
                    acknowledged[number] += 20
        except (flight.FlightError, pa.ArrowException, OSError) as error:
            if not stopping.is_set():
                failures.append(error)

    with flight.connect(server.data_uri) as client:
        fc.put(client, "big", fc.vector_table(np.ones((20_000, 768), np.float32)))
        scan = client.do_get(flight.Ticket(b"big"))
        scan.read_chunk()
        writer, reader = client.do_exchange(flight.FlightDescriptor.for_path("ingest", "silent"))
        writer.begin(fc.vector_table(vectors(1)).schema)
        threads = [threading.Thread(target=put_until_stopped, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda: min(acknowledged) > 100 or failures, 30, "load")
        stopping.set()
        started = time.monotonic()
        assert server.stop() == 0
        took_s = time.monotonic() - started
        for thread in threads:
            thread.join()
        assert took_s < 12, f"SIGTERM took {took_s:.1f} s"
        assert not failures, failures[0]
        del scan, writer, reader
    server.start()
    with flight.connect(server.data_uri) as client:
        for number, count in enumerate(acknowledged):
            ids = fc.scan_ids(client, f"d{number}")
            assert ids[:count] == list(range(count)), "an acknowledged row is missing"
            assert len(ids) in (count, count + 20)


def test_sigterm_while_starting(stopped):
    """No half state: it ends, and the next start finds everything."""
    for delay_s in (0, 0.01, 0.03, 0.1):
        stopped.launch()
        time.sleep(delay_s)
        stopped.stop()
    stopped.start()
    check_rows(stopped)


# --- full disk ---


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


@pytest.fixture
def server_on_small_disk(make_server, small_disk):
    server = make_server(small_disk / "data")
    yield server
    server.close()  # before the file system is taken away


def fill_disk(client: flight.FlightClient) -> tuple[int, BaseException]:
    """Puts until one fails: rows acknowledged, and the error."""
    rows = 0
    for number in range(200):
        try:
            fc.put(
                client,
                "d",
                fc.vector_table(
                    np.random.default_rng(number).random((1_000, 256), np.float32),
                    ids=pa.array(np.arange(rows, rows + 1_000)),
                ),
            )
        except (flight.FlightError, pa.ArrowException) as error:
            return rows, error
        rows += 1_000
    raise AssertionError("200 MB went into a disk of 100 MB")


def test_full_disk(server_on_small_disk, small_disk):
    """The put fails in words, reads go on, /readyz says why; with room again a restart has every acknowledged row."""
    server = server_on_small_disk
    with flight.connect(server.data_uri) as client:
        rows, error = fill_disk(client)
        assert rows >= 5_000
        assert re.search(r"space|disk|full|log", str(error), re.IGNORECASE), error
        assert server.alive()
        assert fc.row_count(client, "d") == rows
        assert fc.scan_ids(client, "d") == list(range(rows))
        probe = np.random.default_rng(2).random((1_000, 256), np.float32)[7]
        assert fc.search(client, "d", probe, 1)[0][0] == 2_007
        status, _, body = server.http("GET", "/readyz")
        assert status == 503 and re.search(r"space|disk|full|log|read-only", body, re.IGNORECASE), (status, body)
        assert server.http("GET", "/livez")[0] == 200
        with pytest.raises((flight.FlightError, pa.ArrowException)):
            fc.put(client, "other", fc.vector_table(vectors(1)))
    server.stop()
    subprocess.run(["mount", "-o", "remount,size=500m", str(small_disk)], check=True)
    server.start()
    with flight.connect(server.data_uri) as client:
        assert fc.scan_ids(client, "d")[:rows] == list(range(rows))
        fc.put(client, "other", fc.vector_table(vectors(3)))
        assert server.http("GET", "/readyz")[0] == 200


def test_copied_folder_is_a_backup(stopped, make_server, tmp_path):
    shutil.copytree(stopped.data_dir, tmp_path / "copy")
    check_rows(make_server(tmp_path / "copy"))
