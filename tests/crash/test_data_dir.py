"""The data folder: one owner, damage and newer formats refused without a change, torn tails cut."""

from __future__ import annotations

import re
import shutil
import subprocess

import flight_calls as fc
import numpy as np
import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as parquet
import pytest
from data_folder import EXPECTED_IDS, check_rows, crc32c, files, fingerprint, flip, overwrite, used_size, vectors
from longbow_server import StartFailed, binary, clean_environment, wait_until


def test_restart_without_damage(stopped):
    stopped.start()
    check_rows(stopped)


def test_segment_files_are_complete_for_any_parquet_tool(make_server):
    """Ids, vectors and payload, without anything of ours: also after a compaction took the dead rows out."""
    server = make_server(segment_rows_max=1000)
    rows = vectors(1500)
    with flight.connect(server.data_uri) as client:
        fc.put(client, "d", fc.vector_table(rows, text=[f"t{i}" for i in range(1500)]))
        for begin in range(0, 500, 100):
            fc.action(client, "delete", {"dataset": "d", "ids": [str(id) for id in range(begin, begin + 100)]})
        wait_until(lambda: "segments compacted" in server.log(), 60, "the first segment is compacted")
        fc.action(client, "ForceSnapshot")
        wait_until(lambda: stored_rows(server) == 1000, 20, "the old files are gone")
        assert fc.scan_ids(client, "d") == list(range(500, 1500))
    server.kill()
    table = pa.concat_tables(parquet.read_table(path) for path in files(server.data_dir, "segment")).sort_by("id")
    assert table["id"].to_pylist() == list(range(500, 1500))
    assert table["text"].to_pylist() == [f"t{i}" for i in range(500, 1500)]
    assert (np.stack(table["vector"].to_numpy()) == rows[500:]).all()
    server.start()
    with flight.connect(server.data_uri) as client:
        assert fc.scan_ids(client, "d") == list(range(500, 1500))


def stored_rows(server) -> int:
    try:
        return sum(parquet.read_metadata(path).num_rows for path in files(server.data_dir, "segment"))
    except (FileNotFoundError, pa.ArrowInvalid):  # replaced, or being written, while it was looked at
        return -1


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


def test_any_flipped_byte_of_the_log_is_refused_or_not_needed(stopped):
    """At ten places: file and offset are named, nothing is written, and repaired all is there, as it is where nobody looks."""
    sound = stopped.data_dir.parent / "sound"
    shutil.copytree(stopped.data_dir, sound)
    log = files(stopped.data_dir, "log")[-1]
    used = used_size(log)
    refused = 0
    for part in np.linspace(0.02, 0.9, 10):
        offset = int(used * part)
        flip(log, offset)
        before = fingerprint(stopped.data_dir)
        try:
            stopped.start()
        except StartFailed as failed:
            refused += 1
            assert failed.exit_code is not None and failed.exit_code > 0, failed
            assert log.name in failed.log, failed.log
            named = int(re.search(r"at offset (\d+)", failed.log)[1])
            assert named <= offset < named + 40_000, f"byte {offset} was flipped: {failed.log}"
            assert fingerprint(stopped.data_dir) == before, "a refused folder was changed"
            flip(log, offset)
        else:
            check_rows(stopped)
            stopped.kill()
            shutil.rmtree(stopped.data_dir)
            shutil.copytree(sound, stopped.data_dir)
    assert refused >= 3, "the puts behind the checkpoint are a part of the log"
    stopped.start()
    check_rows(stopped)


@pytest.mark.parametrize("kind", ["manifest", "bitmap", "format"])
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


def current_hashes(server) -> set[str]:
    try:
        return set(fingerprint(server.data_dir).values())
    except FileNotFoundError:  # replaced while it was looked at
        return current_hashes(server)


