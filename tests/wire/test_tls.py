"""TLS and mTLS on both Flight ports, with certificates made on the spot."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import ssl

import flight_calls as fc
import numpy as np
import pyarrow.flight as flight
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from longbow_server import wait_until


@dataclasses.dataclass
class Certificate:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def make_certificate(name: str, signer: Certificate | None = None) -> Certificate:
    """An authority without `signer`, else a certificate for 127.0.0.1 signed by it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
    )
    if signer:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
    return Certificate(builder.sign(signer.key if signer else key, hashes.SHA256()), key)


@pytest.fixture(scope="module")
def authority() -> Certificate:
    return make_certificate("test authority")


@pytest.fixture
def files(tmp_path, authority):
    """Paths of the server's certificate and key, and of the authority."""
    own = make_certificate("server", authority)
    paths = {"cert": tmp_path / "server.pem", "key": tmp_path / "server.key", "ca": tmp_path / "ca.pem"}
    for path, data in zip(paths.values(), (own.pem, own.key_pem, authority.pem), strict=True):
        path.write_bytes(data)
    return paths


def use(port: int, rng, **credentials) -> None:
    with flight.connect(f"grpc+tls://127.0.0.1:{port}", **credentials) as client:
        vectors = rng.random((2_000, 64), np.float32)
        fc.put(client, f"d{port}", fc.vector_table(vectors))
        assert fc.scan(client, f"d{port}").num_rows == 2_000
        assert fc.search(client, f"d{port}", vectors[11], 1)[0][0] == 11


def test_tls(make_server, files, authority, rng):
    server = make_server(tls_cert=files["cert"], tls_key=files["key"])
    for port in (server.data_port, server.meta_port):
        use(port, rng, tls_root_certs=authority.pem)
        with pytest.raises(flight.FlightUnavailableError):
            use(port, rng, tls_root_certs=make_certificate("somebody else").pem)
        with flight.connect(f"grpc://127.0.0.1:{port}") as plain, pytest.raises(flight.FlightUnavailableError):
            fc.names(plain)
    assert server.alive()


def test_mutual_tls(make_server, files, authority, rng):
    server = make_server(tls_cert=files["cert"], tls_key=files["key"], tls_client_ca=files["ca"])
    known, stranger = (
        make_certificate("client", authority),
        make_certificate("client", make_certificate("other authority")),
    )
    for port in (server.data_port, server.meta_port):
        use(port, rng, tls_root_certs=authority.pem, cert_chain=known.pem, private_key=known.key_pem)
        with pytest.raises(flight.FlightUnavailableError):
            use(port, rng, tls_root_certs=authority.pem)
        with pytest.raises(flight.FlightUnavailableError):
            use(port, rng, tls_root_certs=authority.pem, cert_chain=stranger.pem, private_key=stranger.key_pem)
    assert server.alive()


def serial_shown(port: int) -> int:
    """The serial number of the certificate that a port shows."""
    pem = ssl.get_server_certificate(("127.0.0.1", port), timeout=10)
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def test_new_certificates_count_without_a_restart(make_server, files, authority, rng):
    server = make_server(tls_cert=files["cert"], tls_key=files["key"])
    with flight.connect(f"grpc+tls://127.0.0.1:{server.data_port}", tls_root_certs=authority.pem) as before:
        fc.put(before, "d", fc.vector_table(rng.random((10, 4), np.float32)))
        first = serial_shown(server.data_port)
        renewed = make_certificate("server", authority)
        # The two files change one after the other, and for a while they do not fit: nothing may break.
        files["cert"].write_bytes(renewed.pem)
        wait_until(lambda: "stays in force" in server.log(), 10, "a word about files that do not fit")
        assert serial_shown(server.data_port) == first
        files["key"].write_bytes(renewed.key_pem)
        for port in (server.data_port, server.meta_port):
            wait_until(
                lambda port=port: serial_shown(port) == renewed.certificate.serial_number, 10, "the new certificate"
            )
        assert fc.row_count(before, "d") == 10, "the connection that stood goes on"
    for port in (server.data_port, server.meta_port):
        use(port, rng, tls_root_certs=authority.pem)
    assert server.alive()


def test_another_client_authority_counts_without_a_restart(make_server, files, authority, rng):
    server = make_server(tls_cert=files["cert"], tls_key=files["key"], tls_client_ca=files["ca"])
    known = make_certificate("client", authority)
    use(server.data_port, rng, tls_root_certs=authority.pem, cert_chain=known.pem, private_key=known.key_pem)
    other = make_certificate("other authority")
    files["ca"].write_bytes(b"")  # no authority must not mean that nobody is asked
    wait_until(lambda: "stays in force" in server.log(), 10, "a word about the empty file")
    with pytest.raises(flight.FlightUnavailableError):
        use(server.data_port, rng, tls_root_certs=authority.pem)
    files["ca"].write_bytes(other.pem)
    friend = make_certificate("client", other)

    def let_in() -> bool:
        try:
            use(server.meta_port, rng, tls_root_certs=authority.pem, cert_chain=friend.pem, private_key=friend.key_pem)
        except flight.FlightUnavailableError:
            return False
        return True

    wait_until(let_in, 15, "the new authority")
    with pytest.raises(flight.FlightUnavailableError):
        use(server.data_port, rng, tls_root_certs=authority.pem, cert_chain=known.pem, private_key=known.key_pem)


@pytest.mark.parametrize("break_it", ["missing file", "no key", "not PEM"])
def test_unusable_certificates_are_refused_at_start(make_server, files, tmp_path, break_it):
    options = {"tls_cert": files["cert"], "tls_key": files["key"]}
    if break_it == "missing file":
        options["tls_cert"] = tmp_path / "absent.pem"
    elif break_it == "no key":
        del options["tls_key"]
    else:
        files["cert"].write_text("this is no certificate\n")
    failed = make_server(start=False, **options).refuse_to_start()
    named = {"missing file": "absent.pem", "no key": "tls-key", "not PEM": "server.pem"}[break_it]
    assert named in failed.log.replace("_", "-"), failed.log
