"""`longbow keys`, and keys that come and go while a node runs."""

from __future__ import annotations

import json
import stat

import access_keys as keys
import flight_calls as fc
import numpy as np
import pyarrow.flight as flight
import pytest
from longbow_server import wait_until
from raw_flight import RawFlight, put_messages


@pytest.fixture
def file(tmp_path) -> keys.AccessFile:
    return keys.AccessFile(tmp_path / "keys.json")


def test_the_secret_is_shown_once_and_kept_nowhere(file):
    key = file.create("ns1", "write", "--expires=30d", "--note=for the loader")
    assert key.startswith("lb_") and key not in file.path.read_text()
    assert key.split("_")[2] not in file.path.read_text()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    shown = file.change("list")
    assert keys.key_id(key) in shown and "for the loader" in shown and "write" in shown and key not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "longbow keys create --file"),
        (["--file=F"], "expected create, list, revoke, rotate or limit"),
        (["crate"], "did you mean 'create'"),
        (["create", "--namespace=a", "--role=read"], "--file is missing"),
        (["create", "--file=F", "--namespace=a", "--role=root"], "read"),
        (["create", "--file=F", "--namespace=a/b", "--role=read"], "without a slash"),
        (["create", "--file=F", "--namespace=a", "--role=read", "--expires=soon"], "30d"),
        (["revoke", "--file=F", "--id=0123456789abcdef"], "no key 0123456789abcdef"),
        (["list", "--file=absent"], "absent"),
    ],
)
def test_wrong_command_lines_say_so(tmp_path, arguments, said):
    done = keys.run_keys(*(one.replace("F", str(tmp_path / "keys.json")) for one in arguments))
    assert done.returncode in (1, 2) and said in done.stderr + done.stdout, done


@pytest.mark.parametrize("content", ["", "{}", '{"format": 9}', '{"format": 1, "keys": [{"id": "x"}]}'])
def test_a_file_that_is_none_stops_the_start(make_server, file, content):
    file.path.write_text(content)
    failed = make_server(start=False, access_file=file.path).refuse_to_start()
    assert "access_file" in failed.log.replace("-", "_") and "keys.json" in failed.log


def test_keys_come_and_go_without_a_restart(make_server, file):
    admin = file.create("*", "admin")
    server = make_server(access_file=file.path)
    with RawFlight(server.data_port) as raw, RawFlight(server.meta_port) as meta:
        keys.await_key(raw, admin, "OK")
        late = file.create("ns1", "read")
        keys.await_key(raw, late, "OK")
        keys.await_key(meta, late, "OK")
        new = file.change("rotate", f"--id={keys.key_id(late)}", "--overlap=1h")
        keys.await_key(raw, new, "OK")
        assert keys.act(raw, late, "ListNamespaces").code == "OK", "good for another hour"
        file.change("revoke", f"--id={keys.key_id(late)}")
        keys.await_key(raw, late, "UNAUTHENTICATED")
        assert keys.act(raw, new, "ListNamespaces").code == "OK"
        newest = file.change("rotate", f"--id={keys.key_id(new)}", "--overlap=0")
        keys.await_key(raw, newest, "OK")
        keys.act(raw, new, "ListNamespaces").expect("UNAUTHENTICATED", "expired")
        # A file that cannot be used changes nothing.
        good = file.path.read_text()
        file.path.write_text("{")
        wait_until(lambda: "stays in force" in server.log(), 10, "a word about the broken file")
        assert keys.act(raw, newest, "ListNamespaces").code == "OK"
        file.path.write_text(good)
    status, _, _ = server.http("GET", "/metrics")
    assert status == 401
    assert keys.http(server, "/metrics", admin) == 200 and keys.http(server, "/metrics", newest) == 403


def test_a_stream_ends_when_its_key_is_revoked(make_server, file):
    file.create("*", "admin")
    key = file.create("ns1", "write")
    server = make_server(access_file=file.path)
    batch = fc.vector_table(np.eye(2, 4, dtype=np.float32))
    revoked = False

    def messages():
        nonlocal revoked
        schema, rows = put_messages("ns1/docs", batch)
        yield schema
        yield rows
        file.change("revoke", f"--id={keys.key_id(key)}")
        with RawFlight(server.meta_port) as other:
            keys.await_key(other, key, "UNAUTHENTICATED")
        revoked = True
        yield rows

    with RawFlight(server.data_port) as raw:
        answer = raw.call("/arrow.flight.protocol.FlightService/DoPut", messages(), metadata=keys.bearer(key))
    assert revoked
    answer.expect("UNAUTHENTICATED", "revoked")


def test_flight_clients_log_in_with_the_key_as_password(make_server, file):
    key = file.create("ns1", "write")
    server = make_server(access_file=file.path)
    with flight.connect(server.data_uri) as client:
        with pytest.raises(flight.FlightUnauthenticatedError):
            client.authenticate_basic_token("user", "wrong")
        header = client.authenticate_basic_token("user", key)
        assert header == (b"authorization", f"Bearer {key}".encode())
        options = flight.FlightCallOptions(headers=[header])
        table = fc.vector_table(np.eye(2, 4, dtype=np.float32))
        fc.put(client, "ns1/docs", table, options)
        assert [f.total_records for f in client.list_flights(options=options)] == [2]
        with pytest.raises(flight.FlightUnauthorizedError):
            fc.put(client, "docs", table, options)
        with pytest.raises(flight.FlightUnauthenticatedError):
            fc.put(client, "ns1/docs", table)


def test_without_a_file_nothing_is_asked(make_server):
    server = make_server()
    with RawFlight(server.data_port) as raw:
        assert keys.act(raw, None, "ListVerbs").code == "OK"
        assert keys.act(raw, "anything at all", "ForceSnapshot").code == "OK"
    assert keys.http(server, "/metrics", None) == 200


def test_other_machines_may_come_with_keys_over_tls_only(file, tmp_path):
    file.create("*", "admin")
    done = keys.run_longbow("config", "--listen-addr=0.0.0.0:1", f"--access-file={file.path}")
    assert done.returncode == 2 and "access_file (with tls_cert and tls_key)" in done.stderr
    (tmp_path / "c.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "k.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    tls = [f"--tls-cert={tmp_path}/c.pem", f"--tls-key={tmp_path}/k.pem"]
    done = keys.run_longbow("config", "--listen-addr=0.0.0.0:1", f"--access-file={file.path}", *tls)
    assert done.returncode == 0, done.stderr
    assert json.loads(file.path.read_text())["format"] == 1