@pytest.mark.parametrize("kind", ["segment", "derived"])
def test_rows_survive_any_flipped_byte_of_one_file(stopped, kind):
    """Every row stands in two files: what is damaged in one is made again from the other, while the server runs."""
    for number in range(len(files(stopped.data_dir, kind))):
        for part in (0, 0.3, 0.7, 1):
            path = files(stopped.data_dir, kind)[number]
            flip(path, int((path.stat().st_size - 1) * part))
            damaged = fingerprint(stopped.data_dir)[str(path.relative_to(stopped.data_dir))]
            stopped.start()
            check_rows(stopped)
            wait_until(
                lambda damaged=damaged: damaged not in current_hashes(stopped), 20, "the damaged file is replaced"
            )
            check_rows(stopped)
            stopped.kill()
    stopped.start()
    check_rows(stopped)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut short", "of another collection"])
def test_rows_survive_the_loss_of_derived_files(stopped, damage):
    stopped.start()
    with flight.connect(stopped.data_uri) as client:
        fc.put(client, "other", fc.vector_table(vectors(500, 5), text=["x"] * 500))
        fc.action(client, "ForceSnapshot")
    stopped.kill()
    derived = files(stopped.data_dir, "derived")
    contents = {path: path.read_bytes() for path in derived}
    for path in derived:
        others = [other for other in derived if other.suffix == path.suffix and other.parent != path.parent]
        path.unlink()
        if damage != "missing":
            path.write_bytes(
                {"empty": b"", "cut short": contents[path][:-1], "of another collection": contents[others[0]]}[damage]
            )
    for _ in range(2):
        stopped.start()
        check_rows(stopped)
        with flight.connect(stopped.data_uri) as client:
            assert fc.scan_ids(client, "other") == list(range(500))
        stopped.kill()


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


def test_copied_folder_is_a_backup(stopped, make_server, tmp_path):
    shutil.copytree(stopped.data_dir, tmp_path / "copy")
    check_rows(make_server(tmp_path / "copy"))


# --- longbow fsck ---


def fsck(server, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(binary()), "fsck", str(server.data_dir), *options],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
    )


def test_fsck_of_a_sound_folder_changes_nothing(stopped):
    before = fingerprint(stopped.data_dir)
    done = fsck(stopped)
    assert done.returncode == 0 and done.stdout.endswith("sound\n"), done
    assert "1 collections, 699 rows" in done.stdout
    for path in files(stopped.data_dir, "segment"):
        assert str(path.relative_to(stopped.data_dir)) in done.stdout
    assert fingerprint(stopped.data_dir) == before
    stopped.start()
    busy = fsck(stopped)
    assert busy.returncode == 2 and "in use" in busy.stderr
    check_rows(stopped)


