#include "node/flight_listing.h"

#include <algorithm>

#include "flight.pb.h"
#include "wire/flight_data.h"
#include "wire/requests.h"

namespace longbow::node {
namespace {

namespace pb = arrow::flight::protocol;

Result<pb::FlightInfo> InfoOf(const engine::Collection& collection) {
  const std::shared_ptr<const engine::View> view = collection.shard.PinNow();
  pb::FlightInfo info;
  LB_ASSIGN(*info.mutable_schema(), wire::IpcSchema(*view->schema->columns));
  info.mutable_flight_descriptor()->set_type(pb::FlightDescriptor::PATH);
  info.mutable_flight_descriptor()->add_path(collection.name);
  info.add_endpoint()->mutable_ticket()->set_ticket(collection.name);
  info.set_total_records(static_cast<int64_t>(view->CountLive()));
  info.set_total_bytes(static_cast<int64_t>(view->size_bytes));
  info.set_app_metadata(R"({"kind":"dataset","schema_version":)" + std::to_string(view->schema->version) + "}");
  return info;
}

// Namespaces without datasets are listed beside these, because the contract's clients look there for one they just
// made.
pb::FlightInfo InfoOfNamespace(const std::string& name) {
  pb::FlightInfo info;
  info.mutable_flight_descriptor()->set_type(pb::FlightDescriptor::PATH);
  info.mutable_flight_descriptor()->add_path(name);
  info.set_app_metadata("{\"kind\":\"namespace\"}");
  return info;
}

void Send(net::Call& call, const google::protobuf::Message& message) {
  call.Send({Slice::Own(message.SerializeAsString())});
}

Result<std::shared_ptr<engine::Collection>> Described(Services& services, const std::string& request) {
  pb::FlightDescriptor descriptor;
  if (!descriptor.ParseFromString(request)) {
    return InvalidArgument("malformed FlightDescriptor message");
  }
  if (descriptor.path_size() == 0 || descriptor.path(0).empty()) {
    return InvalidArgument("Empty path");
  }
  Result<std::shared_ptr<engine::Collection>> found = services.store.Find(descriptor.path(0));
  return found.status().code() == StatusCode::kNotFound ? NotFound("dataset not found: " + descriptor.path(0)) : found;
}

}  // namespace

Status ListFlights(Services& services, net::Call& call, const std::string& request, const Cancellation* cancellation) {
  pb::Criteria message;
  if (!message.ParseFromString(request)) {
    return InvalidArgument("malformed Criteria message");
  }
  LB_ASSIGN(const wire::Criteria criteria, wire::ParseCriteria(message.expression()));
  for (const auto& collection : services.store.List()) {
    LB_TRY(cancellation->Check());
    if (criteria.Matches(collection->name, collection->shard.PinNow()->CountLive())) {
      LB_ASSIGN(const pb::FlightInfo info, InfoOf(*collection));
      Send(call, info);
    }
  }
  for (const std::string& name : services.store.Namespaces()) {
    if (name == "default" || !criteria.Matches(name, 0)) {
      continue;
    }
    LB_ASSIGN(const size_t inside, services.store.CountCollections(name));
    if (inside == 0) {
      Send(call, InfoOfNamespace(name));
    }
  }
  return {};
}

Status GetFlightInfo(Services& services, net::Call& call, const std::string& request, const Cancellation*) {
  LB_ASSIGN(const std::shared_ptr<engine::Collection> collection, Described(services, request));
  LB_ASSIGN(const pb::FlightInfo info, InfoOf(*collection));
  Send(call, info);
  return {};
}

Status GetSchema(Services& services, net::Call& call, const std::string& request, const Cancellation*) {
  LB_ASSIGN(const std::shared_ptr<engine::Collection> collection, Described(services, request));
  pb::SchemaResult result;
  LB_ASSIGN(*result.mutable_schema(), wire::IpcSchema(*collection->shard.Pin()->schema->columns));
  Send(call, result);
  return {};
}

}  // namespace longbow::node
