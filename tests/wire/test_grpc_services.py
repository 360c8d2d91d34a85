"""gRPC health and reflection, as their own client libraries see them."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

FLIGHT = "arrow.flight.protocol.FlightService"


@pytest.fixture(params=["data", "meta"])
def channel(server, request):
    port = server.data_port if request.param == "data" else server.meta_port
    with grpc.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened


def test_health_check(channel):
    stub = health_pb2_grpc.HealthStub(channel)
    for service in ("", FLIGHT):
        assert (
            stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5).status
            == health_pb2.HealthCheckResponse.SERVING
        )
    with pytest.raises(grpc.RpcError) as unknown:
        stub.Check(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=5)
    assert unknown.value.code() == grpc.StatusCode.NOT_FOUND


def test_health_watch_sends_the_state_at_once(channel):
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=5)
    assert next(iter(watch)).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


def test_reflection_describes_flight(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    services = database.get_services()
    assert FLIGHT in services and "grpc.health.v1.Health" in services
    service = DescriptorPool(database).FindServiceByName(FLIGHT)
    assert {
        "DoGet",
        "DoPut",
        "DoExchange",
        "DoAction",
        "ListFlights",
        "GetFlightInfo",
        "GetSchema",
        "ListActions",
        "Handshake",
    } <= set(service.methods_by_name)
    assert service.methods_by_name["DoPut"].input_type.fields_by_name["data_body"].number == 1000
    with pytest.raises(KeyError):
        database.FindFileContainingSymbol("no.such.Thing")


def test_unknown_service_and_method(channel):
    for path in ("/no.such.Service/Method", f"/{FLIGHT}/NoSuchMethod"):
        with pytest.raises(grpc.RpcError) as unknown:
            channel.unary_unary(path)(b"", timeout=5)
        assert unknown.value.code() == grpc.StatusCode.UNIMPLEMENTED
