"""TLS and mutual TLS, for gRPC and for plain HTTP."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import ipaddress
import ssl

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SERVICE = "/longbow.test.Echo/"


def make_authority(folder, name: str, signer=None):
    """A certificate and key for 127.0.0.1, signed by `signer` or by itself. Returns (certificate, key, paths)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    certificate = builder.sign(signer[1] if signer else key, hashes.SHA256())
    certificate_path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, key, (certificate_path, key_path)


@pytest.fixture(scope="module")
def identities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = make_authority(folder, "authority")
    return authority, make_authority(folder, "server", authority), make_authority(folder, "client", authority)


class TestTls:
    def test_grpc_and_http(self, make_echo, identities):
        authority, server_identity, _ = identities
        server = make_echo(cert=server_identity[2][0], key=server_identity[2][1])
        credentials = grpc.ssl_channel_credentials(authority[2][0].read_bytes())
        with grpc.secure_channel(f"127.0.0.1:{server.port}", credentials) as channel:
            assert channel.unary_unary(SERVICE + "Echo")(b"x" * 3_000_000, timeout=10) == b"x" * 3_000_000
        context = ssl.create_default_context(cafile=str(authority[2][0]))
        web = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=5)
        web.request("POST", "/echo", body=b"y" * 200_000)
        assert web.getresponse().read() == b"y" * 200_000
        web.close()

    def test_mutual(self, make_echo, identities):
        authority, server_identity, client = identities
        server = make_echo(cert=server_identity[2][0], key=server_identity[2][1], client_ca=authority[2][0])
        trusted = authority[2][0].read_bytes()
        with grpc.secure_channel(f"127.0.0.1:{server.port}", grpc.ssl_channel_credentials(trusted)) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(SERVICE + "Echo")(b"x", timeout=5)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        context = ssl.create_default_context(cafile=str(authority[2][0]))
        context.load_cert_chain(*client[2])
        web = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=5)
        web.request("GET", "/stats")
        *_, certificate_bytes = web.getresponse().read().split()
        assert int(certificate_bytes) == len(client[0].public_bytes(serialization.Encoding.DER))
        web.close()

    def test_a_client_that_never_finishes_its_handshake(self, make_echo, identities):
        server = make_echo(cert=identities[1][2][0], key=identities[1][2][1], header_timeout_ms=500)
        with contextlib.closing(server.connect()) as silent:
            silent.sendall(b"\x16\x03\x01")
            assert silent.recv(10) == b""