def test_fsck_names_what_is_damaged(stopped):
    for kind, code in (("segment", None), ("manifest", 3)):
        for path in files(stopped.data_dir, kind):
            flip(path, path.stat().st_size // 2)
            before = fingerprint(stopped.data_dir)
            done = fsck(stopped, "--quiet")
            assert done.returncode in ((code,) if code else (1, 3)), (path, done)
            assert path.name in done.stdout, done
            assert fingerprint(stopped.data_dir) == before
            flip(path, path.stat().st_size // 2)
    assert fsck(stopped).returncode == 0


def test_fsck_repairs_a_torn_tail_and_asks_before_a_loss(stopped):
    log = files(stopped.data_dir, "log")[-1]
    overwrite(log, used_size(log), b"a write that was cut off")
    done = fsck(stopped)
    assert done.returncode == 1 and "never acknowledged" in done.stdout, done
    done = fsck(stopped, "--repair")
    assert done.returncode == 0 and "repaired" in done.stdout, done
    assert fsck(stopped).returncode == 0
    flip(log, used_size(log) - 9)
    done = fsck(stopped, "--repair")
    assert done.returncode == 3 and "--accept-loss" in done.stdout, done
    stopped.refuse_to_start()
    done = fsck(stopped, "--repair", "--accept-loss")
    assert done.returncode == 0 and "repaired" in done.stdout, done
    stopped.start()
    with flight.connect(stopped.data_uri) as client:
        assert fc.scan_ids(client, "d") == EXPECTED_IDS[:-5], "the last put, and nothing else, was given up"


def test_fsck_command_line(tmp_path):
    for arguments, message in (
        (["fsck"], "which folder"),
        (["fsck", "a", "b"], "one folder"),
        (["fsck", str(tmp_path)], "not a data folder"),
        (["fsck", str(tmp_path), "--accept-loss"], "--repair"),
        (["fsck", str(tmp_path), "--repiar"], "repair"),
    ):
        done = subprocess.run([str(binary()), *arguments], capture_output=True, text=True, env=clean_environment())
        assert done.returncode == 2 and message in done.stderr, (arguments, done)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["manifest", "log", "mark", "segment", "bitmap", "derived"])
def test_files_of_another_folder(stopped, make_server, tmp_path, kind):
    """Taken for its own they would answer with another folder's rows: refused, or made again where they are derived."""
    other = make_server(tmp_path / "other")
    with flight.connect(other.data_uri) as client:
        fc.put(client, "d", fc.vector_table(vectors(500, 70), text=["other"] * 500))
        fc.action(client, "delete", {"dataset": "d", "id": "9"})
        fc.action(client, "ForceSnapshot")
        for i in range(40):  # as many records as the first folder's log has, on the same shard
            fc.put(client, "d", fc.vector_table(vectors(5, 90 + i), ids=list(range(5 * i, 5 * i + 5)), text=["y"] * 5))
    other.kill()
    own = {path.relative_to(stopped.data_dir): path.read_bytes() for path in files(stopped.data_dir, kind)}
    foreign = {path.relative_to(other.data_dir): path.read_bytes() for path in files(other.data_dir, kind)}
    assert own.keys() == foreign.keys(), "the folders differ in more than their rows: the test shows nothing"
    for path, content in foreign.items():
        (stopped.data_dir / path).write_bytes(content)
    if kind in ("derived", "mark"):  # the mark says how many records there are: as many in both
        stopped.start()
        check_rows(stopped)
        stopped.kill()
        return
    before = fingerprint(stopped.data_dir)
    failed = stopped.refuse_to_start()
    assert fingerprint(stopped.data_dir) == before
    # A manifest names files that are others here, and then it does not matter which of the two is out of place.
    names = [path.name for path in own] if kind != "manifest" else [".parquet' is damaged", "another data folder"]
    assert "DATA_LOSS" in failed.log and any(name in failed.log for name in names), failed.log
    for path, content in own.items():
        (stopped.data_dir / path).write_bytes(content)
    stopped.start()
    check_rows(stopped)


def test_read_only_folder_is_refused(make_server, small_disk):
    """With data in it and empty: in words, and nothing is changed; writable again, all rows are there."""
    server = make_server(small_disk / "data")
    server.log_path = small_disk.parent / "data.log"
    fresh = make_server(small_disk / "fresh", start=False)
    fresh.log_path = small_disk.parent / "fresh.log"
    try:
        with flight.connect(server.data_uri) as client:
            fc.put(client, "d", fc.vector_table(vectors(50)))
            fc.action(client, "ForceSnapshot")
            fc.put(client, "d", fc.vector_table(vectors(5), ids=list(range(50, 55))))
        server.kill()
        before = fingerprint(server.data_dir)
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        for one in (server, fresh):
            failed = one.refuse_to_start()
            assert str(one.data_dir) in failed.log and "Read-only file system" in failed.log, failed.log
        checked = fsck(server, "--repair")
        assert checked.returncode != 0 and "Read-only file system" in checked.stderr + checked.stdout, checked
        assert fingerprint(server.data_dir) == before
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        server.start()
        with flight.connect(server.data_uri) as client:
            assert fc.scan_ids(client, "d") == list(range(55))
    finally:
        server.close()  # before the file system is taken away
